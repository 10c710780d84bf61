"""Signed statements: read from a meter, verified with its public key alone, and what they prove of its records and events.

A hash chain alone does not see a tail that was cut off: only a signed head says how many records there were. `prove`
therefore says which evidence there was.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hostlink import lms
from hostlink.errors import DataError, Refused
from hostlink.events import Event
from hostlink.records import IntervalRecord, decode
from hostlink.tables import body_values, values
from hostlink.values import utc
from protocol import events as event_layout
from protocol import messages, records
from protocol import status as codes
from protocol.statements import FORMAT, MAGIC, PAYLOAD

if TYPE_CHECKING:
    from hostlink.meter import Meter


@dataclass(frozen=True)
class Statement:
    """One statement, its fields those of `protocol.statements.PAYLOAD`; `signed` are the bytes under the `signature`."""

    sequence: int
    leaf: int
    serial: str
    start: datetime
    end: datetime
    made: datetime
    first: int
    next: int
    record_head: bytes
    profile: bytes
    firmware: str
    software: bytes
    sealed: bool
    seal_counter: int
    parameters: bytes
    ordinary_next: int
    ordinary_head: bytes
    legal_next: int
    legal_head: bytes
    record: IntervalRecord
    signed: bytes
    signature: bytes

    @property
    def raw(self) -> bytes:
        """The whole statement, as read."""
        return self.signed + self.signature

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "sequence": self.sequence,
            "serial": self.serial,
            "start": f"{self.start:%Y-%m-%dT%H:%M:%SZ}",
            "end": f"{self.end:%Y-%m-%dT%H:%M:%SZ}",
            "made": f"{self.made:%Y-%m-%dT%H:%M:%SZ}",
            "records": [self.first, self.next - 1],
            "record_head": self.record_head.hex(),
            "indices": list(self.record.indices),
            "registers": [str(value) for value in self.record.registers],
            "profile": self.profile.hex(),
            "firmware": self.firmware,
            "software": self.software.hex(),
            "sealed": self.sealed,
            "seal_counter": self.seal_counter,
            "parameters": self.parameters.hex(),
            "events": {
                "ordinary": [self.ordinary_next, self.ordinary_head.hex()],
                "legal": [self.legal_next, self.legal_head.hex()],
            },
        }


@dataclass
class Proof:
    """What was found: `wrong` in words, empty if all holds; records below `signed_below` are under a signature.

    Records from there on hang on the chain alone: somebody who holds them could cut them off at any point.
    """

    wrong: list[str] = field(default_factory=list)
    statements: int = 0
    signed_below: int = 0
    chained_below: int = 0

    @property
    def evidence(self) -> str:
        """One sentence: which evidence there was."""
        if not self.statements:
            return "no signed statement: the chain shows gaps and alterations within, not a tail that was cut off"
        tail = self.chained_below - self.signed_below
        words = f"{self.statements} signed statement(s) cover the records below {self.signed_below}"
        if tail > 0:
            return f"{words}; {tail} later record(s) are chained only: whether more followed cannot be told"
        return words


def parse(data: bytes) -> Statement:
    """A statement's bytes as values; nothing is verified. Raises DataError."""
    if len(data) < PAYLOAD.size or data[:4] != MAGIC:
        raise DataError(f"expected a statement of {PAYLOAD.size} bytes or more, got {len(data)} bytes that are none")
    got = values(PAYLOAD, data)
    if got.pop("format") != FORMAT:
        raise DataError(f"expected a statement of format {FORMAT}, got {data[4]}; is this host older than the meter?")
    end = PAYLOAD.size + got["record_size"]
    shape = (got.pop("channels"), got.pop("conditions"), got.pop("registers"))
    record = decode(data[PAYLOAD.size : end], *shape)
    del got["magic"], got["record_size"]
    firmware = ".".join(str(got.pop(part)) for part in ("major", "minor", "patch"))
    got.update({name: utc(got[name]) for name in ("start", "end", "made")})
    got["serial"] = got["serial"].rstrip(b"\0").decode(errors="replace")
    got["sealed"] = bool(got["sealed"])
    return Statement(**got, firmware=firmware, record=record, signed=bytes(data[:end]), signature=bytes(data[end:]))


def verify(data: bytes, public: bytes) -> Statement:
    """A statement that holds under the meter's HSS public key. Raises DataError, ProofError."""
    statement = parse(data)
    lms.verify(public, statement.signed, statement.signature, f"statement {statement.sequence}")
    return statement


