"""A profile as its author wrote it, checked and exact: what `language` reads and `compiler` compiles."""

from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any

from hostlink.profile.detail import Gas
from hostlink.profile.document import Document

Quantity = Any
"""A pint quantity with an exact magnitude."""


@dataclass(frozen=True)
class Base:
    """Base conditions, Pa and K: the state to which a volume is referred."""

    pressure: Fraction
    temperature: Fraction

    def __str__(self) -> str:
        return f"{float(self.temperature) - 273.15:.6g} °C, {float(self.pressure) / 1000:.6g} kPa"


@dataclass(frozen=True)
class Bounds:
    """95 % bounds of a value, in its unit; None where a source gives none."""

    lower: Fraction
    upper: Fraction


@dataclass(frozen=True)
class Channel:
    """A count of quanta. `rate` is the highest, in quanta a second; `error` the limit of error, relative (rectangular)."""

    name: str
    quantity: int
    direction: int
    unit: int
    exponent: int
    mantissa: int
    quantum: Quantity
    rate: Fraction
    base: Base | None
    error: Fraction | None


@dataclass(frozen=True)
class Condition:
    """A live input; `low`, `high`, `fallback` in steps. `error` is its 95 % bound, in steps (relative to nothing)."""

    name: str
    quantity: int
    unit: int
    exponent: int
    step: Quantity
    source: int
    low: int
    high: int
    fallback: int
    error: Fraction | None


@dataclass(frozen=True)
class Factor:
    """A constant with its origin. `valid` is the time for which its source gives it, None if not bounded."""

    name: str
    value: Quantity
    bounds: Bounds | None
    unit: str
    written: str
    source: str
    place: str
    base: Base | None = None
    valid: tuple[date, date] | None = None
    library: str | None = None
    doubtful: str = ""


@dataclass(frozen=True)
class Conversion:
    """A gas conversion surface: base volume a volume over two conditions, certified `within` (relative)."""

    name: str
    gas: Gas
    composition: str
    pressure: str
    temperature: str
    base: Base
    within: Fraction


@dataclass(frozen=True)
class TimeOfUse:
    """Factor names by hour: `rows` of 24 and which row holds, `[4 * month + kind of day]`."""

    name: str
    slots: tuple[str, ...]
    fallback: str
    rows: tuple[tuple[int, ...], ...]
    calendar: tuple[int, ...]
    holidays: tuple[date, ...]


@dataclass(frozen=True)
class Term:
    """What a register gains; `formula` as written."""

    name: str
    quantity: int
    direction: int
    formula: str


@dataclass(frozen=True)
class Profile:
    """All of it. `factors` holds the versions of each factor in order of validity."""

    document: Document
    name: str
    life: Fraction
    interval: int
    valid: tuple[date, date] | None
    utc_offset: int
    gwp: str | None
    commit_quanta: int
    commit_seconds: int
    channels: dict[str, Channel]
    conditions: dict[str, Condition]
    factors: dict[str, tuple[Factor, ...]]
    conversions: dict[str, Conversion]
    tables: dict[str, TimeOfUse]
    terms: dict[str, Term]
    baselines: dict[str, Term] = field(default_factory=dict)
