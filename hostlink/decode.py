"""One frame, at once: the bytes between two delimiters to a typed message, its CRC checked. For many, see `hostlink.bulk`."""

from collections import namedtuple
from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import Any, NamedTuple

from hostlink.bulk import RESIDUE, crc32
from hostlink.errors import DataError
from hostlink.tables import fields
from protocol import frame, messages
from protocol.layout import Layout

_WHITEN = bytes(byte ^ frame.WHITENER for byte in range(256))


class Message(NamedTuple):
    """A good frame: `values` are the body's fields by name, or the raw body where it is a list or of an unknown code."""

    address: int
    control: int
    sequence: int
    code: int
    values: Any


Reader = Callable[[bytes], Message]


def decode(encoded: bytes) -> Message:
    """The message in `encoded`, the bytes of one frame without its delimiters. Raises DataError."""
    size = len(encoded)
    if size and encoded[0] == size and 0 not in encoded:
        coded = encoded.translate(_WHITEN)
        good = crc32(coded) == _RESIDUES[size]
    else:
        plain = unstuff(encoded)
        coded = b"\0" + plain
        good = crc32(plain) == RESIDUE
    if not good:
        _check_size(coded[1:])
        raise DataError(f"expected a good CRC, got {len(coded) - 1} bytes without one; noise, or another baud rate?")
    try:
        return _READERS[coded[2]][coded[4]](coded)
    except (IndexError, StructError):
        _check_size(coded[1:])
        raise DataError(
            f"expected another body of message {coded[4]:#04x}, got {len(coded) - 1 - frame.MIN_FRAME} bytes"
        ) from None


def _residues() -> list[int]:
    """By its size the CRC over a good frame that is one COBS block, the block's code before it: no byte need be cut off."""
    found = [-1] * 256
    for size in range(1 + frame.MIN_FRAME, 256):
        body = bytes(size - 1 - frame.CRC_SIZE)
        code = bytes([size]).translate(_WHITEN)
        found[size] = crc32(code + body + crc32(body).to_bytes(frame.CRC_SIZE, "little"))
    return found


_RESIDUES = _residues()


def _raw(coded: bytes) -> Message:
    """A good frame that no layout describes whole: a list, or an unknown code."""
    plain = coded[1:]
    _check_size(plain)
    address, control, sequence, code = plain[: frame.HEADER_SIZE]
    return Message(address, control, sequence, code, plain[frame.HEADER_SIZE : -frame.CRC_SIZE])


def _check_size(plain: bytes) -> None:
    if not frame.MIN_FRAME <= len(plain) <= frame.MAX_FRAME:
        raise DataError(f"expected a frame of {frame.MIN_FRAME} to {frame.MAX_FRAME} bytes, got {len(plain)}")


def unstuff(encoded: bytes) -> bytes:
    """`encoded` without COBS and whitening. Raises DataError where its codes do not fit."""
    parts = []
    at, size = 0, len(encoded)
    while at < size:
        code = encoded[at]
        end = at + code
        if not code or end > size:
            raise DataError(f"expected a COBS code at byte {at} that ends within {size} bytes, got {code}")
        parts.append(encoded[at + 1 : end])
        if code < 255 and end < size:
            parts.append(b"\0")
        at = end
    plain = b"".join(parts)
    if plain.count(0) != parts.count(b"\0"):
        raise DataError("expected no zero byte within a frame, got one")
    return plain.translate(_WHITEN)


def _reader(layout: Layout, name: str) -> Reader:
    """A function from a frame, one byte before it, to the message, its body of this layout. Written out as text and compiled
    once: a loop over the fields of each frame takes three times as long."""
    kind = namedtuple(name, [field.name for field in fields(layout)])  # type: ignore[misc]
    parts, body = [], []
    for n, field in enumerate(fields(layout)):
        parts.append(f"v{n}, w{n}" if field.kind == "u48" else f"v{n}")
        body.append({"u48": f"v{n} | w{n} << 32", "fx128": f"from_bytes(v{n}, 'little')"}.get(field.kind, f"v{n}"))
    text = f"""
def read(coded, unpack=unpack, new=new, Message=Message, Body=Body, from_bytes=from_bytes):
    {", ".join(["address", "control", "sequence", "code", *parts])} = unpack(coded)
    return new(Message, (address, control, sequence, code, new(Body, ({"".join(value + ", " for value in body)}))))
"""
    code = f"<xBBBB{layout.code.removeprefix('<')}{frame.CRC_SIZE}x"
    names = {
        "unpack": Struct(code).unpack,
        "new": tuple.__new__,
        "Message": Message,
        "Body": kind,
        "from_bytes": int.from_bytes,
    }
    exec(compile(text, f"<reader of {name}>", "exec"), names)
    return names["read"]  # type: ignore[return-value]


LISTS = (messages.RECORDS, messages.BLOB_READ, messages.STATEMENTS, messages.PARAMETER_GET, messages.PARAMETER_SET)
"""Messages whose replies end with what their layout does not tell; the request of PARAMETER_SET does too."""


def _readers() -> list[list[Reader]]:
    """By control and message code: a list is looked up in half the time of a dictionary's key."""
    raw: list[Reader] = [_raw] * 256
    requests, replies, refusals = raw[:], raw[:], raw[:]
    for code, (name, request, reply, entry) in messages.CATALOGUE.items():
        word = name.replace(" ", "_")
        if code != messages.PARAMETER_SET:
            requests[code] = _reader(request, word)
        refusals[code] = _reader(messages.REFUSAL, "refusal")
        if entry is None and code not in LISTS:
            replies[code] = _reader(reply, word)
    found = [raw] * 256
    reply_bits = frame.CONTROL_REPLY | frame.VERSION
    found[frame.VERSION], found[reply_bits] = requests, replies
    found[reply_bits | frame.CONTROL_REFUSED] = refusals
    return found


_READERS = _readers()
