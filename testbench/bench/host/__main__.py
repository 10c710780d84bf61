"""`make bench-host`: one run, a table and a plot in out/bench-host. `--full` also verifies 10**8 records.

`--only PART` runs one part.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from math import isnan, nan
from pathlib import Path
from zlib import crc32

from rich.console import Console
from rich.table import Table

from hostlink import bulk, columns, stuffing, stuffing_compiled
from hostlink.decode import decode
from protocol.deframer import Deframer
from testbench.bench.host import peers, scale, streams
from testbench.bench.host.measure import Row, seconds

OUT = Path("out/bench-host")


PARTS = ("bulk", "frame", "resync", "verify", "scale", "dask", "columns")


def main() -> None:
    """Measure everything, print and write the table, draw the plot; ends 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m testbench.bench.host", description="The host's speed.")
    parser.add_argument("--full", action="store_true", help="verify 10^8 records, too")
    parser.add_argument(
        "--only", choices=PARTS, action="append", help="only this part, printed and not written; may be repeated"
    )
    arguments = parser.parse_args()
    wanted = arguments.only or PARTS
    started = time.monotonic()
    powers = [5, 6, 7, 8] if arguments.full else [5, 6, 7]
    points: list[tuple[int, float, int]] = []
    with tempfile.TemporaryDirectory(prefix="tonne-bench-") as name:
        folder = Path(name) / "fleet"
        if {"verify", "scale"} & set(wanted):
            scale.archive(folder)

        def scaled() -> list[Row]:
            points.extend(scale.linear(folder, powers))
            return linearity(points)

        work = dict(
            zip(
                PARTS,
                (
                    bulk_decode,
                    one_frame,
                    resync,
                    lambda: verification(folder),
                    scaled,
                    lambda: dask(Path(name) / "large"),
                    lambda: parquet(Path(name)),
                ),
                strict=True,
            )
        )
        rows = [row for part in PARTS if part in wanted for row in work[part]()]
    show(rows, write=not arguments.only)
    largest = "10^8 records too" if arguments.full else "10^8 records not run (--full)"
    print(f"{len(rows)} rows in {time.monotonic() - started:.0f} s on {scale.cores()} cores; {largest}")
    if not arguments.only:
        plot(rows, points)
    sys.exit(any(row.met is False for row in rows))


def bulk_decode() -> list[Row]:
    """Interval records with a CRC on every frame, to columns, beside a bare CRC pass over the same frames."""
    frames = streams.record_frames()
    data = b"".join(frames)
    bare = [each[1:-1] for each in frames]
    count = len(frames) * streams.PER_FRAME
    scans = {"compiled": stuffing_compiled.scan, "NumPy alone": stuffing.scan}

    def only_frames(scan: stuffing.Scan) -> None:
        assert sum(map(len, bulk.frames(data, scan=scan))) == len(frames)

    def to_columns(scan: stuffing.Scan) -> None:
        found = 0
        for window in bulk.frames(data, scan=scan):
            for some in columns.records(window)[0]:
                found += len(columns.columns(some.rows)["sequence"])
        assert found == count

    work: dict[str, Callable[[], object]] = {
        "limit: bare zlib.crc32 pass": lambda: [crc32(each) for each in bare],
        "bare ISA-L crc32 pass": lambda: [bulk.crc32(each) for each in bare],
    }
    for name, scan in scans.items():
        work[f"tonne, frames only, {name}"] = partial(only_frames, scan)
        work[f"tonne, records to columns, {name}"] = partial(to_columns, scan)
    took = seconds(work, 15)
    rows = []
    for name, best in took.items():
        wanted = name == "tonne, records to columns, compiled"
        rate = count / best
        rows.append(Row("bulk", name, rate, "records/s", ">= 20 M" if wanted else "", rate >= 20e6 if wanted else None))
    for name in scans:
        ratio = took["limit: bare zlib.crc32 pass"] / took[f"tonne, records to columns, {name}"]
        wanted = name == "compiled"
        target, met = (">= 1/3, aim 1/2", ratio >= 1 / 3) if wanted else ("", None)
        rows.append(Row("bulk", f"ratio to the zlib pass, {name}", ratio, "", target, met))
    return rows


def one_frame() -> list[Row]:
    """One READING reply of 37 bytes at a time to a typed message, beside the peers."""
    frames = streams.readings()
    encoded = [each[1:-1] for each in frames]
    data = b"".join(frames)
    work, absent = peers.candidates()
    work["tonne, one typed frame (COBS, CRC, named tuple)"] = (
        lambda: deque(map(decode, encoded), maxlen=0),
        len(encoded),
    )
    work["tonne, frames of a stream in bulk"] = (lambda: [len(window) for window in bulk.frames(data)], len(frames))
    took = seconds({name: run for name, (run, _) in work.items()}, 15)
    rows = []
    for name, (_, count) in work.items():
        rate = count / took[name]
        wanted = "one typed" in name
        rows.append(Row("frame", name, rate, "frames/s", ">= 1 M" if wanted else "", rate >= 1e6 if wanted else None))
    rows += [Row("frame", f"{name}: {why}", nan, "frames/s") for name, why in absent.items()]
    return rows


