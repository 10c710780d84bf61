"""A profile's TOML with the line of every key: whatever is wrong is said with file and line."""

import re
import tomllib
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

from hostlink.errors import UsageError

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"))*)\s*=""")

Path_ = tuple[str | int, ...]


class ProfileError(UsageError):
    """A profile that cannot be compiled; the message begins with file and line."""


class Document:
    """Parsed TOML of a profile; numbers exact. Raises ProfileError, also for what is not TOML."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.text = text
        try:
            self.root = tomllib.loads(text, parse_float=Decimal)
        except tomllib.TOMLDecodeError as error:
            raise ProfileError(f"{name}: expected TOML: {error}") from None
        self._lines = _lines(text)

    def line(self, at: Path_) -> int:
        """The line of a key, or of the nearest table around it; 1 at the least."""
        while at and at not in self._lines:
            at = at[:-1]
        return self._lines.get(at, 1)

    def fail(self, at: Path_, message: object) -> NoReturn:
        """Raise ProfileError at a key."""
        raise ProfileError(f"{self.name}:{self.line(at)}: {'.'.join(map(str, at))}: {message}")

    def table(self, *at: str | int) -> "Table":
        """The table at a path, empty if there is none."""
        found: Any = self.root
        for key in at:
            found = found.get(key, {}) if isinstance(found, dict) else found[key]
        if not isinstance(found, dict):
            self.fail(at, f"expected a table, got {found!r}")
        return Table(self, at, found)


class Table:
    """One table: take its keys by kind, then `done()` refuses what nobody took."""

    def __init__(self, document: Document, at: Path_, values: dict[str, Any]) -> None:
        self.document = document
        self.at = at
        self.values = values
        self._taken: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def fail(self, key: str, message: object) -> NoReturn:
        """Raise ProfileError at a key of the table, "" for the table."""
        self.document.fail((*self.at, key) if key else self.at, message)

    def take(self, key: str, kind: type | tuple[type, ...], default: Any = ...) -> Any:
        """The value of a key; without default it must be there."""
        self._taken.add(key)
        if key not in self.values:
            if default is ...:
                self.fail("", f"expected {key} = …, there is none")
            return default
        value = self.values[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            names = " or ".join(_KINDS.get(k, k.__name__) for k in (kind if isinstance(kind, tuple) else (kind,)))
            self.fail(key, f"expected {names}, got {value!r}")
        return value

    def text(self, key: str, default: Any = ...) -> Any:
        """Text."""
        return self.take(key, str, default)

    def choice(self, key: str, among: dict[str, Any], default: Any = ...) -> Any:
        """The meaning of one of the words of `among`."""
        word = self.text(key, default)
        if word not in among:
            self.fail(key, f"expected one of {', '.join(among)}, got {word!r}")
        return among[word]

    def apply(self, key: str, function: Any, *arguments: Any) -> Any:
        """`function(*arguments)`, a UsageError raised anew with the line of `key`."""
        try:
            return function(*arguments)
        except ProfileError:
            raise
        except UsageError as error:
            self.fail(key, error)

    def between(self, key: str, default: Any = ...) -> tuple[date, date] | None:
        """`[from, to]`, two dates, the second not included."""
        value = self.take(key, list, default)
        if value is None:
            return None
        if len(value) != 2 or not all(type(day) is date for day in value) or value[0] >= value[1]:
            self.fail(key, "expected [from, to], two dates such as 2024-01-01, the first before the second")
        return value[0], value[1]

    def done(self) -> None:
        """Refuse keys that nobody asked for: a misspelt one must not be lost."""
        for key in self.values:
            if key not in self._taken:
                self.fail(key, f"unknown key; known here: {', '.join(sorted(self._taken))}")


_KINDS = {str: "text", int: "a whole number", Decimal: "a number", list: "a list", dict: "a table", date: "a date"}


def read(path: Path) -> Document:
    """The document in a file. Raises ProfileError."""
    try:
        return Document(path.read_text("utf-8"), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"expected a profile in {path}: {error}") from None


def _lines(text: str) -> dict[Path_, int]:
    lines: dict[Path_, int] = {}
    table: Path_ = ()
    counts: dict[Path_, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        header, key = _HEADER.fullmatch(line), _KEY.match(line)
        if header:
            table = _split(header.group(2))
            if header.group(1) == "[[":
                lines.setdefault(table, number)
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            lines.setdefault(table, number)
        elif key:
            lines.setdefault((*table, *_split(key.group(1))), number)
    return lines


def _split(dotted: str) -> Path_:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
