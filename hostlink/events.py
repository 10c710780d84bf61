"""The meter's event logs: read, decoded, and their chain checked."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hostlink.errors import Refused
from hostlink.tables import body_values, values
from hostlink.values import utc
from protocol import events as layout
from protocol import messages, parameters
from protocol import status as codes

if TYPE_CHECKING:
    from hostlink.meter import Meter

ASKED = 255
_SUBJECTS: dict[int, dict[int, str]] = {
    layout.POWER_UP: layout.RESETS,
    layout.STORAGE_FAULT: layout.FAULTS,
    layout.SELF_CHECK_FAILED: layout.CHECKS,
    layout.AUTHENTICATION_FAILED: layout.ACTORS,
    layout.KEY_CHANGED: layout.ACTORS,
}

_ADJUSTMENTS = range(parameters.CALIBRATION, parameters.INPUT_CALIBRATION + parameters.INPUTS)


@dataclass(frozen=True)
class Event:
    """Something that happened to a meter; `kind` and `actor` are numbers of `protocol.events`, `raw` the entry's bytes."""

    log: int
    sequence: int
    order: int
    time: datetime
    kind: int
    actor: int
    status: int
    subject: int
    old: bytes
    new: bytes
    link: bytes
    raw: bytes

    @property
    def name(self) -> str:
        """The kind in words."""
        return layout.KINDS[self.kind][0] if self.kind in layout.KINDS else f"kind {self.kind}"

    @property
    def by(self) -> str:
        """Who did it."""
        return layout.ACTORS.get(self.actor, f"actor {self.actor}")

    @property
    def details(self) -> str:
        """Subject, old and new value in words, as far as the kind has them."""
        _, subject, old_read, old, new_read, new = layout.KINDS.get(
            self.kind, ("", "subject", "tag", "old", "tag", "new")
        )
        if self.kind == layout.CONFIGURATION and self.subject in _ADJUSTMENTS:
            name = parameters.name_of(self.subject)
            return f"{name}, old {_adjustment(self.subject, self.old)}, new {_adjustment(self.subject, self.new)}"
        words = _SUBJECTS.get(self.kind, {}).get(self.subject, self.subject)
        parts = [f"{subject} {words}"] if subject else []
        parts += [
            f"{name} {_read(how, raw)}"
            for how, name, raw in ((old_read, old, self.old), (new_read, new, self.new))
            if how
        ]
        return ", ".join(parts)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "log": layout.LOGS.get(self.log, str(self.log)),
            "sequence": self.sequence,
            "time": f"{self.time:%Y-%m-%dT%H:%M:%SZ}",
            "event": self.name,
            "by": self.by,
            "details": self.details,
        }


def decode(entry: bytes, log: int) -> Event:
    """One entry of `protocol.events.ENTRY`."""
    got = values(layout.ENTRY, entry)
    got["time"] = utc(got["time"])
    return Event(log, **got, raw=bytes(entry))


def read(meter: "Meter", log: int, first: int = 0) -> Iterator[Event]:
    """The events of a log from `first`, or the oldest held, to the newest. Raises LinkError, DataError."""
    while True:
        try:
            body = meter.ask(messages.EVENTS, messages.EVENTS_REQUEST.pack(log, first, ASKED))
        except Refused as refused:
            if refused.code == codes.NOT_FOUND and refused.detail > first:
                first = refused.detail
                continue
            if refused.code == codes.NOT_FOUND:
                return
            if refused.code == codes.STORAGE:  # this one cannot be read any more: `breaks` tells of the gap
                first += 1
                continue
            raise
        head = body_values(messages.EVENTS_REPLY, body, "events", rest=True)
        for n in range(head["count"]):
            at = messages.EVENTS_REPLY.size + n * layout.ENTRY.size
            yield decode(body[at : at + layout.ENTRY.size], log)
        first = head["first"] + head["count"]
        if first >= head["next"]:
            return


def breaks(events: Iterable[Event]) -> list[str]:
    """Where the chain of one log's events does not hold, in words; the first event held vouches for those before it."""
    found = []
    before: Event | None = None
    for event in events:
        start = before.link if before else layout.CHAIN_START if event.sequence == 0 else None
        if before and event.sequence != before.sequence + 1:
            found.append(f"expected event {before.sequence + 1}, got {event.sequence}")
        elif start is not None and layout.chain(start, event.raw) != event.link:
            found.append(f"event {event.sequence}: the chain breaks here")
        before = event
    return found


def _adjustment(number: int, raw: bytes) -> str:
    return ", ".join(f"{name} {value:+d}" for name, value in values(parameters.TABLE[number][0], raw).items())


def _read(how: str, raw: bytes) -> str:
    number = int.from_bytes(raw, "little")
    if how == layout.TIME:
        return f"{utc(number):%Y-%m-%d %H:%M:%S}Z"
    return raw.hex() if how == layout.TAG else str(number)
