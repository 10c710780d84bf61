"""Vectors of the protocol and checks on them, in the Python that host and meter share: CPython, MicroPython of 64 and 32 bits.

`test_vectors.py` runs every `check_…` on each of them. No check takes anything from the host's libraries.
"""

import binascii

from protocol import frame, image, intensities, messages, records, status
from protocol.deframer import CRC, OVERSIZE, SHORT, STUFFING, Deframer
from protocol.layout import Layout

CRC_CHECK = (b"123456789", 0xCBF43926)
"""CRC-32/ISO-HDLC, "check" of Williams' parametric model."""

# address, control, sequence, message, body, wire. Made once by a COBS and a CRC that are not ours (test_frame.py).
FRAMES = (
    (1, 0, 0, 2, "", "0009a4a4a5a7c71691d300"),
    (1, 0, 1, 2, "", "0009a4a4a4a786278aca00"),
    (255, 0, 7, 1, "", "00095aa4a2a42eb0606300"),
    (1, 0x80, 1, 6, "0065cd1d", "0009a424a4a3a5c068b804711e3500"),
    (9, 0xC0, 165, 4, "a5", "0003ac6402a10542b405bd00"),
)


def check_crc():
    text, expected = CRC_CHECK
    assert binascii.crc32(text) == expected


def check_frames():
    for address, control, sequence, message, body, wire in FRAMES:
        body = binascii.unhexlify(body)
        wire = binascii.unhexlify(wire)
        assert frame.encode(address, control, sequence, message, body) == wire
        deframer = Deframer()
        found = [bytes(got) for got in deframer.feed(wire)]
        assert found == [bytes((address, control | frame.VERSION, sequence, message)) + body]
        assert deframer.good == 1 and not any(deframer.refused.values())


def check_every_body_size():
    """Bodies of one byte repeated, of every size around the ends of COBS runs: what goes in comes out."""
    deframer = Deframer()
    encoder = frame.Encoder()
    sizes = tuple(range(20)) + tuple(range(240, 262)) + tuple(range(498, 516)) + (1023, 1024)
    for filler in (0, 0xA5, 0xFF):
        for size in sizes:
            for at in range(size):
                encoder.body[at] = filler
            wire = encoder.finish(3, 0, 9, 4, size)
            assert len(wire) <= frame.wire_size(size) <= frame.MAX_WIRE
            assert wire[0] == 0 and wire[-1] == 0 and 0 not in bytes(wire[1:-1])
            found = [bytes(got) for got in deframer.feed(bytes(wire))]
            assert found == [bytes((3, 1, 9, 4)) + bytes([filler]) * size], (filler, size)


def check_refusals():
    """Each way in which bytes are no frame is counted as what it is, and the frame behind it is found."""
    good = frame.encode(1, 0, 5, 2)
    spoilt = bytearray(good)
    spoilt[6] ^= 1 if spoilt[6] != 1 else 2
    cases = (
        (b"", None),
        (b"\0\0\0\0", None),
        (b"\x01", SHORT),
        (b"\x05\x01\x02\x03\x04", SHORT),
        (b"\x09\x01", STUFFING),
        (bytes(spoilt), CRC),
        (b"\x11" * (frame.MAX_ENCODED + 1), OVERSIZE),
        (good[:-3], STUFFING),
    )
    for noise, reason in cases:
        deframer = Deframer()
        assert [bytes(got) for got in deframer.feed(noise + good)] == [b"\x01\x01\x05\x02"], reason
        counted = {name: count for name, count in deframer.refused.items() if count}
        assert counted == ({} if reason is None else {reason: 1}), (counted, reason)


def check_layouts():
    layout = Layout("a/u8 b/i8 c/u16 d/i16 e/u32/s f/i32 g/u48 h/u64 i/b3 j/fx128/mg")
    values = (
        0x81, -2, 0x8182, -3, 0xFFFFFFFF, -(2**31), 0x8182838485FF, 0x8182838485868788, b"xyz", bytes(range(16)),
    )  # fmt: skip
    packed = binascii.unhexlify(
        "81" "fe" "8281" "fdff" "ffffffff" "00000080" "ff8584838281" "8887868584838281" "78797a"
        "000102030405060708090a0b0c0d0e0f"
    )  # fmt: skip
    assert layout.size == len(packed) == 47
    assert layout.pack(*values) == packed
    assert layout.unpack_from(packed) == values
    assert layout.unpack_from(b"\xff" + packed, 1) == values
    buffer = bytearray(49)
    assert layout.pack_into(buffer, 2, *values) == 49
    assert buffer == b"\0\0" + packed


def check_sizes():
    sizes = {
        "IDENTITY": 101, "READING_REPLY": 26, "REGISTERS_REPLY": 15, "REGISTER_ENTRY": 29, "RECORDS_REQUEST": 5,
        "RECORDS_REPLY": 16, "CLOCK": 7, "REFUSAL": 5,
    }  # fmt: skip
    for name, size in sizes.items():
        assert getattr(messages, name).size == size, (name, getattr(messages, name).size)
    for channels, conditions, registers in ((1, 0, 1), (2, 3, 8), (0, 0, 0)):
        shape = (channels, conditions, registers)
        assert Layout(records.text(*shape)).size == records.size(*shape)


def check_chain():
    """SHA-256 of the head before and the record without its last four bytes; vectors by hashlib on CPython."""
    head = records.chain(records.CHAIN_START, bytes(range(52)))
    assert binascii.hexlify(head) == b"d211dea7944307321e4f4eb3c2da832571ecaf2f7ddd3636b8d77662a3f4cfea"
    head = records.chain(head, b"link counts not, so do these: 1234")
    assert head == records.chain(records.chain(records.CHAIN_START, bytes(range(52))), b"link counts not, so do these: 9876")


def check_intensities():
    packed = intensities.pack(2, 7, -6, 1_767_225_600, 3600, [570_300, None, 0, 2**30 - 1])
    table = intensities.Intensities(packed)
    start = 1_767_225_600
    seen = [table.at(start + 3600 * n + within) for n in range(-1, 5) for within in (0, 3599)]
    assert seen == [-1, -1, 570_300, 570_300, -1, -1, 0, 0, 2**30 - 1, 2**30 - 1, -1, -1]
    for bad in (b"", packed[:-1], packed + b"\0", b"TNPF" + packed[4:], packed[:4] + b"\x02" + packed[5:]):
        try:
            intensities.Intensities(bad)
        except image.ImageError:
            continue
        raise AssertionError(bad)


def check_status_names():
    assert status.names(0) == []
    assert status.names(status.CLOCK_INVALID | status.SATURATED) == ["clock invalid", "register saturated"]
    assert status.names(0x8000) == ["flag 15"]
