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


def decode(encoded: bytes) -> Message:
    """The message in `encoded`, the bytes of one frame without its delimiters. Raises DataError."""
    plain = (
        encoded[1:].translate(_WHITEN)
        if encoded and encoded[0] == len(encoded) and 0 not in encoded
        else unstuff(encoded)
    )
    if crc32(plain) != RESIDUE:
        _check_size(plain)
        raise DataError(f"expected a good CRC, got {len(plain)} bytes without one; noise, or another baud rate?")
    try:
        return _READERS[plain[1] << 8 | plain[3]](plain)
    except (KeyError, IndexError, StructError):
        return _other(plain)


def _other(plain: bytes) -> Message:
    """A frame with a good CRC that no reader takes: a list, an unknown code, or of a size that its code does not have."""
    _check_size(plain)
    address, control, sequence, code = plain[: frame.HEADER_SIZE]
    if control << 8 | code in _READERS:
        raise DataError(f"expected another body of message {code:#04x}, got {len(plain) - frame.MIN_FRAME} bytes")
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


def _reader(layout: Layout, name: str) -> Callable[[bytes], Message]:
    """A function from the bytes of a frame to the message, its body of this layout. Written out as text and compiled once: a
    loop over the fields of each frame takes three times as long."""
    kind = namedtuple(name, [field.name for field in fields(layout)])  # type: ignore[misc]
    parts, body = [], []
    for n, field in enumerate(fields(layout)):
        parts.append(f"v{n}, w{n}" if field.kind == "u48" else f"v{n}")
        body.append({"u48": f"v{n} | w{n} << 32", "fx128": f"from_bytes(v{n}, 'little')"}.get(field.kind, f"v{n}"))
    text = f"""
def read(plain, unpack=unpack, new=new, Message=Message, Body=Body, from_bytes=from_bytes):
    {", ".join(["address", "control", "sequence", "code", *parts])} = unpack(plain)
    return new(Message, (address, control, sequence, code, new(Body, ({"".join(value + ", " for value in body)}))))
"""
    code = f"<BBBB{layout.code.removeprefix('<')}{frame.CRC_SIZE}x"
    names = {
        "unpack": Struct(code).unpack,
        "new": tuple.__new__,
        "Message": Message,
        "Body": kind,
        "from_bytes": int.from_bytes,
    }
    exec(compile(text, f"<reader of {name}>", "exec"), names)
    return names["read"]  # type: ignore[return-value]


def _readers() -> dict[int, Callable[[bytes], Message]]:
    found = {}
    reply_bits = frame.CONTROL_REPLY | frame.VERSION
    for code, (name, request, reply, entry) in messages.CATALOGUE.items():
        word = name.replace(" ", "_")
        if code != messages.PARAMETER_SET:
            found[frame.VERSION << 8 | code] = _reader(request, word)
        found[(reply_bits | frame.CONTROL_REFUSED) << 8 | code] = _reader(messages.REFUSAL, "refusal")
        if entry is None and code not in LISTS:
            found[reply_bits << 8 | code] = _reader(reply, word)
    return found


LISTS = (messages.RECORDS, messages.BLOB_READ, messages.STATEMENTS, messages.PARAMETER_GET, messages.PARAMETER_SET)
"""Messages whose replies end with what their layout does not tell; the request of PARAMETER_SET does too."""
_READERS = _readers()
