"""Framing again, by other means: CRC of `crcmod`, COBS as the paper's figure has it (split at zeros)."""

import crcmod.predefined

crc32 = crcmod.predefined.mkCrcFun("crc-32")


def cobs(data: bytes) -> bytes:
    """COBS of `data` without delimiter."""
    encoded = b""
    pieces = data.split(b"\0")
    for n, piece in enumerate(pieces):
        while len(piece) > 254 or (len(piece) == 254 and n < len(pieces) - 1):
            encoded += b"\xff" + piece[:254]
            piece = piece[254:]
        if len(piece) == 254:
            encoded += b"\xff" + piece
        else:
            encoded += bytes([len(piece) + 1]) + piece
    return encoded


def wire(plain: bytes) -> bytes:
    """The frame of header and body `plain`: CRC, whitening, COBS, delimiters."""
    whole = plain + crc32(plain).to_bytes(4, "little")
    return b"\0" + cobs(bytes(byte ^ 0xA5 for byte in whole)) + b"\0"
