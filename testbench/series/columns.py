"""Series for a profile: `unix_ts` and one column for each channel, condition or dated intensity, as the profile names them.

A channel's column counts quanta since the row before. A condition's is in its SI unit (Pa, K, 1, g/m³, g/Wh) or in the unit
that its heading gives, `pressure [bar]`; an empty field is an input that was missing. Intensities hold until the next row.
"""

import csv
import lzma
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import TextIO

from hostlink.errors import UsageError
from hostlink.profile.model import Condition, Profile
from hostlink.profile.units import magnitude, quantity
from protocol import registers as r
from testbench.series import Series

_HEADING = re.compile(r"\s*(\w+)\s*(?:\[(.*)\])?\s*")
LIMIT = 1 << 30
"""Raw values of a condition stay below this."""


@dataclass(frozen=True)
class Feed:
    """What a meter is given, row by row: `counts` by channel, `inputs` raw by condition (None: missing)."""

    name: str
    times: tuple[int, ...]
    counts: tuple[tuple[int, ...], ...]
    inputs: tuple[tuple[int | None, ...], ...]

    @property
    def begin(self) -> str:
        """The day of the first row, UTC, as 2026-01-31."""
        return f"{datetime.fromtimestamp(self.times[0], UTC):%Y-%m-%d}"

    def __iter__(self) -> Iterator[tuple[int, tuple[int, ...], tuple[int | None, ...]]]:
        return iter(zip(self.times, self.counts, self.inputs, strict=True))


def of_series(series: Series) -> Feed:
    """A pulse train as a feed for a profile of one channel and no conditions."""
    return Feed(series.name, series.times, tuple((n,) for n in series.counts), ((),) * len(series.times))


def shipped(name: str) -> Path | None:
    """The series that ships for a ready profile, None if there is none."""
    found = resources.files("testbench.series") / f"{name}.csv.xz"
    return Path(str(found)) if found.is_file() else None


def is_counter(path: Path) -> bool:
    """Whether a series has a cumulative counter in place of columns for channels. Raises UsageError."""
    with _opened(path) as file:
        first = next((line for line in file if not line.startswith("#")), "")
    return "counter" in [name.strip() for name in first.split(",")]


def read(path: Path, profile: Profile) -> Feed:
    """The series in a file (CSV, or CSV in .xz). Raises UsageError with the line."""
    with _opened(path) as file:
        return _parse(path.name, csv.reader(line for line in file if not line.startswith("#")), profile)


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        with lzma.open(path, "rt", newline="") if path.suffix == ".xz" else path.open(newline="") as file:
            yield file
    except (OSError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise UsageError(f"expected a series of measurements in {path}: {error}") from None


def _parse(name: str, rows: Iterator[list[str]], profile: Profile) -> Feed:
    headings = [_HEADING.fullmatch(text) for text in next(rows, [])]
    columns = {found.group(1): (n, found.group(2)) for n, found in enumerate(headings) if found}
    wanted = ["unix_ts", *profile.channels, *profile.conditions]
    missing = [column for column in wanted if column not in columns]
    if missing:
        raise UsageError(f"{name}: expected the columns {', '.join(wanted)}; missing: {', '.join(missing)}")
    scales = {}
    for condition in profile.conditions.values():
        unit = columns[condition.name][1] or r.UNITS[condition.unit]
        scales[condition.name] = _scale(name, condition, unit)
    times: list[int] = []
    counts: list[tuple[int, ...]] = []
    inputs: list[tuple[int | None, ...]] = []
    for number, row in enumerate(rows, 2):
        try:
            time = int(row[columns["unix_ts"][0]])
            counted = tuple(int(row[columns[channel][0]] or 0) for channel in profile.channels)
            measured = tuple(_raw(row[columns[c][0]], *scales[c]) for c in profile.conditions)
        except (ValueError, IndexError):
            raise UsageError(
                f"{name} line {number}: expected whole counts and numbers, got {','.join(row)!r}"
            ) from None
        if times and time <= times[-1]:
            raise UsageError(f"{name} line {number}: expected time to go up, got {time} after {times[-1]}")
        if min(counted, default=0) < 0:
            raise UsageError(f"{name} line {number}: expected counts of quanta since the row before, got {counted}")
        times.append(time)
        counts.append(counted)
        inputs.append(measured)
    if len(times) < 2:
        raise UsageError(f"{name}: expected at least two rows, got {len(times)}")
    return Feed(name, tuple(times), tuple(counts), tuple(inputs))


def _scale(name: str, condition: Condition, unit: str) -> tuple[float, float]:
    """Steps a unit of the column, and the steps of its zero: a linear map, exact until it is rounded to steps."""
    step = condition.step
    si = r.UNITS[condition.unit]
    try:
        zero, one = (magnitude(quantity(f"{n} {unit}"), si) / magnitude(step, si) for n in (0, 1))
    except UsageError as error:
        raise UsageError(f"{name}: column {condition.name}: {error}") from None
    return float(one - zero), float(zero)


def _raw(text: str, slope: float, zero: float) -> int | None:
    """Steps, None where the field is empty. A value below zero is shown to the meter as zero, its sensor's end."""
    if not text.strip():
        return None
    return min(max(round(float(text) * slope + zero), 0), LIMIT - 1)