def read(meter: "Meter", first: int = 0) -> Iterator[bytes]:
    """The statements that a meter holds from number `first` on, as bytes. Raises LinkError, DataError."""
    sequence = first
    newest = sequence + 1
    while sequence < newest:
        data = b""
        size = 1
        while len(data) < size:
            try:
                body = meter.ask(messages.STATEMENTS, messages.STATEMENTS_REQUEST.pack(sequence, len(data)))
            except Refused as refused:
                if refused.code != codes.NOT_FOUND:
                    raise
                if refused.detail <= sequence:
                    return
                sequence, data = refused.detail, b""
                continue
            head = body_values(messages.STATEMENTS_REPLY, body, "statement", rest=True)
            part = body[messages.STATEMENTS_REPLY.size :]
            if (head["sequence"], head["offset"]) != (sequence, len(data)) or not part:
                raise DataError(f"expected statement {sequence} from byte {len(data)}, got another part")
            size, newest = head["size"], head["next"]
            data += part
        yield data
        sequence += 1


def prove(
    statements: Sequence[Statement],
    held: Sequence[IntervalRecord] = (),
    logs: Mapping[int, Sequence[Event]] | None = None,
) -> Proof:
    """Hold verified statements of one meter against each other, its records and its events (by log), oldest first.

    The statements' signatures are taken as checked (`verify`).
    """
    proof = Proof(statements=len(statements))
    proof.signed_below = max((s.next for s in statements), default=0)
    proof.chained_below = held[-1].sequence + 1 if held else 0
    for before, after in pairwise(statements):
        proof.wrong += _follow(before, after)
    proof.wrong += _heads(statements, held)
    for statement in statements:
        for log, entries in (logs or {}).items():
            proof.wrong += _events(statement, log, entries)
    return proof


def _follow(before: Statement, after: Statement) -> list[str]:
    name = f"statement {after.sequence}"
    if before.serial != after.serial:
        return [f"{name} is of meter {after.serial}, the one before of {before.serial}"]
    if after.sequence <= before.sequence:
        return [f"{name} comes after statement {before.sequence}: out of order, or twice"]
    wrong = []
    adjacent = after.sequence == before.sequence + 1
    if adjacent and (after.first, after.start) != (before.next, before.end):
        wrong.append(f"{name} begins at record {after.first}, the one before ended at {before.next}")
    if after.leaf <= before.leaf:
        wrong.append(
            f"{name} is signed with leaf {after.leaf}, the one before with {before.leaf}: a leaf may serve once"
        )
    for what in ("seal_counter", "next", "ordinary_next", "legal_next"):
        if getattr(after, what) < getattr(before, what):
            wrong.append(f"{name}: {what.replace('_', ' ')} went down")
    if any(new < old for new, old in zip(after.record.indices, before.record.indices, strict=False)):
        wrong.append(f"{name}: an index went down")
    same = before.profile == after.profile
    if same and any(new < old for new, old in zip(after.record.registers, before.record.registers, strict=False)):
        wrong.append(f"{name}: a register went down")
    return wrong


def _heads(statements: Sequence[Statement], held: Sequence[IntervalRecord]) -> list[str]:
    known = {0: records.CHAIN_START}
    known.update({statement.next: statement.record_head for statement in statements})
    by_last = {statement.next - 1: statement for statement in statements}
    wrong = []
    head: bytes | None = None
    since = 0
    expected = held[0].sequence if held else 0
    for record in held:
        number = record.sequence
        if number != expected:
            wrong.append(
                f"expected record {expected}, got {number}: {abs(number - expected)} record(s) missing or out of order"
            )
            head = None
        expected = number + 1
        if number in known:
            if head is not None and head != known[number]:
                wrong.append(
                    f"the records {since} to {number - 1} are not those that were signed: the chain ends elsewhere"
                )
            head, since = known[number], number
        if head is not None:
            head = records.chain(head, record.raw)
            if record.link != head[: records.LINK_SIZE]:
                wrong.append(f"record {number}: the chain breaks here")
                head = None
        if number in by_last and record.raw != by_last[number].record.raw:
            wrong.append(f"record {number} is not the one in statement {by_last[number].sequence}")
    if head is not None and expected in known and head != known[expected]:
        wrong.append(f"the records {since} to {expected - 1} are not those that were signed: the chain ends elsewhere")
    newest = max((s.next for s in statements), default=0)
    if held and expected < newest:
        wrong.append(f"the records {expected} to {newest - 1} were signed and are not here: the tail was cut off")
    return wrong


def _events(statement: Statement, log: int, entries: Sequence[Event]) -> list[str]:
    count, head = (
        (statement.legal_next, statement.legal_head)
        if log == event_layout.LEGAL
        else (statement.ordinary_next, statement.ordinary_head)
    )
    name = event_layout.LOGS[log]
    if not entries or count <= entries[0].sequence:
        return []
    if entries[-1].sequence < count - 1:
        return [
            f"the {name} log had {count} events when statement {statement.sequence} was signed, here it ends earlier"
        ]
    found = [event for event in entries if event.sequence == count - 1]
    if not found or found[0].link != head:
        return [f"the {name} log is not the one that statement {statement.sequence} was signed over"]
    return []
