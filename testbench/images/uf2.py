"""UF2, the container a Pico's boot ROM takes: 512-byte blocks of 256 payload bytes with their flash address.

Source: Microsoft, USB Flashing Format (UF2); family RP2040 = 0xE48BFF56.
"""

from __future__ import annotations

import struct

FLASH = 0x10000000  # where the RP2040 maps its flash
_PAYLOAD = 256
_RP2040 = 0xE48BFF56
_FAMILY_PRESENT = 0x2000
_MAGIC = (0x0A324655, 0x9E5D5157, 0x0AB16F30)
_HEAD = struct.Struct("<8I")
_BLOCK = 512


def from_bin(image: bytes) -> bytes:
    """UF2 of a flash image that starts at the beginning of the RP2040's flash."""
    count = -(-len(image) // _PAYLOAD)
    blocks = []
    for number in range(count):
        payload = image[number * _PAYLOAD : (number + 1) * _PAYLOAD].ljust(_PAYLOAD, b"\0")
        address = FLASH + number * _PAYLOAD
        head = _HEAD.pack(*_MAGIC[:2], _FAMILY_PRESENT, address, _PAYLOAD, number, count, _RP2040)
        blocks.append(head + payload.ljust(476, b"\0") + _MAGIC[2].to_bytes(4, "little"))
    return b"".join(blocks)


def write_flash(image: bytes, flash: bytearray) -> None:
    """Write a UF2's blocks for the RP2040 into `flash` (offset 0 is address 0x10000000).

    Raises ValueError for a file that is not UF2, is for another chip, or reaches past the end of `flash`.
    """
    if not image or len(image) % _BLOCK:
        raise ValueError(f"not a UF2 file: expected blocks of {_BLOCK} bytes, found {len(image)} bytes")
    for start in range(0, len(image), _BLOCK):
        block = image[start : start + _BLOCK]
        *magic, flags, address, size, _number, _count, family = _HEAD.unpack_from(block)
        if (*magic, int.from_bytes(block[508:], "little")) != _MAGIC:
            raise ValueError(f"not a UF2 file: block {start // _BLOCK} has the wrong magic numbers")
        if flags & _FAMILY_PRESENT and family != _RP2040:
            raise ValueError(f"UF2 for another chip: expected family {_RP2040:#010x} (RP2040), found {family:#010x}")
        offset = address - FLASH
        if not 0 <= offset <= len(flash) - size:
            raise ValueError(f"UF2 block at {address:#010x} lies outside the {len(flash)} bytes of flash")
        flash[offset : offset + size] = block[_HEAD.size : _HEAD.size + size]
