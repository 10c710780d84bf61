"""What a demo leaves behind: an archive of capture and profile, records as Parquet and CSV, a plot, `result.json`, certificate."""

import csv
import json
import re
from decimal import Context, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from hostlink import archive
from hostlink.profile.certificate import bounds, certificate, register_name, unit_name
from protocol import status as flags
from protocol.registers import FRACTION_BITS
from testbench.demo import CAPTURE, Result, flagged

SCHEMA = 2
_EXACT = Context(prec=60)


def write(result: Result, folder: Path) -> list[Path]:
    """Write all files of `result` into `folder`, and their manifest; returns their paths."""
    rows = _rows(result)
    names = ("records.csv", "records.parquet", "plot.png", "result.json", "profile.bin", "certificate.json")
    paths = [folder / name for name in names]
    with paths[0].open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    _parquet(result, rows, paths[1])
    _plot(result, paths[2])
    paths[3].write_text(json.dumps(summary(result), indent=2, ensure_ascii=False) + "\n")
    paths[4].write_bytes(bytes(result.image.data))
    paths[5].write_text(json.dumps(certificate(result.made), indent=2, ensure_ascii=False) + "\n")
    entries = [archive.Entry(path.name, archive.PROFILE if path is paths[4] else archive.OTHER) for path in paths]
    serial = result.identity.serial
    entries.append(archive.Entry(CAPTURE, archive.CAPTURE, serial))
    if result.evidence:
        said, key = result.evidence.write(folder)
        entries += [archive.Entry(path.relative_to(folder).as_posix(), archive.STATEMENT, serial) for path in said]
        entries.append(archive.Entry(key.name, archive.KEY, serial))
        paths += [*said, key]
    return [*paths, folder / CAPTURE, archive.seal(folder, entries, {"made by": "tonne demo"})]


