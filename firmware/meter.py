"""The meter: samples its channels, closes intervals, answers for its registers. Knows no link and no board."""

from micropython import const

from protocol import records
from protocol import status as flags

from .clock import DAY
from .integrator import Integrator
from .records import RamRing, RecordWriter

RECORDS_HELD = const(96 * 36)
_LASTING = flags.CLOCK_INVALID | flags.NOT_VALID | flags.STORAGE_FAULT | flags.SEAL_OPEN | flags.SATURATED


class Meter:
    """`drivers[n].take(counts, at)` adds what channel n counted since the last call to two limbs at `counts[at]`."""

    def __init__(self, image, clock, drivers, identity):
        self.image = image
        self.clock = clock
        self.identity = identity
        self.integrator = Integrator(image)
        size = records.size(len(image.channels), len(image.conditions), len(image.registers))
        self.records = RecordWriter(image, self.integrator, RamRing(size, RECORDS_HELD))
        self.status = 0 if clock.valid else flags.CLOCK_INVALID
        self._drivers = drivers
        self._interval = image.interval
        self._begin()

    def sample(self):
        """Take in time and counts: nothing is allocated unless an interval ends."""
        clock = self.clock
        clock.tick()
        while clock.day != self._day or clock.second >= self._end:
            self._close_at_boundary()
        counts = self.integrator.counts
        at = 0
        for driver in self._drivers:
            driver.take(counts, at)
            at += 2
        if not self.integrator.add():
            self.status |= flags.SATURATED

    def set_clock(self, time):
        """Set the clock to UNIX seconds `time`: the running interval ends at the old time, another begins at the new."""
        self.sample()
        was_valid = self.clock.valid
        duration = self.clock.second - self._second
        if duration or self._counted():
            self._close(duration, flags.CLOCK_CHANGED)
        self.clock.set(time)
        self.status &= ~flags.CLOCK_INVALID
        self._begin()
        if was_valid:
            self.status |= flags.CLOCK_CHANGED

    def _begin(self):
        clock = self.clock
        self._day = clock.day
        self._second = clock.second
        self._end = clock.second - clock.second % self._interval + self._interval
        self.status &= _LASTING

    def _close_at_boundary(self):
        self._close(self._end - self._second, 0)
        self._second = self._end
        if self._second == DAY:
            self._second = 0
            self._day += 1
        self._end = self._second + self._interval
        self.status &= _LASTING

    def _close(self, duration, status):
        image = self.image
        for n in range(len(image.channels)):
            if self._increment(n) > image.channels[n][5]:
                status |= flags.RATE_HIGH
        self.records.write(self._day * DAY + self._second, duration, self.status | status, ())

    def _counted(self):
        return any(self._increment(n) for n in range(len(self.image.channels)))

    def _increment(self, channel):
        at = self.integrator.increments_at + 2 * channel
        return self.integrator.state[at] | self.integrator.state[at + 1] << 16
