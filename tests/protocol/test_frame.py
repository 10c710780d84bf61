"""The frame against a CRC and a COBS that are not ours."""

import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import frame, messages
from tests.protocol import reference
from tests.protocol.vectors import CRC_CHECK, FRAMES

BYTE = st.integers(0, 255)
BODY = st.one_of(
    st.binary(max_size=600),
    st.lists(st.sampled_from([0, 0xA5, 1]), max_size=600).map(bytes),
    st.tuples(BYTE, st.integers(0, frame.MAX_BODY)).map(lambda run: bytes([run[0]]) * run[1]),
)


def test_crc_is_that_of_the_standard() -> None:
    text, check = CRC_CHECK
    assert reference.crc32(text) == binascii.crc32(text) == check == 0xCBF43926


@given(st.binary())
def test_crc_is_that_of_crcmod(data: bytes) -> None:
    assert binascii.crc32(data) == reference.crc32(data)


def test_vectors_are_what_the_reference_makes_of_them() -> None:
    for address, control, sequence, message, body, wire in FRAMES:
        plain = bytes((address, control | frame.VERSION, sequence, message)) + bytes.fromhex(body)
        assert reference.wire(plain).hex() == wire


@pytest.mark.parametrize(
    ("plain", "encoded"),
    [  # examples of the COBS paper and of its draft-ietf-pppext-cobs-00
        ("", "01"),
        ("00", "0101"),
        ("0000", "010101"),
        ("11220033", "0311220233"),
        ("11223344", "0511223344"),
        ("11000000", "0211010101"),
    ],
)
def test_cobs_examples_of_the_paper(plain: str, encoded: str) -> None:
    source = bytes(byte ^ frame.WHITENER for byte in bytes.fromhex(plain))
    target = bytearray(16)
    size = frame.stuff(source, len(source), target)
    assert target[:size].hex() == f"00{encoded}00"
    assert reference.cobs(bytes.fromhex(plain)).hex() == encoded
    buffer = bytearray.fromhex(encoded)
    assert frame.unstuff(buffer, len(buffer)) == len(source)
    assert buffer[: len(source)] == source


@given(BYTE, BYTE, BYTE, BYTE, BODY)
def test_frames_are_those_of_the_reference(address: int, control: int, sequence: int, message: int, body: bytes) -> None:
    wire = frame.encode(address, control, sequence, message, body)
    assert wire == reference.wire(bytes((address, control | frame.VERSION, sequence, message)) + body)
    assert len(wire) <= frame.wire_size(len(body))


@given(st.binary(max_size=frame.MAX_ENCODED))
def test_unstuff_takes_any_bytes(data: bytes) -> None:
    buffer = bytearray(data)
    size = frame.unstuff(buffer, len(buffer))
    assert -1 <= size < max(len(data), 1)
    if data and size >= 0:
        again = bytes(byte ^ frame.WHITENER for byte in buffer[:size])
        assert data in (reference.cobs(again), reference.cobs(again) + b"\x01")


def test_the_largest_body_and_one_byte_more() -> None:
    encoder = frame.Encoder()
    assert len(encoder.finish(1, 0, 1, 2, frame.MAX_BODY)) <= frame.MAX_WIRE
    with pytest.raises(ValueError, match="1025 bytes, at most 1024 fit"):
        encoder.finish(1, 0, 1, 2, frame.MAX_BODY + 1)
    with pytest.raises(ValueError, match="1025 bytes, at most 1024 fit"):
        frame.encode(1, 0, 1, 2, bytes(frame.MAX_BODY + 1))


def test_one_reading_costs_48_bytes_request_and_reply() -> None:
    """The issue's limit is 50. Modbus RTU needs 43 for less, M-Bus 60 to 72, DL/T 645 53 to 61, DLMS 88 to 112."""
    request = frame.encode(1, 0, 1, messages.READING)
    whitened_zeros = bytes([frame.WHITENER]) * messages.READING_REPLY.size
    for body in (bytes(messages.READING_REPLY.size), whitened_zeros, b"\xff" * messages.READING_REPLY.size):
        reply = frame.encode(1, frame.CONTROL_REPLY, 1, messages.READING, body)
        assert len(request) + len(reply) == 48 <= 50
