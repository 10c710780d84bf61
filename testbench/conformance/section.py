"""Reading a TOML table key by key, with one line that names place, what was expected and what came."""

from datetime import date
from fractions import Fraction
from typing import Any

from hostlink.errors import UsageError


class PlanError(UsageError):
    """A plan that cannot be carried out as written."""


class Section:
    """One table of the plan, read key by key; `finish` names what nobody asked for."""

    def __init__(self, file: str, name: str, values: Any) -> None:
        self.place = f"plan {file}" + (f", [{name}]" if name else "")
        self._file, self._name = file, name
        if not isinstance(values, dict):
            raise PlanError(f"{self.place}: expected a table, got {values!r}")
        self._values = values
        self._known: set[str] = set()
        self._sections: list[Section] = []

    def fail(self, key: str, expected: str, came: object) -> None:
        """Raise PlanError for `key`."""
        raise PlanError(f"{self.place}: {key}: expected {expected}, got {came}")

    def check(self, key: str, good: bool, expected: str, came: object) -> None:
        """Raise PlanError unless `good`."""
        if not good:
            self.fail(key, expected, came)

    def has(self, key: str) -> bool:
        """Whether `key` is there; known from now on."""
        self._known.add(key)
        return key in self._values

    def section(self, key: str) -> "Section":
        """A table below this one; an empty one if it is not there."""
        return self.within(key, None, self._get(key, {}))

    def within(self, key: str, number: int | None, values: Any) -> "Section":
        """A table below this one that is already at hand."""
        name = key if number is None else f"{key} {number + 1}"
        below = Section(self._file, name, values)
        self._sections.append(below)
        return below

    def rows(self, key: str) -> list[Any]:
        """An array of tables."""
        value = self._get(key, [])
        self.check(key, isinstance(value, list), f"tables [[{key}]]", value)
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """A string; a number where people write one as a name (class = 1.5)."""
        value = self._get(key, default)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = f"{value:g}"
        if isinstance(value, date):
            value = value.isoformat()
        self.check(key, isinstance(value, str), "text", repr(value))
        return value

    def strings(self, key: str, default: list[str]) -> list[str]:
        """A list of strings."""
        value = self._get(key, default)
        good = isinstance(value, list) and all(isinstance(v, str) for v in value)
        self.check(key, good, "a list of texts", value)
        return value

    def integers(self, key: str, low: int, high: int) -> list[int]:
        """A list of whole numbers within bounds."""
        value = self._get(key, [])
        good = isinstance(value, list) and all(type(v) is int and low <= v <= high for v in value)
        self.check(key, good, f"whole numbers {low} … {high} in a list", value)
        return value

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number within bounds."""
        value = self._get(key, default)
        self.check(key, type(value) is int and low <= value <= high, f"a whole number {low} … {high}", repr(value))
        return value

    def fraction(self, key: str, default: int | None = None) -> Fraction:
        """A number, 0 or more, exactly as it is written."""
        return self.fraction_of(key, self._get(key, default))

    def fraction_of(self, key: str, value: Any) -> Fraction:
        """`value` as an exact number, 0 or more."""
        try:
            number = Fraction(repr(value) if isinstance(value, float) else value)
        except (TypeError, ValueError, ZeroDivisionError):
            self.fail(key, "a number", repr(value))
        self.check(key, number >= 0 and not isinstance(value, bool), "a number, 0 or more", value)
        return number

    def curve(self, key: str, what: str, flat: bool = False) -> tuple[tuple[Fraction, Fraction], ...]:
        """A list of pairs of numbers (one pair by itself if `flat`); empty if it is not there."""
        value = self._get(key, [])
        if flat and value:
            value = [value]
        try:
            return tuple((_signed(x), _signed(y)) for x, y in value)
        except (TypeError, ValueError):
            self.fail(key, f"pairs of numbers ({what})", value)
        raise AssertionError

    def day(self, key: str) -> str:
        """A date, as text; "" if it is not there."""
        value = self._get(key, "")
        self.check(key, isinstance(value, date) or value == "", "a date such as 2026-05-01", repr(value))
        return value.isoformat() if isinstance(value, date) else ""

    def ascending(self, *values: tuple[str, Fraction]) -> None:
        """Rated values must go up, from above zero."""
        for (name, value), (above, larger) in zip((("0", Fraction(0)), *values), values, strict=False):
            if larger <= value:
                self.fail(above, f"above {name}" + (f" ({float(value):g})" if value else ""), f"{float(larger):g}")

    def finish(self) -> None:
        """Raise PlanError for a key that nobody asked for, here or below."""
        unknown = sorted(set(self._values) - self._known)
        if unknown:
            known = ", ".join(sorted(self._known))
            raise PlanError(f"{self.place}: unknown key {', '.join(unknown)}; known here: {known}")
        for below in self._sections:
            below.finish()

    def _get(self, key: str, default: Any) -> Any:
        self._known.add(key)
        value = self._values.get(key, default)
        if value is None:
            raise PlanError(f"{self.place}: {key} is missing")
        return value


def _signed(value: Any) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError
    return Fraction(repr(value) if isinstance(value, float) else value)
