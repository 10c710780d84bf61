"""The typed client: what a meter says, as values."""

import time as wall
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hostlink.capture import recording
from hostlink.errors import DataError, Refused, UsageError
from hostlink.records import IntervalRecord, decode
from hostlink.session import Session
from hostlink.tables import body_values, values
from hostlink.transport import DEFAULT_BAUD, Tap, Transport
from hostlink.trust import TrustClient
from hostlink.values import Amount, Register, Time, utc
from protocol import frame, messages, registers
from protocol import status as flags
from protocol.image import Image
from protocol.records import TAG_SIZE
from protocol.session import needed

RECORDS_ASKED = 255


@dataclass(frozen=True)
class Identity:
    """Who answers: `software` and `fingerprint` are SHA-256 digests of what runs and of the active profile."""

    serial: str
    hardware: str
    firmware: str
    software: bytes
    fingerprint: bytes
    channels: int
    conditions: int
    registers: int
    interval: int


@dataclass(frozen=True)
class Reading:
    """One short reading; an amount is None if the profile names no such register."""

    time: Time
    status: int
    volume: int | None
    energy: int | None
    emissions: int | None


@dataclass(frozen=True)
class Registers:
    """All registers at one moment, and the tag of the profile that governs them."""

    time: Time
    status: int
    profile: bytes
    registers: tuple[Register, ...]


class Meter(TrustClient):
    """A meter at `address` on an open transport. Methods raise the errors of `hostlink.errors.LinkError`, and DataError."""

    def __init__(self, transport: Transport, address: int = frame.ADDRESS_ANY, *, timeout: float | None = None) -> None:
        self.transport = transport
        self.address = address
        self.timeout = timeout
        self.session: Session | None = None

    def ask(self, message: int, body: bytes = b"", *, timeout: float | None = None, retries: int = 3) -> bytes:
        """Send one request, under a MAC if it needs a role and a session is open (`hostlink.session.Privileged`).

        Returns the reply's body. `timeout` in seconds overrides the one derived from the baud rate.
        """
        limit = self.timeout if timeout is None else timeout
        session = self.session if needed(message) else None
        return self.transport.exchange(
            self.address, message, body, timeout=limit, retries=retries, session=session
        ).body

    def identify(self) -> Identity:
        """Serial number, versions, digests and the shape of the meter's records."""
        got = body_values(messages.IDENTITY, self.ask(messages.IDENTIFY), "identity")
        if got["protocol"] != frame.VERSION:
            raise DataError(
                f"expected protocol version {frame.VERSION}, the meter speaks {got['protocol']}; update one of them"
            )
        return Identity(
            _text(got["serial"]),
            _text(got["hardware"]),
            f"{got['major']}.{got['minor']}.{got['patch']}",
            got["software"],
            got["fingerprint"],
            got["channels"],
            got["conditions"],
            got["registers"],
            got["interval"],
        )

    def reading(self) -> Reading:
        """Time, status and the headline registers in whole units: 48 bytes on the wire, request included."""
        got = body_values(messages.READING_REPLY, self.ask(messages.READING), "reading")
        volume, energy = (None if got[n] == (1 << 48) - 1 else got[n] for n in ("volume", "energy"))
        emissions = None if got["emissions"] == (1 << 64) - 1 else got["emissions"]
        return Reading(_time(got), got["status"], volume, energy, emissions)

    def registers(self) -> Registers:
        """Every register with unit and exponent."""
        body = self.ask(messages.REGISTERS)
        head = body_values(messages.REGISTERS_REPLY, body, "registers", rest=True)
        entry = messages.REGISTER_ENTRY
        at = messages.REGISTERS_REPLY.size
        if len(body) != at + head["count"] * entry.size:
            raise DataError(f"expected {head['count']} registers of {entry.size} bytes, got {len(body) - at} bytes")
        found = []
        for n in range(head["count"]):
            got = values(entry, body, at + n * entry.size)
            unit = registers.UNITS.get(got["unit"], f"unit {got['unit']}")
            amount = Amount(got["value"], unit, got["exponent"], got["mantissa"], registers.FRACTION_BITS)
            found.append(Register(got["number"], got["quantity"], got["direction"], amount))
        return Registers(_time(head), head["status"], head["profile"], tuple(found))

    def records(
        self, first: int | None = None, progress: Callable[[int, int], None] | None = None
    ) -> Iterator[IntervalRecord]:
        """Interval records from sequence number `first` (default: the oldest held) to the newest, block by block.

        Stop anywhere and go on later with the next sequence number. `progress(done, total)` counts records. One that the meter
        cannot read any more is missing: its number shows it.
        """
        count = self.status()["records"]
        if first is None:
            first = self.oldest_record() if count else 0
        start = first
        while first < count:
            try:
                body = self.ask(messages.RECORDS, messages.RECORDS_REQUEST.pack(first, RECORDS_ASKED))
            except Refused as refused:
                if refused.code != flags.STORAGE:
                    raise
                first += 1
                continue
            head = body_values(messages.RECORDS_REPLY, body, "records", rest=True)
            found = block(body)
            if found[0].sequence != first:
                raise DataError(f"expected records from number {first} on, got them from {found[0].sequence}")
            yield from found
            first += head["count"]
            if progress:
                progress(first - start, count - start)

    def oldest_record(self) -> int:
        """Sequence number of the oldest interval record the meter holds; raises Refused if it holds none."""
        count = self.status()["records"]
        body = self.ask(messages.RECORDS, messages.RECORDS_REQUEST.pack(max(count, 1) - 1, 1))
        return body_values(messages.RECORDS_REPLY, body, "records", rest=True)["oldest"]

    def status(self) -> dict[str, int]:
        """The meter's own counters, by field name of `protocol.messages.STATUS_REPLY`."""
        return body_values(messages.STATUS_REPLY, self.ask(messages.STATUS), "status")

    def inputs(self) -> list[tuple[int | None, int | None]]:
        """Every input of the board: what it measures, and what its calibration makes of it; None: missing."""
        body = self.ask(messages.INPUTS)
        head = body_values(messages.INPUTS_REPLY, body, "inputs", rest=True)
        entry, at = messages.INPUT_ENTRY, messages.INPUTS_REPLY.size
        if len(body) != at + head["count"] * entry.size:
            raise DataError(f"expected {head['count']} inputs of {entry.size} bytes, got {len(body) - at} bytes")
        found = [values(entry, body, at + n * entry.size) for n in range(head["count"])]
        return [(*(None if got[name] < 0 else got[name] for name in ("raw", "value")),) for got in found]  # type: ignore[misc]

    def clock(self) -> Time:
        """The meter's time."""
        return _clock(self.ask(messages.CLOCK_GET))

    def set_clock(self, seconds: int | None = None) -> Time:
        """Set the meter's clock to UNIX seconds, by default this computer's; returns what the meter then says.

        Raises UsageError for a time that no meter takes.
        """
        now = int(wall.time()) if seconds is None else seconds
        if not messages.CLOCK_EARLIEST <= now <= messages.CLOCK_LATEST:
            raise UsageError(f"expected a time of the years 2000 to 2099, got {now} s; is this computer's clock set?")
        return _clock(self.ask(messages.CLOCK_SET, messages.CLOCK_SET_REQUEST.pack(now)))

    def profile(self, tag: bytes = bytes(TAG_SIZE)) -> Image:
        """The profile image with this tag, by default the active one, fetched in blocks. Raises DataError if it is damaged."""
        data = b""
        size = 1
        while len(data) < size:
            request = messages.BLOB_READ_REQUEST.pack(messages.PROFILE, tag, len(data), frame.MAX_BODY)
            body = self.ask(messages.BLOB_READ, request)
            head = body_values(messages.BLOB_READ_REPLY, body, "profile block", rest=True)
            size = head["size"]
            if head["offset"] != len(data) or len(body) == messages.BLOB_READ_REPLY.size:
                raise DataError(f"expected the profile from byte {len(data)}, got byte {head['offset']}")
            data += body[messages.BLOB_READ_REPLY.size :]
        try:
            return Image(data)
        except ValueError as error:
            raise DataError(f"expected a profile image: {error}") from None


