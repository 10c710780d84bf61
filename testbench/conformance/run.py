"""One run on one device: what is planned, what is in, and its files. Knows nothing of pytest."""

import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import protocol
from hostlink.errors import TonneError
from testbench.conformance import results
from testbench.conformance.bench import START
from testbench.conformance.decision import RULES
from testbench.conformance.plan import Plan
from testbench.conformance.requirements import table
from testbench.conformance.results import Item, Journal, Point
from testbench.conformance.rigs import Opener
from testbench.conformance.section import PlanError

REPLAY = "replay"
SAVE_EVERY = 5.0
"""Seconds between two writings of a result that is still incomplete."""
ITEM_FIELDS = ("serial", "hardware", "firmware", "software", "fingerprint")


class WrongDevice(TonneError):
    """The device is not the one that the plan expects."""

    exit_code = 2


class Run:
    """The run in `folder`. Begin it with the device's identity; add items; close it."""

    def __init__(self, plan: Plan, rig: str, folder: Path, events: Any = None) -> None:
        self.plan = plan
        self.rig = rig
        self.folder = folder
        self.planned: list[str] = []
        self.reason = ""
        self.lost = 0
        self.digests: dict[str, str] = {}
        self._events = events
        self._saved = 0.0
        self._journal: Journal | None = None
        self._reserve: results.Reserve | None = None
        self._head: dict[str, Any] = {
            "schema": results.SCHEMA,
            "title": plan.title,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "plan": {"name": plan.name, "sha256": plan.digest, "text": plan.text},
            "version": metadata.version("tonne"),
            "suite": suite_digest(),
            "seed": plan.seed,
            "rig": rig.split(":", 1)[0],
            "item": {},
            "report": plan.report,
            "instruments": [_plain(asdict(i)) for i in plan.instruments],
            "decision": {"rule": plan.rule, "text": RULES[plan.rule], "ratio": str(plan.ratio)},
            "requirements": {key: asdict(r) for key, r in table().items()},
        }

    def begin(self, planned: Sequence[str], opener: Opener, image: bytes, loaded: bool = True) -> None:
        """Identify the device; open the journal, going on with an earlier one.

        Either the rig has `loaded` the device with `image`, or the device has it already.

        Raises WrongDevice, PlanError, LinkError.
        """
        self.planned = list(planned)
        self.save()
        self._reserve = results.Reserve(self.folder, len(self.planned))
        if self._head["rig"] != REPLAY:
            self._check_calibrations()
        with ExitStack() as stack:
            identity = stack.enter_context(opener(image if loaded else None, START, None)).meter.identify()
        item = {k: v.hex() if isinstance(v, bytes) else v for k, v in asdict(identity).items() if k in ITEM_FIELDS}
        self._head["item"] = item
        self._head["digests"] = {
            "firmware": item["software"],
            "profile": item["fingerprint"],
            "suite": self._head["suite"],
        }
        self._expect(item)
        if not loaded and identity.fingerprint != hashlib.sha256(image).digest():
            raise WrongDevice(
                f"the plan tests profile {self.plan.profile}, the device runs another, {item['fingerprint'][:16]}…: name the "
                "device's profile and pulse in the plan, or load the plan's; nothing was tested"
            )
        self._journal = Journal(self.folder, self._head)
        self.save()
        self._event({"planned": len(self.planned), "serial": item["serial"], "done": len(self._journal.items)})

    def is_done(self, name: str) -> bool:
        """Whether an earlier, interrupted run has the item."""
        return self._journal is not None and name in self._journal.items

    def earlier(self, check: str) -> list[Point]:
        """All points on record so far with this check."""
        items = self._journal.items.values() if self._journal else ()
        return [p for item in items for p in item.points if p.check == check]

    def add(self, item: Item) -> None:
        """Put an item on record. Raises OSError if the disk does not take it."""
        assert self._journal is not None
        self._journal.add(item)
        self._event({"item": item.name, "outcome": item.outcome, "verdicts": [p.verdict for p in item.points]})
        if time.monotonic() - self._saved > SAVE_EVERY:
            self.save(running=True)

    def close(self) -> dict[str, Any]:
        """Write the final result, if need be in the room that was reserved for it; returns it."""
        if self._reserve:
            self._reserve.release()
        result = self.save()
        if self._journal:
            self._journal.close()
        self._event({"verdict": result["verdict"], "reason": self.reason})
        return result

    def save(self, running: bool = False) -> dict[str, Any]:
        """Write `results.json` as it stands."""
        items = self._journal.items if self._journal else {}
        reason = self.reason or ("the run has not ended" if running else "")
        result = results.assemble(self._head, self.planned, items, {"reason": reason, "digests": self.digests})
        self.folder.mkdir(parents=True, exist_ok=True)
        results.save(self.folder, result)
        self._saved = time.monotonic()
        return result

    def _check_calibrations(self) -> None:
        today = datetime.now(UTC).date().isoformat()
        for instrument in self.plan.instruments:
            if instrument.due and instrument.due < today:
                raise PlanError(
                    f"{instrument.name} {instrument.serial}: expected a calibration that holds today, it was due on "
                    f"{instrument.due}; have it calibrated and put the new dates in the plan; nothing was tested"
                )

    def _expect(self, item: dict[str, Any]) -> None:
        expected = {
            "serial": self.plan.expected.serial,
            "firmware": self.plan.expected.firmware,
            "software": self.plan.expected.software,
            "fingerprint": self.plan.expected.profile,
        }
        for key, value in expected.items():
            if value and not str(item[key]).startswith(value):
                raise WrongDevice(
                    f"the plan expects a device with {key} {value}, this one says {item[key]}; nothing was tested"
                )

    def _event(self, event: dict[str, Any]) -> None:
        if self._events:
            self._events.write(json.dumps(event) + "\n")
            self._events.flush()


def suite_digest() -> str:
    """SHA-256 over the suites and all of the host's code they run on, in path order: path, 0, content."""
    root = Path(protocol.__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for package in ("hostlink", "protocol", "testbench"):
        for path in sorted((root / package).rglob("*")):
            if path.suffix in (".py", ".toml") and "defects" not in path.parts:
                digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    from testbench.conformance.figures import exact_text

    return {k: v if isinstance(v, str) or v is None else exact_text(v) for k, v in row.items()}
