"""Whole fleets: archives of which any altered byte is told, every planted fault found and nothing else, on every engine."""

import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostlink import archive, decoding, engines, fleet
from hostlink.cli.progress import bar
from hostlink.errors import DataError, TonneError, UsageError
from hostlink.findings import Result, merged
from protocol import frame
from testbench.synthesize import faults
from testbench.synthesize import fleet as synthetic
from testbench.synthesize.meter import wire

EVERY = {"gap": 2, "tail": 2, "duplicate": 2, "tamper": 12, "clock": 3, "swap": 2}


@pytest.fixture(scope="module")
def planted_fleet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[faults.Planted]]:
    out = tmp_path_factory.mktemp("fleet")
    return out, synthetic.synthesize(synthetic.Order(40, 3, 7, EVERY), out, lambda _: None)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    synthetic.synthesize(synthetic.Order(2, 1, 1, {}), tmp_path / "small", lambda _: None)
    return tmp_path / "small"


def verified(path: Path, **options: object) -> Result:
    planned = fleet.plan([path], **options)  # type: ignore[arg-type]
    return merged([planned.result, *(fleet.run(job) for job in planned.jobs)])


def tonne(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("tonne")), *arguments], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@given(st.lists(st.sampled_from([b"\xa5", b"abc", b"x" * 100, b"y" * 253, b"z" * 254]), max_size=8).map(b"".join))
def test_wire_is_the_protocols(body: bytes) -> None:
    if len(body) <= frame.MAX_BODY:
        assert wire(3, frame.CONTROL_REPLY, 7, 4, body) == frame.encode(3, frame.CONTROL_REPLY, 7, 4, body)


@given(st.binary(max_size=frame.MAX_BODY))
def test_wire_of_any_body(body: bytes) -> None:
    assert wire(1, 0, 0, 1, body) == frame.encode(1, 0, 0, 1, body)


def test_same_order_same_bytes(tmp_path: Path) -> None:
    order = synthetic.Order(12, 1, 3, {"gap": 1, "swap": 1})
    for name, workers in (("a", 1), ("b", 2)):
        synthetic.synthesize(order, tmp_path / name, lambda _: None, workers)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) == 12 + 4
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)


def test_a_job_carries_the_keys_of_its_meters_alone(planted_fleet: tuple[Path, list[faults.Planted]]) -> None:
    out, _ = planted_fleet
    serials = {entry.meter for entry in archive.load(out).entries if entry.meter}
    keys = {serial: serial.encode() for serial in serials} | {"ANOTHER": b"of no meter here"}
    jobs = fleet.plan([out], publics=keys, workers=2, smallest=1).jobs
    assert len(jobs) > 4 and len(serials) == 40
    for job in jobs:
        assert set(job.publics) == {file.entry.meter for file in job.files if file.entry.meter}
    assert set().union(*(job.publics for job in jobs)) == serials


def test_every_planted_fault_is_found_and_nothing_else(planted_fleet: tuple[Path, list[faults.Planted]]) -> None:
    out, planted = planted_fleet
    assert len(planted) == 2 + 2 + 2 + 12 + 3 + 4 and {p.detail for p in planted if p.kind == "tamper"} >= {
        "link",
        "status",
    }
    result = verified(out)
    assert faults.compare(planted, result.as_json()["findings"]) == ([], [])
    assert result.meters == 40
    clean = {f"SYN-{n:07}" for n in range(40)} - {p.meter for p in planted}
    assert len(clean) == 15 and not clean & {finding.meter for finding in result.findings}


def test_the_comparison_can_fail(planted_fleet: tuple[Path, list[faults.Planted]]) -> None:
    out, planted = planted_fleet
    found = verified(out).as_json()["findings"]
    assert faults.compare(planted, found[1:]) != ([], []) or faults.compare(planted[1:], found) != ([], [])
    missed, unexplained = faults.compare(planted[1:], found)
    assert not missed and unexplained
    assert faults.compare(planted, [f for f in found if f["meter"] != planted[0].meter])[0] == [planted[0]]


def test_the_same_on_every_engine(planted_fleet: tuple[Path, list[faults.Planted]]) -> None:
    out, _ = planted_fleet
    planned = fleet.plan([out], workers=2, smallest=100_000)
    assert len(planned.jobs) >= 8
    said = [
        merged([planned.result, *(result for _, result in engines.results(planned.jobs, engine, workers))]).as_json()
        for engine, workers in (("local", 1), ("local", 2), ("dask", 2))
    ]
    assert said[0] == said[1] == said[2]
    assert said[0]["records"] > 11_000
    told = json.loads(tonne("verify", str(out), "--json", "--memory", "64", "--engine", "dask", code=1))
    assert told == said[0] | {"chain_followed": True}


