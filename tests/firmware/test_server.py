"""The server against everything a line can bring: a status or silence, counted, never a crash, never a changed register."""

from __future__ import annotations

import binascii
import os
import random
import select
import struct
import time
from collections.abc import Iterator

import pytest

from hostlink.tables import values
from protocol import frame, messages
from protocol import status as codes
from protocol.deframer import CRC, OVERSIZE, SHORT, STUFFING, Deframer
from testbench.rigs.unix import UnixRig
from tests.firmware.test_terms import START, every_kind

ADDRESS = 7
SEED = int(os.environ.get("TONNE_SEED", "2"))
READING = range(messages.IDENTIFY, messages.STATUS + 1)
OPEN = (
    *READING,
    messages.EVENTS,
    messages.STATEMENTS,
    messages.BLOB_READ,
    messages.BLOB_BEGIN,
    messages.BLOB_BLOCK,
    messages.BLOB_COMMIT,
)
"""Messages that a meter without keys takes from everybody."""


class Line:
    """The meter's line at `url` as raw bytes; it must answer within `patience` seconds."""

    def __init__(self, url: str, patience: float = 20.0) -> None:
        self._port = os.open(url, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._patience = patience
        self._deframer = Deframer()
        self._sequence = 0

    def close(self) -> None:
        os.close(self._port)

    @property
    def closing(self) -> int:
        """The sequence number of the question that will end the next `send`."""
        return self._sequence + 1 & 0xFF

    def send(self, data: bytes) -> list[bytes]:
        """Send `data` and then a question whose answer ends the waiting; the replies that came before that answer."""
        self._sequence = self.closing
        self.write(data + frame.encode(ADDRESS, 0, self._sequence, messages.CLOCK_GET))
        answer = bytes((ADDRESS, frame.CONTROL_REPLY | frame.VERSION, self._sequence, messages.CLOCK_GET))
        replies: list[bytes] = []
        limit = time.monotonic() + self._patience
        while True:
            assert time.monotonic() < limit, "the meter does not answer any more"
            if select.select([self._port], [], [], 1)[0]:
                for got in self._deframer.feed(os.read(self._port, 4096)):
                    if bytes(got[:4]) == answer and len(got) == 4 + messages.CLOCK.size:
                        return replies
                    replies.append(bytes(got))

    def ask(
        self, message: int, body: bytes = b"", address: int = ADDRESS, control: int = 0, sequence: int = 200
    ) -> list[bytes]:
        return self.send(frame.encode(address, control, sequence, message, body))

    def status(self) -> dict[str, int]:
        (reply,) = self.ask(messages.STATUS)
        return values(messages.STATUS_REPLY, reply[4:])

    def registers(self) -> bytes:
        """Every register with its value, without time and status."""
        (reply,) = self.ask(messages.REGISTERS)
        return reply[4 + messages.REGISTERS_REPLY.size - 1 :]

    def drop(self) -> int:
        """Read and forget what waits; the number of bytes."""
        dropped = 0
        while select.select([self._port], [], [], 0.3)[0]:
            dropped += len(os.read(self._port, 1 << 16))
        return dropped

    def write(self, data: bytes) -> None:
        """All of `data`, without reading."""
        while data:
            select.select([], [self._port], [], 10)
            data = data[os.write(self._port, data[:1024]) :]


@pytest.fixture(scope="module")
def rig() -> Iterator[UnixRig]:
    with UnixRig(bytes(every_kind(1).data), time=START, address=ADDRESS) as meter:
        for n, value in enumerate((101_325, 28_815, 5_000)):
            meter.condition(n, value)
        meter.pulses(0, 1_000_000)
        meter.pulses(1, 0xFFFFFFFF)
        meter.advance(3_600_000)
        meter.settle()
        yield meter


@pytest.fixture
def line(rig: UnixRig) -> Iterator[Line]:
    line = Line(rig.url)
    yield line
    line.close()


def refusal(replies: list[bytes], message: int, sequence: int = 200) -> tuple[int, int]:
    """Code and detail of the one refusal in `replies`."""
    (reply,) = replies
    control = frame.CONTROL_REPLY | frame.CONTROL_REFUSED | frame.VERSION
    assert reply[:4] == bytes((ADDRESS, control, sequence, message))
    return messages.REFUSAL.unpack_from(reply, 4)


@pytest.mark.parametrize("message", OPEN)
def test_a_body_of_wrong_length_is_refused_with_the_right_one(line: Line, message: int) -> None:
    before = line.registers()
    request = messages.CATALOGUE[message][1]
    sizes = {request.size + 1, request.size + 100, frame.MAX_BODY, max(request.size - 1, 0)} - {request.size}
    for size in sorted(sizes):
        code, detail = refusal(line.ask(message, bytes(size)), message)
        if message == messages.BLOB_BLOCK and size > request.size:
            assert code != codes.WRONG_LENGTH  # data of any length may follow its head
        else:
            assert (code, detail) == (codes.WRONG_LENGTH, request.size)
    assert line.registers() == before


@pytest.mark.parametrize("message", sorted({0, 0x1F, 0x7F, 0xFE, 0xFF} - set(messages.CATALOGUE)))
def test_an_unknown_message_is_refused(line: Line, message: int) -> None:
    assert refusal(line.ask(message, b"whatever"), message) == (codes.UNKNOWN_MESSAGE, message)


@pytest.mark.parametrize(
    ("message", "body", "code", "detail"),
    [
        (messages.RECORDS, messages.RECORDS_REQUEST.pack(4, 1), codes.NOT_FOUND, 4),
        (messages.RECORDS, messages.RECORDS_REQUEST.pack(0xFFFFFFFF, 255), codes.NOT_FOUND, 4),
        (messages.RECORDS, messages.RECORDS_REQUEST.pack(0, 0), codes.BAD_VALUE, 0),
        (messages.CLOCK_SET, messages.CLOCK_SET_REQUEST.pack(0), codes.BAD_VALUE, 0),
        (messages.CLOCK_SET, messages.CLOCK_SET_REQUEST.pack(946_684_799), codes.BAD_VALUE, 946_684_799),
        (messages.CLOCK_SET, messages.CLOCK_SET_REQUEST.pack(0xFFFFFFFF), codes.BAD_VALUE, 0xFFFFFFFF),
        (messages.BLOB_READ, messages.BLOB_READ_REQUEST.pack(77, bytes(8), 0, 10), codes.NOT_FOUND, 77),
        (messages.BLOB_READ, messages.BLOB_READ_REQUEST.pack(1, b"no such!", 0, 10), codes.NOT_FOUND, 1),
        (messages.BLOB_BEGIN, messages.BLOB_BEGIN_REQUEST.pack(99, 1, bytes(32)), codes.BAD_VALUE, 99),
        (messages.BLOB_BEGIN, messages.BLOB_BEGIN_REQUEST.pack(1, 0, bytes(32)), codes.BAD_VALUE, 8192),
        (messages.BLOB_BEGIN, messages.BLOB_BEGIN_REQUEST.pack(1, 0xFFFFFFFF, bytes(32)), codes.BAD_VALUE, 8192),
        (messages.BLOB_BLOCK, messages.BLOB_BLOCK_REQUEST.pack(0, 0), codes.NOT_READY, 0),
        (messages.BLOB_BLOCK, messages.BLOB_BLOCK_REQUEST.pack(1, 0) + b"data", codes.NOT_READY, 0),
        (messages.BLOB_COMMIT, messages.BLOB_COMMIT_REQUEST.pack(1, bytes(32)), codes.NOT_READY, 0),
    ],
)
def test_a_bad_value_is_refused_and_named(line: Line, message: int, body: bytes, code: int, detail: int) -> None:
    before = line.registers()
    assert refusal(line.ask(message, body), message) == (code, detail)
    assert line.registers() == before


def test_a_block_after_an_abandoned_blob_is_refused(line: Line) -> None:
    """A commit whose digest does not match drops the blob; a late block of it finds nothing to go to."""
    line.ask(messages.BLOB_BEGIN, messages.BLOB_BEGIN_REQUEST.pack(1, 4, bytes(32)))
    line.ask(messages.BLOB_BLOCK, messages.BLOB_BLOCK_REQUEST.pack(1, 0) + b"data")
    commit = line.ask(messages.BLOB_COMMIT, messages.BLOB_COMMIT_REQUEST.pack(1, bytes(32)))
    assert refusal(commit, messages.BLOB_COMMIT) == (codes.BAD_DIGEST, 0)
    for body in (b"", b"data"):
        late = line.ask(messages.BLOB_BLOCK, messages.BLOB_BLOCK_REQUEST.pack(1, 0) + body)
        assert refusal(late, messages.BLOB_BLOCK)[0] == codes.NOT_READY


def test_another_version_is_refused_with_ours(line: Line) -> None:
    wire = bytearray(frame.MAX_WIRE)
    plain = bytes((ADDRESS, 0x02, 200, messages.READING))
    crc = binascii.crc32(plain)
    size = frame.stuff(plain + struct.pack("<I", crc), 8, wire)
    assert refusal(line.send(bytes(wire[:size])), messages.READING) == (codes.WRONG_VERSION, frame.VERSION)


def test_what_is_not_for_this_meter_is_met_with_silence_and_counted(line: Line) -> None:
    before = line.status()
    assert line.ask(messages.READING, address=ADDRESS + 1) == []
    assert line.ask(messages.READING, address=0) == []
    assert line.ask(messages.READING, control=frame.CONTROL_REPLY) == []
    after = line.status()
    assert after["other_address"] - before["other_address"] == 3
    assert after["refused_requests"] == before["refused_requests"]


def test_any_meter_answers_the_common_address_with_its_own(line: Line) -> None:
    (reply,) = line.ask(messages.READING, address=frame.ADDRESS_ANY)
    assert reply[0] == ADDRESS


def test_the_sequence_is_echoed(line: Line) -> None:
    for sequence in (0, 1, 127, 255):
        (reply,) = line.ask(messages.READING, sequence=sequence)
        assert reply[2] == sequence


@pytest.mark.parametrize(
    ("noise", "reason"),
    [
        (b"\x02\x17", SHORT),
        (b"\x05\x01", STUFFING),
        (frame.encode(ADDRESS, 0, 1, messages.READING)[:-2], STUFFING),
        (frame.encode(ADDRESS, 0, 1, messages.READING).replace(b"\xa4", b"\xa3", 1), CRC),
        (b"\x33" * (frame.MAX_ENCODED + 1), OVERSIZE),
        (b"\x33" * 5000, OVERSIZE),
    ],
)
def test_bytes_that_are_no_frame_are_counted_as_what_they_are(line: Line, noise: bytes, reason: str) -> None:
    before = line.status()
    assert line.send(b"\0" + noise) == []
    after = line.status()
    names = {f"refused_{kind}" for kind in (SHORT, STUFFING, CRC, OVERSIZE)}
    assert {name: after[name] - before[name] for name in names} == {n: int(n == f"refused_{reason}") for n in names}


def hostile(random_: random.Random, closing: int) -> tuple[bytes, list[tuple[int, int]]]:
    """Noise, a cut or a spoilt frame, or a well-formed one with a random message and body; what is answered of it.

    Its sequence number is not `closing`.
    """
    message = random_.choice((*OPEN, random_.randrange(256)))
    layout = messages.CATALOGUE[message][1] if message in messages.CATALOGUE else None
    exact = layout is not None and random_.random() < 0.7
    size = layout.size if layout is not None and exact else random_.choice((0, 1, 40, 300, frame.MAX_BODY))
    body = random_.randbytes(size)
    if message == messages.BLOB_READ and random_.random() < 0.5:
        body = messages.BLOB_READ_REQUEST.pack(1, bytes(8), random_.randrange(900), random_.randrange(1 << 16))
    address = random_.choice((ADDRESS, ADDRESS, 255, random_.randrange(256)))
    sequence = random_.randrange(256)
    if sequence == closing:
        sequence ^= 0x80
    wire = frame.encode(address, 0, sequence, message, body)
    kind = random_.randrange(4)
    if kind == 0:
        return random_.randbytes(random_.randrange(400)), []
    if kind == 1:
        return wire[: random_.randrange(len(wire) - 1)], []
    if kind == 2:
        spoilt = bytearray(wire)
        spoilt[random_.randrange(1, len(wire) - 1)] ^= random_.randrange(1, 256)
        return bytes(spoilt), []
    return wire, [(sequence, message)] if address in (ADDRESS, 255) else []


def hold_out(line: Line, random_: random.Random, rounds: int, most: int) -> None:
    """Send `rounds` of up to `most` hostile things: every whole request is answered once, no register changes."""
    before = line.registers()
    for _ in range(rounds):
        things = [hostile(random_, line.closing) for _ in range(random_.randrange(1, most + 1))]
        replies = line.send(b"".join(wire for wire, _ in things))
        assert [(reply[2], reply[3]) for reply in replies] == [one for _, answers in things for one in answers]
        assert all(reply[0] == ADDRESS and reply[1] & frame.CONTROL_REPLY for reply in replies)
    assert line.registers() == before


def test_hostile_bytes_and_hostile_requests_change_no_register(rig: UnixRig, line: Line) -> None:
    hold_out(line, random.Random(SEED), rounds=1000, most=11)
    rig.settle()


def test_a_host_that_never_reads_does_not_stop_the_meter(rig: UnixRig) -> None:
    """Replies that nobody takes are lost; the meter goes on counting."""
    line = Line(rig.url)
    before = line.registers()
    flood = frame.encode(ADDRESS, 0, 1, messages.REGISTERS) * 2000
    line.write(flood)
    rig.pulses(0, 5)
    rig.advance(1000)
    rig.settle()
    unread = line.drop()
    line.close()
    line = Line(rig.url)
    assert unread < 2000 * len(before)
    assert line.registers() != before
    line.close()
