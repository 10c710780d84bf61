"""The deframer: no noise, however cut into reads, costs a good frame; linear time, bounded memory."""

import random
import sys
import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import frame
from protocol.deframer import CRC, OVERSIZE, REASONS, Deframer

FRAME = st.tuples(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=80))
HOSTILE = 1 << 16


def plain(address: int, sequence: int, body: bytes) -> bytes:
    return bytes((address, frame.VERSION, sequence, 4)) + body


def wire(address: int, sequence: int, body: bytes) -> bytes:
    return frame.encode(address, 0, sequence, 4, body)


def fed(deframer: Deframer, reads: Iterable[bytes]) -> list[bytes]:
    return [bytes(got) for data in reads for got in deframer.feed(data)]


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """`data` in reads of the given sizes, over and over."""
    reads = []
    at = n = 0
    while at < len(data):
        reads.append(data[at : at + sizes[n % len(sizes)]])
        at += len(reads[-1])
        n += 1
    return reads


@given(
    st.lists(st.tuples(st.binary(max_size=40), FRAME), max_size=6),
    st.binary(max_size=40),
    st.lists(st.integers(1, 50), min_size=1, max_size=5),
)
def test_noise_between_frames_costs_none(frames: list, tail: bytes, sizes: list[int]) -> None:
    stream = b"".join(noise + wire(*one) for noise, one in frames) + tail
    deframer = Deframer()
    assert fed(deframer, cut(stream, sizes)) == [plain(*one) for _, one in frames]
    assert deframer.good == len(frames)


@given(st.binary(max_size=3000), FRAME)
def test_a_frame_is_found_after_anything(noise: bytes, one: tuple) -> None:
    assert fed(Deframer(), [noise, wire(*one)])[-1:] == [plain(*one)]


@given(st.data())
def test_a_spoilt_byte_costs_its_frame_and_no_other(data: st.DataObject) -> None:
    frames = data.draw(st.lists(FRAME, min_size=3, max_size=5))
    wires = [bytearray(wire(*one)) for one in frames]
    victim = data.draw(st.integers(0, len(frames) - 1))
    at = data.draw(st.integers(0, len(wires[victim]) - 1))
    wires[victim][at] ^= data.draw(st.integers(1, 255))
    got = fed(Deframer(), [b"".join(wires)])
    others = [plain(*one) for n, one in enumerate(frames) if n != victim]
    # A spoilt delimiter of a frame may leave it whole: the neighbour's delimiter closes it.
    assert [one for one in got if one != plain(*frames[victim])] == [o for o in others if o != plain(*frames[victim])]
    assert len(got) in (len(frames) - 1, len(frames))


@pytest.mark.parametrize("stray", [1, 20])
def test_stray_bytes_between_thousand_frames(stray: int) -> None:
    random_ = random.Random(stray)
    frames = [(1, n & 255, random_.randbytes(52)) for n in range(1000)]
    stream = b"".join(random_.randbytes(stray) + wire(*one) for one in frames)
    deframer = Deframer()
    assert fed(deframer, cut(stream, [64])) == [plain(*one) for one in frames]


def test_every_tenth_frame_corrupted_loses_no_good_frame() -> None:
    random_ = random.Random(10)
    frames = [(1, n & 255, random_.randbytes(52)) for n in range(1000)]
    stream = bytearray()
    for n, one in enumerate(frames):
        encoded = bytearray(wire(*one))
        if n % 10 == 9:
            encoded[random_.randrange(1, len(encoded) - 1)] ^= random_.randrange(1, 256)
        stream += encoded
    deframer = Deframer()
    assert fed(deframer, cut(bytes(stream), [64])) == [plain(*one) for n, one in enumerate(frames) if n % 10 != 9]
    assert deframer.good == 900 and 100 <= sum(deframer.refused.values()) <= 200


@settings(max_examples=30)
@given(st.binary(max_size=400))
def test_what_is_refused_is_told_byte_for_byte(noise: bytes) -> None:
    told: list[tuple[str, bytes]] = []
    deframer = Deframer(on_refused=lambda reason, encoded: told.append((reason, encoded)))
    fed(deframer, [noise, b"\0"])
    assert [encoded for _, encoded in told] == [run for run in noise.split(b"\0") if run]
    assert {reason: sum(r == reason for r, _ in told) for reason in REASONS} == deframer.refused


def test_a_frame_that_begins_and_stops_is_forgotten_when_told_so() -> None:
    deframer = Deframer()
    one = wire(1, 2, b"body")
    assert fed(deframer, [one[:-3]]) == []
    deframer.clear()
    assert sum(deframer.refused.values()) == 1
    deframer.clear()
    assert sum(deframer.refused.values()) == 1
    assert fed(deframer, [one]) == [plain(1, 2, b"body")]


def hostile(kind: str, size: int) -> bytes:
    random_ = random.Random(size)
    good = wire(1, 2, bytes(52))
    return {
        "no delimiter": b"\x01" * size,
        "delimiters only": bytes(size),
        "pairs": b"\x01\0" * (size // 2),
        "random": random_.randbytes(size),
        "beginnings": good[:-1] * (size // len(good)),
        "oversize runs": (b"\x02" * (frame.MAX_ENCODED + 1) + b"\0") * (size // frame.MAX_ENCODED),
        "longest code": (b"\xff" * frame.MAX_ENCODED + b"\0") * (size // frame.MAX_ENCODED),
    }[kind]


KINDS = ("no delimiter", "delimiters only", "pairs", "random", "beginnings", "oversize runs", "longest code")


def lines_run(data: bytes) -> int:
    """Lines of Python executed while `data` is taken in: work that does not depend on the machine."""
    count = 0

    def tracer(*_: object) -> object:
        nonlocal count
        count += 1
        return tracer

    deframer = Deframer()
    before = sys.gettrace()
    sys.settrace(tracer)  # type: ignore[arg-type]
    try:
        for read in cut(data, [256]):
            for _ in deframer.feed(read):
                pass
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_bytes_cost_linear_time(kind: str) -> None:
    """Twice the bytes, twice the lines executed; and never more than 25 lines a byte."""
    half, whole = lines_run(hostile(kind, HOSTILE // 2)), lines_run(hostile(kind, HOSTILE))
    assert whole <= 2.1 * half + 1000
    assert whole <= 25 * HOSTILE


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_bytes_cost_bounded_memory(kind: str) -> None:
    deframer = Deframer()
    reads = cut(hostile(kind, HOSTILE), [256]) * 2
    fed(deframer, reads[:16])
    tracemalloc.start()
    try:
        for data in reads:
            for _ in deframer.feed(data):
                pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * frame.MAX_WIRE  # tracing sees what the interpreter caches beside it
    assert fed(deframer, [wire(1, 1, b"still here")])[-1:] == [plain(1, 1, b"still here")]


def test_the_largest_frame_fits_and_one_byte_more_is_refused() -> None:
    deframer = Deframer()
    largest = frame.encode(1, 0, 2, 4, b"\x01" * frame.MAX_BODY)
    assert len(fed(deframer, [largest])) == 1
    longer = frame.Encoder(frame.MAX_BODY + 1)
    longer.body[:] = b"\x01" * (frame.MAX_BODY + 1)
    assert fed(deframer, [bytes(longer.finish(1, 0, 2, 4, frame.MAX_BODY + 1)), largest]) == [
        bytes((1, 1, 2, 4)) + b"\x01" * frame.MAX_BODY
    ]
    assert deframer.refused[OVERSIZE] + deframer.refused[CRC] == 1
