"""The bulk decoder gives what the one-frame decoder gives, on any bytes: frames, refusals with offsets, records."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostlink import bulk, columns, stuffing, stuffing_compiled
from hostlink.errors import DataError
from hostlink.meter import block
from hostlink.tables import dtype
from protocol import frame, messages, records
from protocol.deframer import Deframer

both = pytest.mark.parametrize("scan", [stuffing.scan, stuffing_compiled.scan], ids=["numpy", "compiled"])

Run = tuple[int, int, str | bytes]
"""Offset and size of a run between zeros, and its frame or the reason it is refused."""


def one_by_one(data: bytes) -> list[Run]:
    """Each run of the stream through the one-frame decoder."""
    found: list[Run] = []
    start = 0
    while start < len(data):
        end = data.find(b"\0", start)
        if end < 0:
            found.append((start, len(data) - start, "cut"))
            break
        if end > start:
            reasons: list[str] = []
            deframer = Deframer(on_refused=lambda reason, _, kept=reasons: kept.append(reason))
            frames = [bytes(view) for view in deframer.feed(data[start : end + 1])]
            found.append((start, end - start, *frames, *reasons))  # type: ignore[arg-type]
        start = end + 1
    return found


def in_bulk(data: bytes, window: int, scan: stuffing.Scan = stuffing.scan) -> list[Run]:
    found: list[Run] = []
    for part in bulk.frames(data, window, scan):
        for at, size, offset, encoded in zip(part.at, part.size, part.offset, part.encoded, strict=True):
            found.append((offset, encoded, part.plain[at : at + size].tobytes()))
        for offset, size, reason in zip(*part.refused, strict=True):
            found.append((offset, size, bulk.REASONS[reason]))
    return sorted(found, key=lambda run: run[0])


def reply(first: int, count: int, shape: tuple[int, int, int], random_: random.Random) -> bytes:
    body = messages.RECORDS_REPLY.pack(first, 0, first + count, count, *shape)
    return body + random_.randbytes(count * records.size(*shape))


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Frames of any size, many with long codes, records among them; then bytes changed, dropped, put in."""
    random_ = random.Random(draw(st.integers(0, 2**32)))
    data = bytearray()
    for _ in range(draw(st.integers(0, 40))):
        match draw(st.integers(0, 6)):
            case 0:
                body = random_.randbytes(random_.randrange(1025))
            case 1:
                body = bytes(random_.randrange(1025))
            case 2:
                body = bytes([frame.WHITENER]) * random_.randrange(1025)
            case 3:
                shape = (random_.randrange(1, 3), random_.randrange(2), random_.randrange(4))
                most = (1024 - 16) // records.size(*shape)
                body = reply(random_.randrange(2**31), random_.randrange(1, most + 1), shape, random_)
            case 4:
                body = random_.randbytes(250 + random_.randrange(8))
            case _:
                body = random_.randbytes(random_.randrange(60))
        if random_.random() < 0.1:
            data += random_.randbytes(random_.randrange(1500))
        code = messages.RECORDS if draw(st.booleans()) else random_.randrange(256)
        data += frame.encode(random_.randrange(256), frame.CONTROL_REPLY, random_.randrange(256), code, body)
    for _ in range(draw(st.integers(0, 20))):
        at = random_.randrange(len(data) + 1)
        match random_.randrange(4):
            case 0:
                data[at : at + 1] = random_.randbytes(1)
            case 1:
                del data[at : at + random_.randrange(1, 300)]
            case 2:
                data[at:at] = random_.randbytes(random_.randrange(40))
            case 3:
                data[at : at + 1] = b"\0"
    return bytes(data)


@both
@settings(max_examples=150, deadline=None)
@given(data=streams(), window=st.sampled_from([1, 100, 1500, 5000, bulk.WINDOW]))
def test_same_as_one_by_one(scan: stuffing.Scan, data: bytes, window: int) -> None:
    assert in_bulk(data, window, scan) == one_by_one(data)


@both
@settings(max_examples=100, deadline=None)
@given(data=st.lists(st.sampled_from([0, 1, 2, 3, 9, 254, 255]), max_size=3000).map(bytes))
def test_same_on_streams_of_codes(scan: stuffing.Scan, data: bytes) -> None:
    """Bytes that are all plausible codes: many steps, codes that end beyond the run, empty runs."""
    assert in_bulk(data, 700, scan) == one_by_one(data)


