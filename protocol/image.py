"""The profile image: an emission profile as the device stores it. Its SHA-256 is the profile's fingerprint.

    HEADER | CHANNEL * channels | CONDITION * conditions | REGISTER * registers | TERM * terms | (TABLE head, data) * tables

A term adds `constant * 2**(32 * shift) * count * factor0 * factor1 * factor2` to an accumulator, in units of 2**-64.
"""

import hashlib

from .layout import Layout
from .registers import NO_REGISTER

MAGIC = b"TNPF"
FORMAT = 1
MAX_SIZE = 8192

HEADER = Layout(
    "magic/b4 format/u16 size/u32 interval/u16/s channels/u8 conditions/u8 registers/u8 terms/u8 tables/u8"
    " volume/u8 energy/u8 emissions/u8 commit_quanta/u32/quantum commit_seconds/u32/s"
    " valid_from/u32/s valid_to/u32/s utc_offset/i16/min name/b32"
)
"""`volume`, `energy` and `emissions` number the headline registers (indices first), 255 for none."""

CHANNEL = Layout("quantity/u8 direction/u8 unit/u8 exponent/i8 mantissa/u64 limit/u32/quantum")
"""A quantum is `mantissa * 10**exponent unit`; `limit` is the most quanta of one interval at the highest rate."""

CONDITION = Layout("quantity/u8 unit/u8 exponent/i8 source/u8 low/u32 high/u32 fallback/u32")
"""A live input in `10**exponent unit`, valid from `low` to `high`; `fallback` stands in while there is none."""

REGISTER = Layout("quantity/u8 direction/u8 unit/u8 exponent/i8")

NO_FACTOR = 255
TABLE_BASE = 64
"""A term's factor is the number of a condition, or TABLE_BASE plus the number of a table."""
TERM = Layout("channel/u8 register/u8 error_register/u8 shift/u8 constant/u64 factor0/u8 factor1/u8 factor2/u8")
"""`register` and `error_register` count accumulators from 0; the latter takes over while an input of the term is in error."""

TABLE = Layout("kind/u8 size/u16")


class ImageError(ValueError):
    """The bytes are not a profile image that this firmware can run."""


class Image:
    """A parsed image of `data`: `header`, `channels`, `conditions`, `registers`, `terms` and `tables` as tuples in field order.

    A table is `(kind, data)`, data a memoryview. Raises ImageError.
    """

    def __init__(self, data):
        self.data = data
        view = memoryview(data)
        if len(view) < HEADER.size or bytes(view[:4]) != MAGIC:
            raise ImageError("not a profile image")
        header = self.header = HEADER.unpack_from(view)
        if header[1] != FORMAT:
            raise ImageError("profile image of format %d, this firmware runs %d" % (header[1], FORMAT))
        if header[2] != len(view) or header[2] > MAX_SIZE:
            raise ImageError("profile image of %d bytes says %d, at most %d fit" % (len(view), header[2], MAX_SIZE))
        self.size = header[2]
        self.interval = header[3]
        at = HEADER.size
        lists = []
        for layout, count in zip((CHANNEL, CONDITION, REGISTER, TERM), header[4:8]):
            if at + layout.size * count > len(view):
                raise ImageError("profile image ends early")
            lists.append([layout.unpack_from(view, at + layout.size * n) for n in range(count)])
            at += layout.size * count
        self.channels, self.conditions, self.registers, self.terms = lists
        self.tables = []
        for _ in range(header[8]):
            if at + TABLE.size > len(view):
                raise ImageError("profile image ends early")
            kind, size = TABLE.unpack_from(view, at)
            at += TABLE.size + size
            if at > len(view):
                raise ImageError("profile image ends early")
            self.tables.append((kind, view[at - size : at]))
        if at != len(view):
            raise ImageError("profile image has %d bytes too many" % (len(view) - at))
        self._check()
        self.fingerprint = hashlib.sha256(data).digest()

    def _check(self):
        if not self.channels or not 1 <= self.interval <= 3600 or 86400 % self.interval:
            raise ImageError(
                "profile image has no channel, or an interval that is not 1..3600 s or does not divide a day"
            )
        channels = len(self.channels)
        for headline in self.header[9:12]:
            if headline != NO_REGISTER and headline >= channels + len(self.registers):
                raise ImageError("profile image names register %d, which it does not have" % headline)
        for channel, register, error_register, shift, constant, *factors in self.terms:
            if (
                channel >= channels
                or register >= len(self.registers)
                or (error_register != NO_REGISTER and error_register >= len(self.registers))
                or shift > 1
            ):
                raise ImageError("profile image has a term for a channel or register that it does not have")
            for factor in factors:
                if factor != NO_FACTOR and not (
                    factor < len(self.conditions) or 0 <= factor - TABLE_BASE < len(self.tables)
                ):
                    raise ImageError("profile image has a term with a factor that it does not have")
