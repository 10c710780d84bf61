"""DS3231 real-time clock on I2C: keeps UTC on its battery while the meter has no power. Source: Maxim 19-5170 Rev 10.

Address, registers and the oscillator-stop flag (0FH, bit 7) checked on 2026-11-25 against several public drivers.
"""

from micropython import const

from ..clock import Clock

_ADDRESS = const(0x68)
_STATUS = const(0x0F)
_STOPPED = const(0x80)
_DAYS = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


class Ds3231:
    """The chip on `i2c` (`readfrom_mem_into`, `writeto_mem`). It has whole seconds, and years 2000 to 2099."""

    def __init__(self, i2c):
        self._i2c = i2c
        self._data = bytearray(7)

    def read(self):
        """(day number since 1970-01-01, second of the day), or None: no chip, or its oscillator has stopped since it was set."""
        data = self._data
        try:
            self._i2c.readfrom_mem_into(_ADDRESS, _STATUS, memoryview(data)[:1])
            if data[0] & _STOPPED:
                return None
            self._i2c.readfrom_mem_into(_ADDRESS, 0, data)
        except OSError:
            return None
        second, minute, hour = (_decimal(data[n] & 0x7F) for n in range(3))
        date, month, year = _decimal(data[4]), _decimal(data[5] & 0x1F), _decimal(data[6])
        if not (1 <= month <= 12 and 1 <= date <= 31 and hour < 24 and minute < 60 and second < 60):
            return None
        leap = 1 if month > 2 and year % 4 == 0 else 0
        day = 10957 + 365 * year + (year + 3) // 4 + _DAYS[month - 1] + leap + date - 1
        return day, 3600 * hour + 60 * minute + second

    def write(self, day, second):
        """Set the chip to `second` of day number `day`. Raises OSError if it does not answer."""
        rest = day - 10957
        year = 4 * (rest // 1461)
        rest %= 1461
        while rest >= 366 - (year % 4 > 0):
            rest -= 366 - (year % 4 > 0)
            year += 1
        month = 12
        while rest < _DAYS[month - 1] + (year % 4 == 0 and month > 2):
            month -= 1
        date = rest - _DAYS[month - 1] - (year % 4 == 0 and month > 2) + 1
        values = (second % 60, second // 60 % 60, second // 3600, (day + 3) % 7 + 1, date, month, year)
        self._i2c.writeto_mem(_ADDRESS, 0, bytes([value // 10 << 4 | value % 10 for value in values]))
        self._i2c.writeto_mem(_ADDRESS, _STATUS, b"\0")


class RtcClock(Clock):
    """A clock that a battery-backed chip carries over power cuts."""

    def __init__(self, rtc, ticks_ms, ticks_diff):
        super().__init__(ticks_ms, ticks_diff)
        self._rtc = rtc
        found = rtc.read()
        if found:
            self.day, self.second = found
            self.valid = True

    def set(self, time, millisecond=0):
        """Set the clock, and the chip with it."""
        super().set(time, millisecond)
        try:
            self._rtc.write(self.day, self.second)
        except OSError:
            pass


def _decimal(value):
    return 10 * (value >> 4) + (value & 15)
