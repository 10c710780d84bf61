"""Verification at scale: synthetic archives, linearity and memory, one and two workers on Dask, bytes a record in Parquet."""

import json
import os
import resource
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import harmonic_mean

from hostlink import decoding, engines, extract, fleet, verify
from hostlink.findings import Result, merged
from hostlink.profile import ready
from hostlink.profile.compiler import compile_profile
from protocol.image import Image
from protocol.records import TAG_SIZE
from testbench import demo
from testbench.bench.host.measure import seconds
from testbench.synthesize import live
from testbench.synthesize.fleet import CAPTURES, Order, synthesize

METERS, DAYS = 30, 35
RECORDS = METERS * DAYS * 96
MEMORY = 512
LIVE = ("electricity-hourly", "electricity-time-of-use", "natural-gas-pt", "stack")
LIVE_RECORDS = 10_000
DASK_METERS, DASK_TIMES, DASK_ROUNDS = 300, 6, 6
"""A fleet of a million records, whose jobs are of the size that verification hands out, how often it is verified, and how often
that is measured, one worker and two in turns."""


def rates(folder: Path) -> dict[str, float]:
    """Records a second of one core: replay alone, with the chain, and from capture files to findings."""
    source = [extract.load(path) for path in sorted((folder / CAPTURES).iterdir())[:10]]
    shards = []
    for each in source:
        pieces = list(each.pieces())
        shards.append(verify.Shard(pieces[0].meter, verify.join([(p.shape, p.rows) for p in pieces]), each.images))
    count = sum(len(rows) for shard in shards for rows in shard.rows.values())
    (job,) = fleet.plan([folder]).jobs
    took = seconds(
        {
            "without": lambda: [verify.verify_shard(shard, chain=False) for shard in shards],
            "chain": lambda: [verify.verify_shard(shard) for shard in shards],
            "files": lambda: fleet.run(job),
        }
    )
    return {"without": count / took["without"], "chain": count / took["chain"], "files": RECORDS / took["files"]}


def live_rates() -> dict[str, float]:
    """Records a second of one core that are replayed, for ready profiles with a time-of-use table and with live conditions."""
    found = {}
    for name in LIVE:
        image = Image(bytes(compile_profile(ready.load(name))[0].data))
        shape = (len(image.channels), len(image.conditions), len(image.registers))
        rows = {shape: live.rows(image, LIVE_RECORDS)[1:]}
        shard = verify.Shard("live", rows, {image.fingerprint[:TAG_SIZE]: bytes(image.data)})
        assert not verify.verify_shard(shard, chain=False).faults
        found[name] = LIVE_RECORDS / seconds({name: partial(verify.verify_shard, shard, chain=False)})[name]
    return found


def archive(folder: Path) -> Path:
    """A clean fleet of 30 meters, 100,800 records."""
    synthesize(Order(METERS, DAYS, 1, {}), folder, lambda _: None)
    return folder


def linear(folder: Path, powers: list[int]) -> list[tuple[int, float, int]]:
    """Records, CPU seconds and peak memory in bytes of verifying 10**power records: the same 30 meters again and again, each
    time read, hashed and decoded from their files, in a process of its own."""
    found = []
    for power in powers:
        times = -(-(10**power) // RECORDS)
        code = f"from testbench.bench.host.scale import again; again({str(folder)!r}, {times})"
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        found.append(tuple(json.loads(done.stdout)))
    return found


def again(folder: str, times: int) -> None:
    """Verify an archive so many times and print records, CPU seconds, peak memory."""
    jobs = fleet.plan([Path(folder)], memory=MEMORY << 20).jobs
    total = Result()
    started = time.process_time()
    for _ in range(times):
        total.merge(merged(result for _, result in engines.results(jobs, "local", 1)))
    took = time.process_time() - started
    assert total.records == times * RECORDS and not total.findings
    print(json.dumps([total.records, took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))


def on_dask(folder: Path) -> tuple[float, float]:
    """Records a second of wall time on a local Dask cluster of one worker and of two, once each worker has done a job: all records
    by all time of some rounds, which begin with one and with two in turns, for this machine's speed varies by a third."""
    synthesize(Order(DASK_METERS, DAYS, 1, {}), folder, lambda _: None)
    rates: dict[int, list[float]] = {1: [], 2: []}
    for number in range(DASK_ROUNDS):
        for workers in (1, 2) if number % 2 else (2, 1):
            rates[workers].append(_dask_rate(folder, workers))
    return harmonic_mean(rates[1]), harmonic_mean(rates[2])


def _dask_rate(folder: Path, workers: int) -> float:
    jobs = fleet.plan([folder], workers=2).jobs * DASK_TIMES
    stream = engines.results(jobs, "dask", workers)
    first = [next(stream) for _ in range(workers)]
    started = time.monotonic()
    rest = list(stream)
    took = time.monotonic() - started
    assert sum(result.records for _, result in first + rest) == DASK_TIMES * DASK_METERS * DAYS * 96
    return sum(result.records for _, result in rest) / took


def parquet(folder: Path) -> float:
    """Bytes a record of the shards decoded from a demo's capture: the real series through the real meter."""
    tonne = str(Path(sys.executable).with_name("tonne"))
    subprocess.run([tonne, "demo", "--out", str(folder)], check=True, capture_output=True)
    done = decoding.decode_file(folder / demo.CAPTURE, folder / "columns")
    return sum(path.stat().st_size for path in (folder / "columns").rglob("*.parquet")) / done.records


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))
