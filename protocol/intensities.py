"""Dated intensities: what a host pushes so that a meter weighs each interval with the intensity of its own time.

A condition of quantity INTENSITY takes its value from here, one for each interval; a record shows the value it used.
"""

import struct

from .image import SMALL, ImageError
from .layout import Layout

MAGIC = b"TNIT"
FORMAT = 1
MISSING = 0xFFFFFFFF
HEAD = Layout("magic/b4 format/u16 size/u16 condition/u8 unit/u8 exponent/i8 first/u32/s step/u32/s count/u16")
"""Then `count` values u32 in the condition's unit, one for each `step` from `first`; MISSING where there is none."""


class Intensities:
    """A parsed table of `data`. Raises ImageError."""

    def __init__(self, data):
        if len(data) < HEAD.size or bytes(data[:4]) != MAGIC:
            raise ImageError("not a table of intensities")
        _, version, size, self.condition, self.unit, self.exponent, self.first, self.step, count = HEAD.unpack_from(data)
        if version != FORMAT or size != len(data) or size != HEAD.size + 4 * count or not self.step:
            raise ImageError("table of intensities of format %d and %d bytes cannot be read" % (version, size))
        self._data = data
        self.count = count

    def at(self, time):
        """The value at UNIX second `time`, or -1."""
        n = (time - self.first) // self.step
        if not 0 <= n < self.count:
            return -1
        (value,) = struct.unpack_from("<I", self._data, HEAD.size + 4 * n)
        return value if value < SMALL else -1


def pack(condition, unit, exponent, first, step, values):
    """The bytes of a table; `values` are integers, None where there is none."""
    size = HEAD.size + 4 * len(values)
    head = HEAD.pack(MAGIC, FORMAT, size, condition, unit, exponent, first, step, len(values))
    return head + struct.pack("<%dI" % len(values), *[MISSING if value is None else value for value in values])