def test_memory_bounds_the_jobs(planted_fleet: tuple[Path, list[faults.Planted]]) -> None:
    out, _ = planted_fleet
    total = sum(p.stat().st_size for p in out.rglob("*.tonne"))
    small = fleet.plan([out], memory=1, workers=1, smallest=100_000).jobs
    assert len(small) >= total // 100_000 > 3
    assert all(job.size <= 100_000 for job in small)
    assert len(fleet.plan([out], workers=2, smallest=100_000).jobs) >= 2 * fleet.JOBS_A_WORKER
    assert len(fleet.plan([out], memory=1 << 30).jobs) == 1


def test_decoded_folders_prove_as_their_captures_do(small: Path, tmp_path: Path) -> None:
    for path in sorted(small.rglob("*.tonne")):
        decoding.decode_file(path, tmp_path / "columns")
    result, direct = verified(tmp_path / "columns"), verified(small)
    assert result.records == result.chained == result.replayed == direct.records == 192
    assert result.totals == direct.totals and not result.findings
    shard = next((tmp_path / "columns").rglob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-40])
    assert [f.kind for f in verified(tmp_path / "columns").faults] == ["file"]


def test_any_altered_byte_of_an_archive_is_told_with_its_file(small: Path) -> None:
    random_ = random.Random(2)
    assert not verified(small).findings
    for path in sorted(p for p in small.rglob("*") if p.is_file()):
        name = path.relative_to(small).as_posix()
        whole = path.read_bytes()
        places = range(len(whole)) if len(whole) < 110 else sorted(random_.sample(range(len(whole)), 60))
        for at in places:
            data = bytearray(whole)
            data[at] ^= random_.randrange(1, 256)
            path.write_bytes(data)
            try:
                said = [f.text for f in verified(small).faults]
            except TonneError as error:
                said = [str(error)]
            expected = "manifest.json" if name.startswith("manifest") else name
            assert any(expected in text and "altered" in text for text in said), (name, at, said)
        path.write_bytes(whole)
    assert not verified(small).findings


def test_missing_cut_and_foreign_files(small: Path) -> None:
    captures = sorted(small.rglob("*.tonne"))
    captures[0].unlink()
    captures[1].write_bytes(captures[1].read_bytes()[:3000])
    (small / "notes.txt").write_text("mine")
    result = verified(small)
    texts = [f.text for f in result.faults]
    assert any("is missing" in text for text in texts) and any("it was cut" in text for text in texts)
    assert [f.text for f in result.notices] == ["notes.txt is not in the manifest; it was not looked at"]
    assert "NOT proved" in tonne("verify", str(small), code=1)


def test_an_archive_of_another_schema(small: Path) -> None:
    manifest = json.loads((small / archive.MANIFEST).read_text()) | {"schema": 9}
    (small / archive.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"schema 1 in .*, got 9; update this host"):
        archive.load(small)
    tonne("verify", str(small), code=4)
    manifest = json.loads((small / archive.MANIFEST).read_text()) | {"schema": 1}
    manifest["files"][0]["path"] = "../../etc/passwd"
    (small / archive.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="expected files of the archive"):
        archive.load(small)


def test_other_bad_input(tmp_path: Path) -> None:
    assert "no such file" in tonne("verify", str(tmp_path / "nothing"), code=2)
    (tmp_path / "empty").mkdir()
    assert "there is no file to verify" in tonne("verify", str(tmp_path / "empty"), code=2)
    (tmp_path / "p.bin").write_bytes(b"no image")
    assert "it is none" in tonne("verify", str(tmp_path), "--profile", str(tmp_path / "p.bin"), code=2)
    assert "expected local, dask" in tonne("verify", str(tmp_path / "p.bin"), "--engine", "spark", code=2)
    assert "one for each fault" in tonne(
        "synthesize", "-o", str(tmp_path / "f"), "--meters", "3", "--faults", "swap=2", code=2
    )
    with pytest.raises(UsageError, match="expected all, none or"):
        faults.parse("gap=x", 100)


def test_files_without_records_prove_nothing(tmp_path: Path) -> None:
    (tmp_path / "noise.raw").write_bytes(random.Random(1).randbytes(4000))
    (tmp_path / "empty.tonne").touch()
    for name in ("noise.raw", "empty.tonne"):
        assert "NOT proved: no interval records" in tonne("verify", str(tmp_path / name), code=1)
        assert not json.loads(tonne("verify", str(tmp_path / name), "--json", code=1))["proved"]


