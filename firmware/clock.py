"""Time of day in small integers: UNIX seconds need 31 bits and more, so a day number and the second within it are kept.

The board gives uptime in milliseconds, a small int that may wrap (`ticks_ms`), and its `ticks_diff`.
"""

from micropython import const

DAY = const(86400)


class Clock:
    """UTC. `day` counts from 1970-01-01, `second` within the day; neither allocates. Call `tick()` at least once a day."""

    def __init__(self, ticks_ms, ticks_diff):
        self._ticks_ms = ticks_ms
        self._ticks_diff = ticks_diff
        self._last = ticks_ms()
        self.day = 0
        self.second = 0
        self.millisecond = 0
        self.uptime = 0
        self.valid = False

    def tick(self):
        """Take in the time that passed since the last call."""
        now = self._ticks_ms()
        passed = self._ticks_diff(now, self._last)
        self._last = now
        self.millisecond += passed
        if self.millisecond >= 1000:
            seconds = self.millisecond // 1000
            self.millisecond %= 1000
            self.uptime += seconds
            self.second += seconds
            while self.second >= DAY:
                self.second -= DAY
                self.day += 1

    def set(self, time, millisecond=0):
        """Set the clock to UNIX seconds `time`."""
        self.tick()
        self.day = time // DAY
        self.second = time % DAY
        self.millisecond = millisecond
        self.valid = True

    def resume(self, time):
        """Go on from UNIX seconds `time`, the last that was known before a power cut: a lower bound, and not valid."""
        self.day = time // DAY
        self.second = time % DAY

    def time(self):
        """UNIX seconds."""
        return self.day * DAY + self.second