@both
def test_as_many_runs_as_fit_into_bytes(scan: stuffing.Scan) -> None:
    data = b"\1\0" * 5000
    assert in_bulk(data, bulk.WINDOW, scan) == one_by_one(data)


@both
def test_a_run_longer_than_a_window(scan: stuffing.Scan) -> None:
    data = frame.encode(1, 0, 1, messages.IDENTIFY) + b"\x55" * 100_000 + frame.encode(1, 0, 2, messages.IDENTIFY)
    assert in_bulk(data, 3000, scan) == one_by_one(data)


def test_a_large_stream_is_scanned_compiled() -> None:
    choice = stuffing.Choice()
    assert choice.scanner(stuffing.WORTH - 1) is stuffing.scan
    assert choice.scanner(1) is stuffing_compiled.scan


@settings(max_examples=100, deadline=None)
@given(streams())
def test_records_as_block_gives_them(data: bytes) -> None:
    for part in bulk.frames(data, 4000):
        found, wrong = columns.records(part)
        got: dict[int, list[bytes]] = {number: [] for number in wrong.tolist()}
        for some in found:
            raw = some.rows.view(f"V{some.rows.itemsize}")
            for n, number in enumerate(some.frame.tolist()):
                got[number] = [row.tobytes() for row in raw[n * some.per_frame : (n + 1) * some.per_frame]]
                assert some.address[n] == part.plain[part.at[number]]
        expected = {}
        for number, (at, size) in enumerate(zip(part.at.tolist(), part.size.tolist(), strict=True)):
            whole = part.plain[at : at + size].tobytes()
            if whole[1] & 0xCF == frame.CONTROL_REPLY | frame.VERSION and whole[3] == messages.RECORDS:
                try:
                    expected[number] = [record.raw for record in block(whole[4:])]
                except DataError:
                    expected[number] = []
        assert got == expected


def test_columns_hold_what_a_record_holds() -> None:
    random_ = random.Random(5)
    shape = (2, 1, 2)
    data = b"".join(
        frame.encode(1, frame.CONTROL_REPLY, 0, messages.RECORDS, reply(n, 7, shape, random_)) for n in range(9)
    )
    (part,) = bulk.frames(data)
    (some,), wrong = columns.records(part)
    assert not len(wrong) and some.rows.dtype == dtype(columns.layout(*shape))
    table = columns.columns(some.rows)
    expected = [record for n in range(9) for record in block(part.plain[part.at[n] :][4 : part.size[n]].tobytes())]
    assert table["sequence"].tolist() == [r.sequence for r in expected]
    assert table["index1"].tolist() == [r.indices[1] for r in expected]
    assert table["high0"].tolist() == [r.conditions[0][1] for r in expected]
    whole, fraction = (table[f"register1_{half}"].tolist() for half in ("whole", "fraction"))
    assert [w << 64 | f for w, f in zip(whole, fraction, strict=True)] == [r.registers[1] for r in expected]
    assert table["link"].astype("<u4").tobytes() == b"".join(r.link for r in expected)
    assert all(column.flags.c_contiguous for column in table.values())


def test_every_good_frame_is_found_among_noise() -> None:
    """One byte in a hundred changed: all frames without a changed byte come out, whatever stands beside them."""
    random_ = random.Random(1)
    data = bytearray()
    whole = []
    for n in range(3000):
        wire = bytearray(frame.encode(1, frame.CONTROL_REPLY, n & 255, messages.READING, random_.randbytes(26)))
        hit = [at for at in range(len(wire)) if random_.random() < 0.01]
        for at in hit:
            wire[at] ^= random_.randrange(1, 256)
        if not hit:
            whole.append(len(data) + 1)
        data += wire
    got = {int(offset) for part in bulk.frames(bytes(data)) for offset in part.offset}
    assert len(whole) > 1500 and got >= set(whole)


def test_bytes_of_a_frame_by_index() -> None:
    data = frame.encode(7, 0, 1, messages.IDENTIFY) + frame.encode(9, 0, 2, messages.READING)
    (part,) = bulk.frames(data)
    assert len(part) == 2
    assert np.array_equal(part.byte(0), [7, 9]) and np.array_equal(part.byte(3), [1, 2])
