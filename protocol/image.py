"""The profile image: an emission profile as the device stores it. Its SHA-256 is the profile's fingerprint.

    HEADER | CHANNEL * channels | CONDITION * conditions | REGISTER * registers | TERM * terms | (TABLE head, data) * tables

A term adds `constant * 2**(32 * shift) * count * factor0 * factor1 * factor2` to an accumulator, in units of 2**-64.
"""

import hashlib
import struct

from . import messages, records
from .frame import MAX_BODY
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

TIME_OF_USE = 1
TIME_OF_USE_HEAD = Layout("fallback/u32 slots/u8 rows/u8 holidays/u16")
"""Then `slots` values u32; 48 row numbers u8, `[4 * month + kind of day]`, month from 0 and kind 0 Monday to Friday,
1 Saturday, 2 Sunday, 3 holiday; `rows` times 24 slot numbers u8, one an hour; `holidays` day numbers u16 from 1970-01-01,
ascending. Time is the profile's: UTC and `utc_offset`. `fallback` stands in while the clock is not valid."""

SURFACE = 2
SURFACE_HEAD = Layout("x/u8 y/u8 nx/u8 ny/u8 x0/u32 dx/u32 y0/u32 dy/u32 offset/u32")
"""Over the conditions `x` and `y`: nodes at `x0 + i * dx`, `y0 + j * dy`, then `nx * ny` nodes u16 at `[i * ny + j]`.
The value is `offset` and the bilinear of the nodes in eighths: `firmware.tables.Surface`, `hostlink.replay`."""
SURFACE_FRACTION_BITS = 10
SURFACE_EIGHTHS_BITS = 3
SURFACE_STEP_MAX = ((1 << 31) - 1) // ((2 << SURFACE_FRACTION_BITS) + 1)
"""A step's share of a cell, `(step << 10) + step // 2` before its division, stays a small integer."""

SMALL = 1 << 30
"""Every value of a factor is below this: a small integer on a 32-bit meter."""


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
        self._check_factors()
        self._check_sizes()
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
                    factor < min(len(self.conditions), TABLE_BASE) or 0 <= factor - TABLE_BASE < len(self.tables)
                ):
                    raise ImageError("profile image has a term with a factor that it does not have")

    def _check_factors(self):
        for n, (_, _, _, _, low, high, fallback) in enumerate(self.conditions):
            if not low <= fallback <= high < SMALL:
                raise ImageError("profile image has condition %d with limits that are not low <= fallback <= high" % n)
        for n, (kind, data) in enumerate(self.tables):
            if not (self._is_time_of_use(data) if kind == TIME_OF_USE else kind == SURFACE and self._is_surface(data)):
                raise ImageError("profile image has table %d that this firmware cannot read" % n)

    def _check_sizes(self):
        """What only the running meter would find out: replies that do not fit a frame, terms that do not fit a register."""
        registers = len(self.channels) + len(self.registers)
        if messages.REGISTERS_REPLY.size + messages.REGISTER_ENTRY.size * registers > MAX_BODY:
            raise ImageError("profile image has %d registers, more than one reply holds" % registers)
        record = records.size(len(self.channels), len(self.conditions), len(self.registers))
        if messages.RECORDS_REPLY.size + record > MAX_BODY:
            raise ImageError("profile image has records of %d bytes, more than one reply holds" % record)
        for n, (_, _, _, shift, constant, *factors) in enumerate(self.terms):
            for factor in factors:
                if factor != NO_FACTOR:
                    constant *= self.highest(factor)
            if constant >> 112 - 32 * shift:
                raise ImageError("profile image has term %d with a constant too large for its register" % n)

    def _is_time_of_use(self, data):
        if len(data) < TIME_OF_USE_HEAD.size or 3600 % self.interval or self.header[16] * 60 % self.interval:
            return False
        fallback, slots, rows, holidays = TIME_OF_USE_HEAD.unpack_from(data)
        at = TIME_OF_USE_HEAD.size + 4 * slots
        values = struct.unpack_from("<%dI" % slots, data, TIME_OF_USE_HEAD.size) if len(data) >= at else ()
        return (
            len(data) == at + 48 + 24 * rows + 2 * holidays
            and 0 < slots
            and max(fallback, *values) < SMALL
            and max(data[at : at + 48]) < rows
            and max(data[at + 48 : at + 48 + 24 * rows]) < slots
        )

    def _is_surface(self, data):
        if len(data) < SURFACE_HEAD.size:
            return False
        x, y, nx, ny, x0, dx, y0, dy, offset = SURFACE_HEAD.unpack_from(data)
        if len(data) != SURFACE_HEAD.size + 2 * nx * ny or max(x, y) >= len(self.conditions) or min(nx, ny) < 2:
            return False
        for condition, count, first, step in ((x, nx, x0, dx), (y, ny, y0, dy)):
            low, high = self.conditions[condition][4:6]
            if not (first <= low and high <= first + (count - 1) * step and 0 < step <= SURFACE_STEP_MAX):
                return False
        return offset < SMALL - (1 << 16 + SURFACE_EIGHTHS_BITS)

    def highest(self, factor):
        """The highest value that a term's factor can take."""
        if factor < TABLE_BASE:
            return self.conditions[factor][5]
        kind, data = self.tables[factor - TABLE_BASE]
        if kind == SURFACE:
            return SURFACE_HEAD.unpack_from(data)[8] + (0xFFFF << SURFACE_EIGHTHS_BITS)
        fallback, slots, _, _ = TIME_OF_USE_HEAD.unpack_from(data)
        return max(fallback, *struct.unpack_from("<%dI" % slots, data, TIME_OF_USE_HEAD.size))
