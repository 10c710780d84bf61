"""The frame: address, control, sequence, message, body, CRC-32; whitened, then COBS between zero bytes.

    00 | COBS( (address u8 | control u8 | sequence u8 | message u8 | body | crc32 u32) XOR 0xA5 ) | 00

All integers are little-endian. The CRC-32 is the one of ISO-HDLC (zlib, IEEE 802.3; check value 0xCBF43926) over
everything before it. Whitening XORs every byte with 0xA5 before COBS (Cheshire and Baker, 1999): meter data is mostly
zero bytes, which would each cost COBS a code byte to find and to follow; see docs/decisions.md.
"""

import binascii

VERSION = 1
"""Protocol version, the low nibble of `control`."""

CONTROL_REPLY = 0x80
CONTROL_REFUSED = 0x40
CONTROL_MAC = 0x20
CONTROL_VERSION_MASK = 0x0F

ADDRESS_ANY = 0xFF
"""Answered by every meter: for a point-to-point line only."""

HEADER_SIZE = 4
CRC_SIZE = 4
MAX_BODY = 1024
MIN_FRAME = HEADER_SIZE + CRC_SIZE
MAX_FRAME = MIN_FRAME + MAX_BODY
WHITENER = 0xA5


def wire_size(body_size):
    """Most bytes on the wire for a body of `body_size` bytes, both delimiters included."""
    size = MIN_FRAME + body_size
    return size + (size + 253) // 254 + 2


MAX_WIRE = wire_size(MAX_BODY)
MAX_ENCODED = MAX_WIRE - 2


def stuff(source, size, target):
    """Whiten and COBS-encode `source[:size]` between zero bytes into `target`; returns the number of bytes written.

    `target` holds at least `wire_size(size - MIN_FRAME)` bytes and is not `source`. Firmware may put a compiled twin here.
    """
    target[0] = 0
    code_at = 1
    at = 2
    for i in range(size):
        byte = source[i] ^ WHITENER
        if byte:
            target[at] = byte
            at += 1
            if at - code_at == 255 and i + 1 < size:
                target[code_at] = 255
                code_at = at
                at += 1
        else:
            target[code_at] = at - code_at
            code_at = at
            at += 1
    target[code_at] = at - code_at
    target[at] = 0
    return at + 1


def unstuff(buffer, size):
    """Undo `stuff` in place on `buffer[:size]`, given without its delimiters; returns the decoded size or -1."""
    read = write = 0
    while read < size:
        code = buffer[read]
        end = read + code
        if code == 0 or end > size:
            return -1
        read += 1
        while read < end:
            byte = buffer[read]
            if byte == 0:
                return -1
            buffer[write] = byte ^ WHITENER
            read += 1
            write += 1
        if code < 255 and read < size:
            buffer[write] = WHITENER
            write += 1
    return write


class Encoder:
    """Builds frames in buffers made once. Write the body into `body`, then `finish(...)` gives the bytes for the wire."""

    def __init__(self, max_body=MAX_BODY):
        self._plain = bytearray(MIN_FRAME + max_body)
        self._wire = bytearray(wire_size(max_body))
        self._plain_view = memoryview(self._plain)
        self._wire_view = memoryview(self._wire)
        self.max_body = max_body
        self.body = self._plain_view[HEADER_SIZE : HEADER_SIZE + max_body]

    def head(self, address, control, sequence, message, body_size):
        """Write the header and return header and body, the bytes that a MAC covers."""
        plain = self._plain
        plain[0] = address
        plain[1] = control | VERSION
        plain[2] = sequence
        plain[3] = message
        return self._plain_view[: HEADER_SIZE + body_size]

    def finish(self, address, control, sequence, message, body_size):
        """The frame for the wire: a memoryview, good until the next call."""
        if body_size > self.max_body:
            raise ValueError("frame body of %d bytes, at most %d fit" % (body_size, self.max_body))
        self.head(address, control, sequence, message, body_size)
        end = HEADER_SIZE + body_size
        crc = binascii.crc32(self._plain_view[:end])
        plain = self._plain
        plain[end] = crc & 0xFF
        plain[end + 1] = (crc >> 8) & 0xFF
        plain[end + 2] = (crc >> 16) & 0xFF
        plain[end + 3] = (crc >> 24) & 0xFF
        return self._wire_view[: stuff(plain, end + CRC_SIZE, self._wire)]


def encode(address, control, sequence, message, body=b""):
    """One frame for the wire as bytes. Raises ValueError if the body is larger than MAX_BODY."""
    if len(body) > MAX_BODY:
        raise ValueError("frame body of %d bytes, at most %d fit" % (len(body), MAX_BODY))
    encoder = Encoder(len(body))
    encoder.body[: len(body)] = body
    return bytes(encoder.finish(address, control, sequence, message, len(body)))
