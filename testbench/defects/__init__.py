"""Faulty meters: small named defects of the real firmware, and how many of them the conformance suites find.

A defect replaces text in a copy of `firmware` and `protocol`, which the unix rig then runs. `first` names the items that
should find it, `cause` the checks that name the right cause, the best first: it counts as killed only if one of these fails.
"""

import shutil
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from hostlink.errors import UsageError
from testbench.micropython import device_root


@dataclass(frozen=True)
class Defect:
    """One defect. `edits` are (file, text, replacement); the text occurs exactly once in the file."""

    name: str
    what: str
    edits: tuple[tuple[str, str, str], ...]
    first: tuple[str, ...]
    cause: tuple[str, ...]


class DoesNotApply(UsageError):
    """The firmware has changed under a defect: its text is not there, or more than once."""


def collection() -> list[Defect]:
    """All defects, by file of the collection and in its order."""
    found = []
    folder = resources.files(__name__) / "collection"
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".toml"):
            for name, row in tomllib.loads(entry.read_text(encoding="utf-8")).items():
                edits = ((row["file"], row["find"], row["replace"]), *map(tuple, row.get("more", ())))
                found.append(Defect(name, row["what"], edits, tuple(row["first"]), tuple(row["cause"])))
    return found


def chosen(names: Iterable[str]) -> list[Defect]:
    """The defects of these names; all if there are none. Raises UsageError."""
    everything = collection()
    wanted = list(names)
    unknown = set(wanted) - {d.name for d in everything}
    if unknown:
        raise UsageError(f"expected names of defects, got {', '.join(sorted(unknown))}; there are {len(everything)}")
    return [d for d in everything if not wanted or d.name in wanted]


def copy_device(target: Path) -> None:
    """A copy of what runs on the meter, in `target`."""
    for package in ("firmware", "protocol"):
        shutil.copytree(device_root() / package, target / package, ignore=shutil.ignore_patterns("__pycache__"))


def apply(defect: Defect, root: Path) -> None:
    """Put the defect into the copy at `root`. Raises DoesNotApply."""
    for file, text, replacement in defect.edits:
        path = root / file
        source = path.read_text(encoding="utf-8") if path.exists() else ""
        if source.count(text) != 1:
            raise DoesNotApply(
                f"defect {defect.name}: expected its text once in {file}, found {source.count(text)} times; "
                "write the defect anew for the firmware as it is"
            )
        path.write_text(source.replace(text, replacement), encoding="utf-8")
