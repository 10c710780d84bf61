"""What a demo leaves behind: an archive of its capture and profile, records as Parquet and CSV, a plot, `result.json`."""

import csv
import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from hostlink import archive
from protocol import status as flags
from testbench.demo import CAPTURE, Result

SCHEMA = 1


def write(result: Result, folder: Path) -> list[Path]:
    """Write all files of `result` into `folder`, and their manifest; returns their paths."""
    rows = _rows(result)
    paths = [folder / name for name in ("records.csv", "records.parquet", "plot.png", "result.json", "profile.bin")]
    with paths[0].open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    _parquet(rows, paths[1])
    _plot(result, paths[2])
    paths[3].write_text(json.dumps(summary(result), indent=2) + "\n")
    paths[4].write_bytes(bytes(result.image.data))
    entries = [archive.Entry(path.name, archive.OTHER) for path in paths[:4]]
    entries.append(archive.Entry(paths[4].name, archive.PROFILE))
    entries.append(archive.Entry(CAPTURE, archive.CAPTURE, result.identity.serial))
    return [*paths, folder / CAPTURE, archive.seal(folder, entries, {"made by": "tonne demo"})]


def summary(result: Result) -> dict[str, Any]:
    """The result as plain values; masses as decimal text in mg."""
    return {
        "schema": SCHEMA,
        "serial": result.identity.serial,
        "firmware": result.identity.firmware,
        "software": result.identity.software.hex(),
        "profile": result.identity.fingerprint.hex(),
        "pulses": result.pulses,
        "volume_m3": _text(result.pulse * result.pulses),
        "co2_mg": _text(result.measured),
        "co2_exact_mg": _text(result.factor * result.pulses),
        "difference_mg": _text(result.difference),
        "largest_difference_mg": _text(result.largest_difference),
        "records": len(result.records),
        "readings": result.readings,
        "requests": result.requests,
        "retries": result.retries,
        "frames_refused": result.refused,
        "virtual_seconds": result.virtual_seconds,
        "seconds": round(result.seconds, 3),
        "findings": result.findings,
        "proved": not result.findings,
    }


def _text(value: Fraction) -> str:
    return f"{Decimal(value.numerator) / Decimal(value.denominator):f}"


def _rows(result: Result) -> list[dict[str, Any]]:
    return [
        {
            "sequence": r.sequence,
            "start": r.start.isoformat(),
            "end": r.end.isoformat(),
            "status": " ".join(flags.names(r.status)),
            "pulses": r.increments[0],
            "index": r.indices[0],
            "co2_mg": r.registers[0] >> 64,
            "co2_fraction": r.registers[0] & (1 << 64) - 1,
            "profile": r.profile.hex(),
            "link": r.link.hex(),
        }
        for r in result.records
    ]


def _parquet(rows: list[dict[str, Any]], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    units = {"start": "UTC", "end": "UTC", "co2_mg": "mg", "co2_fraction": "2^-64 mg", "pulses": "1", "index": "1"}
    numbers = {
        "sequence": pa.uint32(),
        "pulses": pa.uint32(),
        "index": pa.uint64(),
        "co2_mg": pa.uint64(),
        "co2_fraction": pa.uint64(),
    }
    schema = pa.schema(
        [
            pa.field(n, numbers.get(n, pa.string()), metadata={"unit": units[n]} if n in units else None)
            for n in rows[0]
        ],
        metadata={"schema": str(SCHEMA)},
    )
    table = pa.Table.from_pylist(rows, schema=schema)
    pq.write_table(table, path, compression="zstd")


def _plot(result: Result, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.dates
    import matplotlib.pyplot as plt
    import numpy as np

    ends = np.array([r.end.replace(tzinfo=None) for r in result.records], dtype="datetime64[s]")
    exact = [float(e) / 1e6 for e in result.exact]
    frozen = _float32(result)
    figure, (top, bottom) = plt.subplots(2, 1, sharex=True, figsize=(10, 7), layout="constrained")
    top.plot(ends, exact, label="Tonne's register", linewidth=2)
    top.plot(ends, np.array(frozen) / 1e6, "--", label="float32: total += pulses * factor, in mg")
    top.set_ylabel("CO2 / kg")
    top.set_title(f"{result.pulses:,} pulses, {float(result.measured) / 1e6:.6f} kg CO2")
    top.legend()
    top.grid(alpha=0.3)
    bottom.plot(ends, [float(d) for d in result.differences()], label="Tonne minus exact")
    bottom.plot(
        ends, [f - float(e) for f, e in zip(frozen, result.exact, strict=True)], "--", label="float32 minus exact"
    )
    bottom.set_yscale("symlog", linthresh=1e-6)
    bottom.axhspan(-1, 1, alpha=0.1, label="1 mg")
    bottom.set_ylabel("difference / mg")
    bottom.legend()
    bottom.grid(alpha=0.3)
    locator = mpl.dates.AutoDateLocator()
    bottom.xaxis.set_major_locator(locator)
    bottom.xaxis.set_major_formatter(mpl.dates.ConciseDateFormatter(locator))
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _float32(result: Result) -> list[float]:
    import numpy as np

    total = np.float32(0)
    factor = np.float32(float(result.factor))
    totals = []
    for record in result.records:
        for _ in range(record.increments[0]):
            total = np.float32(total + factor)
        totals.append(float(total))
    return totals
