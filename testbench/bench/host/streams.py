"""Streams to decode: RECORDS replies as a meter with the measured furnace's counts sends them, short readings, and noise."""

import random

import numpy as np

from protocol import frame, messages
from testbench.synthesize.meter import ADDRESS, PER_FRAME, SIZE, link, make, wire

RECORD_FRAMES = 15_000
READINGS = 40_000
CORRUPTED = 0.01


def record_frames(count: int = RECORD_FRAMES) -> list[bytes]:
    """RECORDS replies of 19 interval records of 52 bytes each, with delimiters."""
    found: list[bytes] = []
    number = 0
    while len(found) < count:
        meter = make(f"B-{number}", 35, 1_767_225_600, np.random.default_rng(number))
        link(meter)
        data = meter.rows.tobytes()
        for first in range(0, len(meter.rows) - PER_FRAME + 1, PER_FRAME):
            head = messages.RECORDS_REPLY.pack(first, 0, meter.following, PER_FRAME, 1, 0, 1)
            body = head + data[first * SIZE : (first + PER_FRAME) * SIZE]
            found.append(wire(ADDRESS, frame.CONTROL_REPLY, len(found) & 255, messages.RECORDS, body))
        number += 1
    return found[:count]


def readings(count: int = READINGS) -> list[bytes]:
    """READING replies, 37 bytes each with delimiters: time, status, volume, energy, emissions."""
    found = []
    for n in range(count):
        body = messages.READING_REPLY.pack(1_767_225_600 + n, 0, 123_456 + n, (1 << 48) - 1, 7_777_777 * n)
        found.append(wire(ADDRESS, frame.CONTROL_REPLY, n & 255, messages.READING, body))
    return found


def corrupted(frames: list[bytes]) -> tuple[bytes, set[int]]:
    """The frames in a row with one byte in a hundred changed, and the offsets of those that are whole."""
    random_ = random.Random(1)
    data = bytearray()
    whole = set()
    for each in frames:
        part = bytearray(each)
        hit = [at for at in range(len(part)) if random_.random() < CORRUPTED]
        for at in hit:
            part[at] ^= random_.randrange(1, 256)
        if not hit:
            whole.add(len(data) + 1)
        data += part
    return bytes(data), whole