def summary(result: Result) -> dict[str, Any]:
    """The result as plain values; amounts as decimal text in the unit named."""
    return {
        "schema": SCHEMA,
        "serial": result.identity.serial,
        "firmware": result.identity.firmware,
        "software": result.identity.software.hex(),
        "profile_name": result.made.profile.name,
        "profile": result.identity.fingerprint.hex(),
        "quanta": dict(zip(result.made.profile.channels, result.counts, strict=True)),
        "headline": result.lines[result.headline].name,
        "headline_mg": _text(result.measured),
        "headline_exact_mg": _text(result.lines[result.headline].exact),
        "difference_mg": _text(result.difference),
        "largest_difference_mg": _text(result.largest_difference),
        "registers": [
            {
                "register": line.name,
                "unit": line.unit,
                "measured": _text(line.measured),
                "exact": _text(line.exact),
                "difference": _text(line.difference),
                "certified": _text(line.allowed),
            }
            for line in result.lines
        ],
        "avoided_mg": {name: _text(value) for name, value in result.avoided.items()},
        "records": len(result.records),
        "records_flagged": flagged(result),
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
    return f"{_EXACT.divide(Decimal(value.numerator), Decimal(value.denominator)):f}"


def _rows(result: Result) -> list[dict[str, Any]]:
    """One row a record: increments and indices by channel, extremes by condition, registers whole and fraction."""
    profile = result.made.profile
    found = []
    for r in result.records:
        row: dict[str, Any] = {
            "sequence": r.sequence,
            "start": r.start.isoformat(),
            "end": r.end.isoformat(),
            "status": " ".join(flags.names(r.status)),
        }
        for n, name in enumerate(profile.channels):
            row |= {name: r.increments[n], f"{name}_index": r.indices[n]}
        for n, name in enumerate(profile.conditions):
            row |= {f"{name}_low": r.conditions[n][0], f"{name}_high": r.conditions[n][1]}
        for n, raw in enumerate(r.registers):
            column = _column(result, n)
            row |= {column: raw >> FRACTION_BITS, f"{column}_fraction": raw & (1 << FRACTION_BITS) - 1}
        found.append(row | {"profile": r.profile.hex(), "link": r.link.hex()})
    return found


def _column(result: Result, n: int) -> str:
    unit = {"cm³": "cm3", "1": str(n)}.get(unit_name(result.made, n), "mg")
    return re.sub(r"\W+", "_", register_name(result.made, n).lower()) + "_" + unit


def _parquet(result: Result, rows: list[dict[str, Any]], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    units = {"start": "UTC", "end": "UTC"} | {_column(result, n): line.unit for n, line in enumerate(result.lines)}
    units |= {f"{name}_fraction": f"2^-{FRACTION_BITS} {unit}" for name, unit in units.items() if unit != "UTC"}
    units |= {name: f"quantum of {c.mantissa}e{c.exponent}" for name, c in result.made.profile.channels.items()}
    schema = pa.schema(
        [
            pa.field(
                name,
                pa.uint64() if isinstance(value, int) else pa.string(),
                metadata={"unit": units[name]} if name in units else None,
            )
            for name, value in rows[0].items()
        ],
        metadata={"schema": str(SCHEMA)},
    )
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, compression="zstd")


def _plot(result: Result, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.dates
    import matplotlib.pyplot as plt
    import numpy as np

    line = result.lines[result.headline]
    ends = np.array([r.end.replace(tzinfo=None) for r in result.records], dtype="datetime64[s]")
    figure, (top, bottom) = plt.subplots(2, 1, sharex=True, figsize=(10, 7), layout="constrained")
    top.plot(ends, [float(e) / 1e6 for e in result.exact], label="Tonne's register", linewidth=2)
    top.set_ylabel(f"{line.name} / kg")
    counted = ", ".join(
        f"{count:,} of {name}" for name, count in zip(result.made.profile.channels, result.counts, strict=True)
    )
    top.set_title(f"{result.made.profile.name}: {counted}; {float(result.measured) / 1e6:.6f} kg {line.name}")
    frozen = _float32(result)
    if frozen:
        top.plot(ends, np.array(frozen) / 1e6, "--", label="float32: total += quanta * factor, in mg")
        _absolute(result, bottom, ends, frozen)
    else:
        _relative(result, bottom, ends)
    for axes in (top, bottom):
        axes.legend()
        axes.grid(alpha=0.3)
    locator = mpl.dates.AutoDateLocator()
    bottom.xaxis.set_major_locator(locator)
    bottom.xaxis.set_major_formatter(mpl.dates.ConciseDateFormatter(locator))
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _absolute(result: Result, axes: Any, ends: Any, frozen: list[float]) -> None:
    """A constant factor: milligrams, beside what single precision loses."""
    axes.plot(ends, [float(d) for d in result.differences()], label="Tonne minus exact")
    axes.plot(
        ends, [f - float(e) for f, e in zip(frozen, result.exact, strict=True)], "--", label="float32 minus exact"
    )
    axes.set_yscale("symlog", linthresh=1e-6)
    allowed = float(result.lines[result.headline].allowed)
    axes.axhspan(-allowed, allowed, alpha=0.1, label=f"certified, {allowed:.2g} mg")
    axes.set_ylabel("difference / mg")


def _relative(result: Result, axes: Any, ends: Any) -> None:
    """Live factors: parts per million of what was measured, beside the certificate's."""
    ppm = [float(d / e * 10**6) if e else 0.0 for d, e in zip(result.differences(), result.exact, strict=True)]
    axes.plot(ends, ppm, label="Tonne minus exact")
    allowed = float(bounds(result.made)[result.headline][1] * 10**6)
    axes.axhspan(-allowed, allowed, alpha=0.1, label=f"certified, {allowed:.2g} ppm")
    axes.set_ylabel("difference / ppm")


def _float32(result: Result) -> list[float]:
    """The headline as a meter would sum it in single precision, a quantum at a time; nothing where it is not one constant term."""
    import numpy as np

    rows = [row for row in result.made.rows if row.register == result.headline]
    if len(rows) != 1 or rows[0].inputs:
        return []
    factor = np.float32(float(rows[0].exact))
    total = np.float32(0)
    totals = []
    for record in result.records:
        for _ in range(record.increments[rows[0].channel]):
            total = np.float32(total + factor)
        totals.append(float(total))
    return totals
