"""Measured series: files with the columns `unix_ts` and `counter`, read as counts of pulses."""

import csv
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from importlib import resources
from pathlib import Path

from hostlink.errors import UsageError

FURNACE_GAS = "ampds2_furnace_gas.csv.xz"
CUBIC_FOOT = Decimal("28.316846592")
"""dm³, exactly: the international foot is 0.3048 m."""
STEP_TOLERANCE = Decimal("0.01")
"""How far, in pulses, a step of the counter may be from a whole number: printed counters are rounded or cut."""
LATEST = 4102444800
MOST = (1 << 32) - 1
"""Pulses of one row: what an interval's increment holds."""


@dataclass(frozen=True)
class Series:
    """Counts of pulses by UNIX second, in order of time."""

    name: str
    times: tuple[int, ...]
    counts: tuple[int, ...]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self.times, self.counts, strict=True))

    @property
    def pulses(self) -> int:
        """All pulses of the series."""
        return sum(self.counts)


def furnace_gas() -> Series:
    """The furnace gas series that ships with the package: 2,055 pulses of one cubic foot."""
    with resources.as_file(resources.files("testbench.series") / FURNACE_GAS) as path:
        return read(path, CUBIC_FOOT)


def read(path: Path, pulse: Decimal) -> Series:
    """The series in `path` (CSV, or CSV in .xz), its counter in units of which one pulse is `pulse`.

    Raises UsageError with the line, for a missing column, a value that is no number, time or counter stepping down, or a
    step that is not a whole number of pulses.
    """
    try:
        with lzma.open(path, "rt", newline="") if path.suffix == ".xz" else path.open(newline="") as file:
            return _parse(path.name, csv.DictReader(file), pulse)
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"expected a series of measurements in {path}: {error}") from None


def _parse(name: str, rows: csv.DictReader, pulse: Decimal) -> Series:
    missing = {"unix_ts", "counter"} - set(rows.fieldnames or ())
    if missing:
        raise UsageError(f"{name}: expected the columns unix_ts and counter, {' and '.join(sorted(missing))} missing")
    times: list[int] = []
    counts: list[int] = []
    last = Decimal(0)
    for row in rows:
        try:
            time, counter = int(row["unix_ts"]), Decimal(row["counter"])
            if not counter.is_finite():
                raise ValueError
        except (ValueError, TypeError, InvalidOperation):
            raise UsageError(
                f"{name} line {rows.line_num}: expected numbers, got {row['unix_ts']!r}, {row['counter']!r}"
            ) from None
        if not 0 <= time < LATEST:
            raise UsageError(f"{name} line {rows.line_num}: expected UNIX seconds from 1970 to 2100, got {time}")
        if times and (time <= times[-1] or counter < last):
            raise UsageError(
                f"{name} line {rows.line_num}: expected time and counter to go up, got {time} and {counter}"
            )
        steps = (counter - last) / pulse if times else Decimal(0)
        count = round(steps)
        if abs(steps - count) > STEP_TOLERANCE * max(count, 1):
            raise UsageError(
                f"{name} line {rows.line_num}: expected whole pulses of {pulse}, got a step of {counter - last}; check --pulse"
            )
        if count > MOST:
            raise UsageError(
                f"{name} line {rows.line_num}: expected at most {MOST} pulses in a row, got {count}; check --pulse"
            )
        times.append(time)
        counts.append(count)
        last = counter
    if len(times) < 2:
        raise UsageError(f"{name}: expected at least two rows, got {len(times)}")
    return Series(name, tuple(times), tuple(counts))
