"""A slot: what a log programs at once. `sequence u32 | payload | sum u16 | crc u32`, sum and CRC-32 over what is before them.

A bit that flipped at rest changes the sum by its weight, which tells bit and direction; the CRC finds the byte. A torn
slot has a wrong sum that is no power of two but once in thousands, and is then refused by the CRC like any other.
"""

import binascii
import struct

from ..native import total

HEAD = 4
TRAIL = 6
OVERHEAD = HEAD + TRAIL

GOOD = 0
REPAIRED = 1
BAD = 2


def seal(view, size):
    """Write sum and CRC behind `view[:size]`."""
    body = view[:size]
    struct.pack_into("<HI", view, size, total(view, size), binascii.crc32(body))


def check(view, size):
    """GOOD, REPAIRED (one bit had flipped and is put right in `view`) or BAD; the trailer is behind `view[:size]`."""
    body = view[:size]
    kept, crc = struct.unpack_from("<HI", view, size)
    found = total(view, size)
    excess = (found - kept) & 0xFFFF
    wrong = binascii.crc32(body) ^ crc
    if not excess and not wrong:
        return GOOD
    if not wrong:
        return REPAIRED if _single(found ^ kept) else BAD
    if not excess:
        return REPAIRED if _single(wrong) else BAD
    if _single(excess) and excess < 256:
        return _repair(body, crc, excess, excess)
    if _single(0x10000 - excess) and 0x10000 - excess < 256:
        return _repair(body, crc, 0x10000 - excess, 0)
    return BAD


def _repair(body, crc, bit, now):
    for n in range(len(body)):
        if body[n] & bit == now:
            body[n] ^= bit
            if binascii.crc32(body) == crc:
                return REPAIRED
            body[n] ^= bit
    return BAD


def _single(bits):
    return bits & (bits - 1) == 0
