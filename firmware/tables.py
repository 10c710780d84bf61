"""A term's tables: the slot of the hour, the point of a surface. Small integers only; formats in `protocol.image`."""

import struct
from array import array

from micropython import const

from protocol.image import SURFACE_HEAD, TIME_OF_USE_HEAD

from .clock import DAY

_HOLIDAY = const(3)


def month(day):
    """Month, 0 to 11, of the day number `day` since 1970-01-01 (Gregorian calendar, years counted from March)."""
    day = (day + 719468) % 146097
    year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    day -= 365 * year + year // 4 - year // 100
    return ((5 * day + 2) // 153 + 2) % 12


class TimeOfUse:
    """Slots by hour, kind of day and month."""

    def __init__(self, data, utc_offset):
        self._offset = 60 * utc_offset
        self.fallback, slots, rows, holidays = TIME_OF_USE_HEAD.unpack_from(data)
        at = TIME_OF_USE_HEAD.size
        self._values = struct.unpack_from("<%dI" % slots, data, at)
        at += 4 * slots
        self._rows = data[at : at + 48]
        self._hours = data[at + 48 : at + 48 + 24 * rows]
        self._holidays = struct.unpack_from("<%dH" % holidays, data, at + 48 + 24 * rows)

    def at(self, day, second):
        """The value that holds at `second` of `day`, UTC."""
        second += self._offset
        day += second // DAY
        kind = (day + 3) % 7 - 4
        if day in self._holidays:
            kind = _HOLIDAY
        row = self._rows[4 * month(day) + max(kind, 0)]
        return self._values[self._hours[24 * row + second % DAY // 3600]]


class Surface:
    """Bilinear over two conditions, rounded to nearest at each of its three steps; nothing is allocated."""

    def __init__(self, data):
        self.x, self.y, _, self._ny, self._x0, self._dx, self._y0, self._dy, self._offset = SURFACE_HEAD.unpack_from(data)
        self._nodes = array("H", bytes(data[SURFACE_HEAD.size :]))
        self._nx = len(self._nodes) // self._ny

    def at(self, x, y):
        """The value at conditions `x` and `y`, both within their limits."""
        x -= self._x0
        i = min(x // self._dx, self._nx - 2)
        x = (((x - i * self._dx) << 10) + self._dx // 2) // self._dx
        y -= self._y0
        j = min(y // self._dy, self._ny - 2)
        y = (((y - j * self._dy) << 10) + self._dy // 2) // self._dy
        nodes = self._nodes
        at = i * self._ny + j
        below = nodes[at]
        near = (below << 3) + (((nodes[at + self._ny] - below) * x + 64) >> 7)
        at += 1
        below = nodes[at]
        far = (below << 3) + (((nodes[at + self._ny] - below) * x + 64) >> 7)
        return self._offset + near + (((far - near) * y + 512) >> 10)
