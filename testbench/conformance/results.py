"""The one canonical result: points, and the run around them. Every report is a rendering of `results.json`.

`journal.jsonl` grows by a line an item while the run goes on: a head, then what each item measured. `results.json` is made
from it, whole, at any time; until the last planned item is in, its verdict is "incomplete".
"""

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from testbench.conformance import decision
from testbench.conformance.section import PlanError

SCHEMA = 1
JOURNAL, RESULTS = "journal.jsonl", "results.json"
INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class Point:
    """One verdict. Numbers are text as `figures` makes it, "" for none; `conditions` are (name, value, unit)."""

    id: str
    suite: str
    check: str
    what: str
    requirement: str
    conditions: list[tuple[str, str, str]]
    measured: str
    unit: str
    low: str
    high: str
    expanded: str
    k: str
    verdict: str
    certifies: bool
    note: str = ""
    budget: list[dict[str, str]] = field(default_factory=list)


@dataclass
class Item:
    """What one test of a suite came to: "done", or "stopped" with the reason; it may have measured some points before."""

    name: str
    outcome: str
    reason: str
    seconds: float
    points: list[Point]


class Journal:
    """Appends items to the folder's journal, each safely on disk before the next begins."""

    def __init__(self, folder: Path, head: dict[str, Any]) -> None:
        self.path = folder / JOURNAL
        folder.mkdir(parents=True, exist_ok=True)
        self.items = _resume(self.path, head) if self.path.exists() else {}
        whole = self.path.with_suffix(".part")
        whole.write_text("".join(map(_line, (head, *map(asdict, self.items.values())))), encoding="utf-8")
        whole.replace(self.path)
        self._file = self.path.open("a", encoding="utf-8")

    def add(self, item: Item) -> None:
        """Keep `item`. Raises OSError if the disk does not take it."""
        self._file.write(_line(asdict(item)))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.items[item.name] = item

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


RESUME_KEYS = ("plan", "suite", "seed", "rig", "item")
"""What of the head must be the same for a run to be gone on with."""


def _resume(path: Path, head: dict[str, Any]) -> dict[str, Item]:
    before, items = load(path)
    different = [key for key in RESUME_KEYS if before.get(key) != json.loads(json.dumps(head[key]))]
    if different:
        raise PlanError(
            f"{path.parent} holds a run with another {' and '.join(different)}; give another --out, or --fresh to overwrite it"
        )
    return {name: item for name, item in items.items() if item.outcome == "done"}


def load(path: Path) -> tuple[dict[str, Any], dict[str, Item]]:
    """Head and items of a journal; a last line cut short by a crash is left out."""
    lines = path.read_text(encoding="utf-8").splitlines()
    head: dict[str, Any] = {}
    items: dict[str, Item] = {}
    for number, line in enumerate(lines):
        try:
            got = json.loads(line)
        except ValueError:
            if number == len(lines) - 1:
                break
            raise PlanError(
                f"{path}: line {number + 1} is no JSON; the journal is damaged, start with --fresh"
            ) from None
        if not number:
            head = got
        else:
            points = [Point(**{**p, "conditions": [tuple(c) for c in p["conditions"]]}) for p in got.pop("points")]
            items[got["name"]] = Item(**got, points=points)
    return head, items


def assemble(
    head: dict[str, Any], planned: Iterable[str], items: dict[str, Item], closed: dict[str, Any]
) -> dict[str, Any]:
    """The whole result as plain values. `closed` adds what is known only at the end (digest of the capture, …)."""
    names = list(planned)
    points = [asdict(p) for name in names if name in items for p in items[name].points]
    stopped = [{"item": i.name, "reason": i.reason} for i in items.values() if i.outcome != "done"]
    missing = [name for name in names if name not in items or items[name].outcome != "done"]
    counts = Counter(p["verdict"] for p in points)
    return {
        **head,
        "schema": SCHEMA,
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "verdict": overall(points, missing, closed.get("reason", "")),
        "reason": closed.get("reason", ""),
        "summary": {
            "points": len(points),
            **{verdict: counts[verdict] for verdict in decision.VERDICTS},
            "certifying": sum(p["certifies"] for p in points),
            "warnings": sum(p["verdict"] == decision.FAIL and not p["certifies"] for p in points),
            "items planned": len(names),
            "items missing": len(missing),
        },
        "digests": {**head.get("digests", {}), **closed.get("digests", {})},
        "seconds": round(sum(i.seconds for i in items.values()), 1),
        "stopped": stopped,
        "missing": missing,
        "points": points,
    }


def overall(points: list[dict[str, Any]], missing: list[str], reason: str) -> str:
    """The run's verdict: incomplete before anything else; then what the certifying points say, of which there must be some."""
    if missing or reason or not any(p["certifies"] for p in points):
        return INCOMPLETE
    verdicts = {p["verdict"] for p in points if p["certifies"]}
    return next((v for v in (decision.FAIL, decision.INCONCLUSIVE) if v in verdicts), decision.PASS)


class Reserve:
    """Room on the disk for the result of `items` items, held while the run goes on: a disk that fills up cannot take the result.

    Raises PlanError if there is no such room.
    """

    HEAD, ITEM = 48_000, 4_000
    """Bytes; the demo's result has 20,000 and 1,300."""

    def __init__(self, folder: Path, items: int) -> None:
        self._path = folder / ".reserve"
        size = self.HEAD + self.ITEM * items
        try:
            with self._path.open("wb") as file:
                file.write(bytes(size))
        except OSError as error:
            self.release()
            raise PlanError(
                f"{folder}: expected {size:,} free bytes for the result: {error.strerror}; nothing was tested"
            ) from None

    def release(self) -> None:
        """Give the room back."""
        self._path.unlink(missing_ok=True)


def save(folder: Path, result: dict[str, Any]) -> Path:
    """Write `results.json` at once or not at all."""
    path = folder / RESULTS
    part = path.with_suffix(".part")
    part.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)
    return path
