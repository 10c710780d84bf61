"""Reads the shipped tables: factors by id, gas compositions by name."""

import csv
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib import resources

from hostlink.errors import UsageError

TABLES = ("ipcc2006.csv", "gwp100.csv", "china_fuels.csv", "china_grid.csv", "constants.csv")
COMPOSITIONS = "compositions.csv"


@dataclass(frozen=True)
class Entry:
    """One factor as published. `value` and bounds are exact text: a decimal, or a quotient such as 44/12; "" is unknown.

    `base` is "Nm3" where the source counts normal cubic metres without fixing their state. `confidence`: primary,
    secondary (read in a carrier), unverified, conflict.
    """

    id: str
    name: str
    value: str
    unit: str
    base: str
    lower95: str
    upper95: str
    source: str
    place: str
    confidence: str
    note: str
    licence: str

    @property
    def number(self) -> Fraction:
        """The value, exactly."""
        return quotient(self.value)

    @property
    def doubtful(self) -> bool:
        """Whether the value should be read again in its source before anything is reported with it."""
        return any(word in self.confidence for word in ("conflict", "unverified", "memory"))


@dataclass(frozen=True)
class Composition:
    """Mole fractions of a gas by component, summing to one, with their source."""

    name: str
    fractions: dict[str, Fraction]
    source: str
    place: str


def quotient(text: str) -> Fraction:
    """`12.5` or `44/12` as a fraction. Raises ValueError."""
    above, _, below = text.partition("/")
    return Fraction(above.strip()) / Fraction(below.strip() or 1)


def rows(table: str) -> Iterator[dict[str, str]]:
    """The rows of a shipped table."""
    yield from csv.DictReader((resources.files("hostlink.factors") / "data" / table).read_text("utf-8").splitlines())


@cache
def entries() -> dict[str, Entry]:
    """All factors by id."""
    return {row["id"]: Entry(**row) for table in TABLES for row in rows(table)}


def entry(id_: str) -> Entry:
    """The factor with this id. Raises UsageError naming the nearest ones."""
    found = entries().get(id_)
    if found is None:
        near = difflib.get_close_matches(id_, entries(), 3, 0.5)
        hint = f"; near it: {', '.join(near)}" if near else ""
        raise UsageError(f"expected the id of a factor in the library, got {id_!r}{hint} (tonne factors WORD searches)")
    return found


def search(words: list[str]) -> list[Entry]:
    """Factors whose id, name, source or note has all of `words`, case aside."""
    wanted = [word.casefold() for word in words]
    return [
        e for e in entries().values() if all(w in f"{e.id} {e.name} {e.source} {e.note}".casefold() for w in wanted)
    ]


def gwp_sets() -> dict[str, dict[str, Entry]]:
    """The GWP-100 sets by name (SAR … AR6), each by gas."""
    sets: dict[str, dict[str, Entry]] = {}
    for e in entries().values():
        if e.id.startswith("gwp100/"):
            _, report, gas = e.id.split("/")
            sets.setdefault(report.upper(), {})[gas.upper()] = e
    return sets


@cache
def compositions() -> dict[str, Composition]:
    """The shipped gas compositions by name."""
    found: dict[str, Composition] = {}
    for row in rows(COMPOSITIONS):
        gas = found.setdefault(row["gas"], Composition(row["gas"], {}, row["source"], row["place"]))
        gas.fractions[row["component"]] = Fraction(row["mole_fraction"])
    return found


def composition(name: str) -> Composition:
    """The shipped composition of this name. Raises UsageError."""
    if name not in compositions():
        raise UsageError(f"expected a shipped composition ({', '.join(compositions())}), got {name!r}")
    return compositions()[name]