def resync() -> list[Row]:
    """READING replies with one byte in a hundred changed: every frame left whole must come out."""
    data, whole = streams.corrupted(streams.readings())

    def by_deframer() -> int:
        return sum(1 for _ in Deframer().feed(data))

    def in_bulk() -> int:
        return sum(map(len, bulk.frames(data)))

    took = seconds({"bulk": in_bulk, "deframer": by_deframer}, 3)
    found = {int(offset) for window in bulk.frames(data) for offset in window.offset}
    rate = streams.READINGS / took["bulk"]
    missed = len(whole - found)
    return [
        Row("resync", "tonne, 1 % of bytes changed", rate, "frames/s", ">= 200 k", rate >= 200e3),
        Row("resync", "the device's deframer on CPython", streams.READINGS / took["deframer"], "frames/s"),
        Row("resync", f"good frames missed, of {len(whole)}", missed, "", "0", missed == 0),
    ]


def verification(folder: Path) -> list[Row]:
    """Records a second of one core."""
    rate = scale.rates(folder)
    return [
        Row("verify", "order, gaps, replay", rate["without"], "records/s", ">= 5 M", rate["without"] >= 5e6),
        Row("verify", "the same and the SHA-256 chain", rate["chain"], "records/s", ">= 1 M", rate["chain"] >= 1e6),
        Row("verify", "from capture files, digests and decoding included", rate["files"], "records/s"),
        *(
            Row("verify", f"order, gaps, replay: {name}", live, "records/s")
            for name, live in scale.live_rates().items()
        ),
    ]


def linearity(points: list[tuple[int, float, int]]) -> list[Row]:
    """Cost and memory by number of records."""
    rows = []
    for count, took, peak in points:
        rows.append(Row("scale", f"{count:,} records", count / took, "records/s"))
        rows.append(Row("scale", f"{count:,} records, peak memory", peak / 2**20, "MiB", "<= 2048", peak <= 2 << 30))
    costs = [took / count for count, took, _ in points[1:]]
    spread = max(costs) / min(costs)
    rows.append(
        Row("scale", "cost a record, greatest to least from 10^6 on", spread, "", "linear: <= 1.3", spread <= 1.3)
    )
    return rows


def dask(folder: Path) -> list[Row]:
    """One worker and two."""
    logging.disable(logging.INFO)  # a peer's import has set logging up
    one, two = scale.on_dask(folder)
    return [
        Row("dask", "one worker", one, "records/s"),
        Row("dask", "two workers", two, "records/s"),
        Row("dask", "two to one", two / one, "", ">= 1.8", two / one >= 1.8),
    ]


def parquet(folder: Path) -> list[Row]:
    """Size of the real series' records."""
    size = scale.parquet(folder / "demo")
    return [Row("columns", "Parquet, the demo's records", size, "bytes/record", "<= 14", size <= 14)]


def show(rows: list[Row], write: bool) -> None:
    """Print the table, and write it as Markdown."""
    table = Table("what", "", "rate", "unit", "target", "")
    lines = ["| what | | rate | unit | target | |", "|---|---|---:|---|---|---|"]
    for row in rows:
        rate = "not measured" if isnan(row.rate) else f"{row.rate:,.0f}" if row.rate >= 1000 else f"{row.rate:.3g}"
        met = {None: "", True: "met", False: "MISSED"}[row.met]
        table.add_row(row.group, row.name, rate, row.unit, row.target, met)
        lines.append(f"| {row.group} | {row.name} | {rate} | {row.unit} | {row.target} | {met} |")
    Console(width=140).print(table)
    if write:
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / "table.md").write_text("\n".join(lines) + "\n")


def plot(rows: list[Row], points: list[tuple[int, float, int]]) -> None:
    """Frames a second beside the peers, and the cost of verification by number of records."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
    bars = sorted((row for row in rows if row.group == "frame" and not isnan(row.rate)), key=lambda row: row.rate)
    left.barh(
        [row.name for row in bars],
        [row.rate for row in bars],
        color=["C0" if "tonne" in r.name else "C7" for r in bars],
    )
    left.set_xscale("log")
    left.set_xlabel("frames/s, one core")
    counts = [count for count, _, _ in points]
    right.loglog(counts, [took for _, took, _ in points], "o-", label="CPU s")
    right.loglog(counts, [points[-1][1] * count / counts[-1] for count in counts], "k:", label="linear")
    right.set_xlabel("records verified")
    right.set_ylabel("CPU time / s")
    right.legend()
    right.grid(alpha=0.3)
    figure.savefig(OUT / "plot.png", dpi=110)


if __name__ == "__main__":
    main()