def test_a_fleet_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "the archive is not whole" in tonne("synthesize", "-o", str(tmp_path / "file" / "f"), "--meters", "2", code=2)


def test_a_full_disk_leaves_no_fleet_that_verifies(tmp_path: Path) -> None:
    def little() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    command = [str(Path(sys.executable).with_name("tonne")), "synthesize", "-o", str(tmp_path / "f"), "--meters", "3"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=little)
    assert done.returncode == 2 and "the archive is not whole" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "f" / archive.MANIFEST).exists()


def test_unreachable_scheduler() -> None:
    with pytest.raises(UsageError, match=r"expected a Dask scheduler at tcp://127\.0\.0\.1:9"):
        list(engines.results([fleet.Job()], "dask=tcp://127.0.0.1:9", 1))


def test_a_scheduler_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    from dask.distributed import LocalCluster

    monkeypatch.setattr(engines, "WORKER_SECONDS", 1)
    with (
        LocalCluster(n_workers=0, dashboard_address=None) as cluster,  # type: ignore[no-untyped-call]
        pytest.raises(UsageError, match="none came within 1 s; start one with `dask worker tcp://"),
    ):
        list(engines.results([fleet.Job()], f"dask={cluster.scheduler_address}", 1))


def die_once(job: fleet.Job) -> Result:
    """Kills its own process the first time it meets a job."""
    mark = job.files[0].path.with_suffix(".tried")
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return fleet.run(job)


def die_always(job: fleet.Job) -> Result:
    """Kills its own process at one file, whenever it meets it."""
    if job.files[0].entry.path.endswith("1.tonne"):
        os.kill(os.getpid(), signal.SIGKILL)
    return fleet.run(job)


@pytest.mark.parametrize(("engine", "work"), [("local", die_once), ("local", die_always), ("dask", die_always)])
def test_a_worker_killed_mid_run(small: Path, engine: str, work: Callable[[fleet.Job], Result]) -> None:
    """A job whose worker dies is done again; one that kills every worker is told as not verified, the others are there."""
    jobs = [fleet.Job([fleet.File(small, archive.Entry(f"captures/SYN-000000{n}.tonne", "capture"))]) for n in range(2)]
    result = merged(result for _, result in engines.results(jobs, engine, 2, work))
    if work is die_once:
        assert result.records == 192 and not result.findings
    else:
        assert result.records == 96
        assert ["not verified" in f.text and f.meter.endswith("1.tonne") for f in result.faults] == [True]


def test_demo_leaves_an_archive_that_proves(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    tonne("demo", "--out", str(out))
    assert "proved" in tonne("verify", str(out))
    found = archive.load(out)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    assert {entry.path for entry in found.entries} == {path.relative_to(out).as_posix() for path in files} - {
        archive.MANIFEST,
        archive.DIGEST,
    }
    random_ = random.Random(0)
    for path in files:
        whole = path.read_bytes()
        data = bytearray(whole)
        data[random_.randrange(len(data))] ^= 1
        path.write_bytes(data)
        try:
            texts = [f.text for f in verified(out).faults]
        except TonneError as error:
            texts = [str(error)]
        assert any("altered" in text and path.name.removesuffix(".sha256") in text for text in texts)
        path.write_bytes(whole)
    assert "CO2 emitted" in tonne("verify", str(out))


def test_progress_comes_after_two_seconds_and_on_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    monkeypatch.setattr("hostlink.cli.progress.PATIENCE", 0.2)
    for terminal in (True, False):
        console = Console(force_terminal=terminal, width=80, file=io.StringIO())
        with bar("working", 3, console) as advance:
            advance()
            assert "working" not in console.file.getvalue()  # type: ignore[attr-defined]
            time.sleep(0.6)
            assert ("working" in console.file.getvalue()) == terminal  # type: ignore[attr-defined]
            assert ("1/3" in console.file.getvalue()) == terminal  # type: ignore[attr-defined]


def test_totals_are_exact_sums_of_the_last_registers(planted_fleet: tuple[Path, list[faults.Planted]]) -> None:
    result = verified(planted_fleet[0])
    assert sum(result.totals.values()) > 1 << 64
    rows = result.total_rows()
    assert rows[0][0] == "CO2 emitted" and rows[0][2] == "g" and np.isfinite(float(rows[0][1]))
