"""One synthetic meter: interval records as its firmware would write them, and the capture of a session that reads them.

Registers are Python integers, the chain is hashed record by record: nothing here is the arithmetic that verification uses.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from hostlink import capture
from hostlink.columns import record_dtype
from protocol import frame, messages, records
from protocol import status as flags
from protocol.image import Image
from testbench.demo import gas_profile
from testbench.series import CUBIC_FOOT, furnace_gas

INTERVAL = 900
SHAPE = (1, 0, 1)
SIZE = records.size(*SHAPE)
PER_FRAME = (frame.MAX_BODY - messages.RECORDS_REPLY.size) // SIZE
ADDRESS = 1
_WHITEN = bytes(byte ^ frame.WHITENER for byte in range(256))


@dataclass
class Meter:
    """A meter's records as bytes, and how the session that reads them goes: numbers of records to ask for, in order."""

    serial: str
    rows: NDArray
    read: list[int]
    following: int


@cache
def profile() -> Image:
    """The gas profile that all meters run."""
    return Image(gas_profile(CUBIC_FOOT)[0])


@cache
def measured_counts() -> NDArray[np.int64]:
    """Pulses of each quarter of an hour of the measured furnace, whole days."""
    series = furnace_gas()
    start = series.times[0] - series.times[0] % 86400
    slots = (np.array(series.times) - start) // INTERVAL
    counts = np.bincount(slots, series.counts).astype("i8")
    return counts[: len(counts) // 96 * 96]


def make(serial: str, days: int, start: int, random: np.random.Generator) -> Meter:
    """A meter with `days` of records from UNIX second `start`, its counts the measured furnace's days in another order."""
    measured = measured_counts().reshape(-1, 96)
    counts = measured[random.integers(0, len(measured), days)].reshape(-1) * int(random.integers(1, 4))
    rows = np.zeros(len(counts), record_dtype(SHAPE))
    rows["sequence"] = np.arange(len(counts))
    rows["start"] = start + INTERVAL * np.arange(len(counts))
    rows["duration"] = INTERVAL
    rows["profile"] = np.void(profile().fingerprint[: records.TAG_SIZE])
    rows["increment0"] = counts
    index = np.cumsum(counts)
    rows["index0"] = index
    (_, _, _, shift, constant, *_), *_ = profile().terms
    step = constant << 32 * shift
    registers = b"".join((step * value).to_bytes(16, "little") for value in index.tolist())
    rows["register0"] = np.frombuffer(registers, rows.dtype["register0"])
    return Meter(serial, rows, list(range(len(rows))), len(rows))


def step_clock(meter: Meter, at: int, seconds: int) -> None:
    """From record `at` on the meter's time is `seconds` later (earlier if negative), and it says so."""
    meter.rows["start"][at:] = (meter.rows["start"][at:].astype("i8") + seconds).astype("u4")
    meter.rows["status"][at] |= flags.CLOCK_CHANGED


def link(meter: Meter) -> None:
    """Put the hash chain's links into the records."""
    data = meter.rows.tobytes()
    head = records.CHAIN_START
    links = []
    for at in range(0, len(data), SIZE):
        head = sha256(head + data[at : at + SIZE - records.LINK_SIZE]).digest()
        links.append(head[: records.LINK_SIZE])
    meter.rows["link"] = np.frombuffer(b"".join(links), "V4")


def session(meter: Meter, utc: int) -> bytes:
    """The capture of a session that identifies the meter, reads its profile and its records; `utc` in UNIX seconds."""
    clock = utc * 10**9
    parts = [capture.pack(capture.OPEN, b'{"port": "synthetic", "baud": 115200}', 0, clock)]
    for sequence, (code, request, reply) in enumerate(_exchanges(meter)):
        clock += 40_000_000
        asked = wire(ADDRESS, 0, sequence & 255, code, request)
        parts.append(capture.pack(capture.TX, asked, clock, clock))
        clock += 90_000_000
        answered = wire(ADDRESS, frame.CONTROL_REPLY, sequence & 255, code, reply)
        parts.append(capture.pack(capture.RX, answered, clock, clock))
    return b"".join(parts)


def _exchanges(meter: Meter) -> Iterator[tuple[int, bytes, bytes]]:
    image = profile()
    yield (
        messages.IDENTIFY,
        b"",
        messages.IDENTITY.pack(
            1, meter.serial.encode(), b"synthetic", 0, 1, 0, bytes(32), image.fingerprint, *SHAPE, INTERVAL
        ),
    )
    tag = image.fingerprint[: records.TAG_SIZE]
    asked = messages.BLOB_READ_REQUEST.pack(messages.PROFILE, tag, 0, frame.MAX_BODY)
    yield messages.BLOB_READ, asked, messages.BLOB_READ_REPLY.pack(image.size, 0) + bytes(image.data)
    data = meter.rows.tobytes()
    for first, count in _blocks(meter.read):
        head = messages.RECORDS_REPLY.pack(first, 0, meter.following, count, *SHAPE)
        body = data[first * SIZE : (first + count) * SIZE]
        yield messages.RECORDS, messages.RECORDS_REQUEST.pack(first, 255), head + body


def _blocks(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """First and count of each block: numbers that follow each other, at most a frame full."""
    first = count = 0
    for number in numbers:
        if count and number == first + count and count < PER_FRAME:
            count += 1
            continue
        if count:
            yield first, count
        first, count = number, 1
    if count:
        yield first, count


def wire(address: int, control: int, sequence: int, message: int, body: bytes) -> bytes:
    """`protocol.frame.encode` in calls of C: a test holds the two together."""
    plain = bytes((address, control | frame.VERSION, sequence, message)) + body
    white = (plain + crc32(plain).to_bytes(4, "little")).translate(_WHITEN)
    parts = [b"\0"]
    runs = white.split(b"\0")
    last = len(runs) - 1
    for n, run in enumerate(runs):
        while len(run) > 253 and (len(run) > 254 or n == last):
            parts += (b"\xff", run[:254])
            run = run[254:]
            if not run and n == last:
                break
        else:
            if len(run) == 254:
                parts += (b"\xff", run, b"\x01")
            else:
                parts += (bytes((len(run) + 1,)), run)
    parts.append(b"\0")
    return b"".join(parts)