def block(body: bytes) -> list[IntervalRecord]:
    """The records of one RECORDS reply. Raises DataError if its size is not what its head says."""
    head = body_values(messages.RECORDS_REPLY, body, "records", rest=True)
    shape = (head["channels"], head["conditions"], head["registers"])
    at = messages.RECORDS_REPLY.size
    size, rest = divmod(len(body) - at, head["count"] or 1)
    if rest or not head["count"]:
        raise DataError(f"expected {head['count']} records of one size, got {len(body) - at} bytes")
    return [decode(body[at + n * size : at + (n + 1) * size], *shape) for n in range(head["count"])]


@contextmanager
def connect(
    url: str,
    address: int = frame.ADDRESS_ANY,
    baud: int = DEFAULT_BAUD,
    timeout: float | None = None,
    tap: Tap | None = None,
    capture: Path | None = None,
    clock: Callable[[], float] = wall.monotonic,
) -> Iterator[Meter]:
    """A meter behind a pyserial URL, closed at the end. `capture` names a file to append every byte to.

    `clock` gives the seconds of the time-outs (`Transport`). Raises PortError.
    """
    with recording(capture, url, baud, tap) as seen:
        transport = Transport(url, baud, seen, clock)
        try:
            yield Meter(transport, address, timeout=timeout)
        finally:
            transport.close()


def _text(padded: bytes) -> str:
    return padded.rstrip(b"\0").decode(errors="replace")


def _time(got: dict) -> Time:
    return Time(utc(got["time"]), not got["status"] & flags.CLOCK_INVALID)


def _clock(body: bytes) -> Time:
    got = body_values(messages.CLOCK, body, "clock")
    return Time(utc(got["time"]).replace(microsecond=1000 * got["millisecond"]), bool(got["valid"]))
