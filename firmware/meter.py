"""The meter: samples its channels, closes intervals, answers for its registers. Knows no link and no board."""

from micropython import const

from protocol import events as kinds
from protocol import records
from protocol import status as flags
from protocol.registers import ACTIVITY, INTENSITY

from .clock import DAY
from .conditions import Conditions
from .integrator import ACCUMULATOR_LIMBS, INDEX_LIMBS, Integrator
from .records import RecordWriter

_MANY = const(1 << 24)
_LASTING = flags.CLOCK_INVALID | flags.NOT_VALID | flags.STORAGE_FAULT | flags.SEAL_OPEN | flags.SATURATED
_OF_THIS_POWER_UP = flags.NOT_VALID | flags.STORAGE_FAULT | flags.SEAL_OPEN


class Unfit(Exception):
    """A profile that cannot take over: what it would lose or change is number `detail` of the present registers."""

    def __init__(self, detail):
        self.detail = detail


class Meter:
    """`drivers[n].take(counts, at)` adds what channel n counted since the last call to two limbs at `counts[at]`.

    It returns the status flags to raise, most often 0 (`firmware.drivers`).

    `inputs[n].value` is what a condition with source n measures now (`firmware.conditions`). `keep()`, if set, commits the
    registers: it is called when `uncommitted` quanta or the seconds since are more than the profile allows.
    """

    def __init__(self, image, clock, drivers, identity, inputs, ring, events=None):
        self.clock = clock
        self.identity = identity
        self.events = events
        self.reset = 0
        self.status = 0 if clock.valid else flags.CLOCK_INVALID
        self.keep = None
        self.uncommitted = 0
        self.committed = 0
        self.next = None
        self.drivers = drivers[: len(image.channels)]
        self._inputs = inputs
        self._run(image, ring, records.CHAIN_START)
        self._begin()

    def sample(self):
        """Take in time and counts: nothing is allocated unless an interval ends or a commit is due."""
        clock = self.clock
        clock.tick()
        while clock.day != self._day or clock.second >= self._end:
            self._close_at_boundary()
        integrator = self.integrator
        counts = integrator.counts
        at = 0
        low = high = 0
        for driver in self.drivers:
            self.status |= driver.take(counts, at)
            low += counts[at]
            high |= counts[at + 1]
            at += 2
        if low | high:
            conditions = self.conditions
            if conditions.refresh():
                integrator.fold(conditions)
            self.status |= conditions.count()
            if not integrator.add():
                self.status |= flags.SATURATED
            if self.uncommitted < _MANY:
                self.uncommitted += _MANY if high else low
        if self.uncommitted and self.keep:
            if self.uncommitted >= self._commit_quanta or clock.uptime - self.committed >= self._commit_seconds:
                self.keep()

    def set_clock(self, time):
        """Set the clock to UNIX seconds `time`: the running interval ends at the old time, another begins at the new."""
        self.sample()
        was_valid = self.clock.valid
        before = self.clock.time()
        duration = self.clock.second - self._second
        if duration or self._counted():
            self._close(duration, flags.CLOCK_CHANGED)
        self.clock.set(time)
        self.status &= ~flags.CLOCK_INVALID
        self._begin()
        if was_valid:
            self.status |= flags.CLOCK_CHANGED
        if self.keep:
            self.keep()
        if self.events:
            self.events.log(kinds.CLOCK_SET, self.events.actor, before, time)

    def resume(self, start, now, was_valid, status, pairs):
        """Go on after a power cut, registers in place, in the interval begun at `start`, last known to run at `now` (UNIX seconds).

        `was_valid` is whether the clock then was; `pairs` are the interval's extremes, None if nothing was counted in it.
        It goes on if it is not over and the clock is as good as it was; else its record is written, and another begins.
        """
        clock = self.clock
        if not clock.valid:
            clock.resume(now)
        self._day, self._second = divmod(start, DAY)
        self._end = self._second - self._second % self._interval + self._interval
        self.conditions.begin(self._day, self._second, start, was_valid)
        if pairs is not None:
            self.conditions.resume(pairs)
        self.status = status & ~_OF_THIS_POWER_UP | flags.POWER_CUT
        time = clock.time()
        same = clock.valid == was_valid and time >= start
        if not same or time >= self._day * DAY + self._end:
            duration = self._end - self._second if same else now - start
            if duration or self._counted():
                self._close(duration, 0 if same else flags.CLOCK_CHANGED)
            self._begin()
            self.status |= flags.POWER_CUT if same else flags.POWER_CUT | flags.CLOCK_CHANGED
        if clock.valid:
            self.status &= ~flags.CLOCK_INVALID
        else:
            self.status |= flags.CLOCK_INVALID

    def propose(self, image):
        """Let `image` take over when the running interval ends; returns that UNIX second. Raises Unfit."""
        self.sample()
        self._carry(image)
        self.next = image
        return self._day * DAY + self._end

    def push(self, intensities):
        """Let a table of intensities hold from the next interval on. Raises Unfit."""
        conditions = self.image.conditions
        n = intensities.condition
        if n >= len(conditions) or conditions[n][:3] != (INTENSITY, intensities.unit, intensities.exponent):
            raise Unfit(n)
        self.conditions.intensities[n] = intensities
        return self._day * DAY + self._end

    @property
    def start(self):
        """UNIX second at which the running interval began."""
        return self._day * DAY + self._second

    def switch(self):
        """Let the proposed profile take over, as at the end of an interval. False if it does not fit what was counted."""
        image = self.next
        self.next = None
        try:
            pairs = self._carry(image)
        except Unfit:
            return False
        before = self.image
        old = self.integrator
        self._run(image, self.records.ring, self.records.head)
        state = self.integrator.state
        state[: old.accumulators_at] = old.state[: old.accumulators_at]
        for source, target in pairs:
            state[target : target + ACCUMULATOR_LIMBS] = old.state[source : source + ACCUMULATOR_LIMBS]
        if self.events:
            self.events.log(kinds.PROFILE_CHANGED, 0, before.fingerprint, image.fingerprint)
        return True

    def _run(self, image, ring, head):
        self.image = image
        self.conditions = Conditions(image, self._inputs)
        self.integrator = Integrator(image, self.conditions)
        self.records = RecordWriter(image, self.integrator, ring, head)
        self._interval = image.interval
        self._commit_quanta = min(image.header[12] or 1, _MANY)
        self._commit_seconds = min(image.header[13], _MANY)

    def _carry(self, image):
        """Where each accumulator goes in `image`: pairs of limb offsets. Raises Unfit if one would be lost."""
        present = self.image
        if len(image.channels) != len(present.channels):
            raise Unfit(0)
        for n, channel in enumerate(image.channels):
            if channel[:5] != present.channels[n][:5] and any(self._index(n)):
                raise Unfit(n)
        if any(spec[0] != INTENSITY and spec[3] >= len(self._inputs) for spec in image.conditions):
            raise Unfit(len(self._inputs))
        free = list(image.registers)
        state = self.integrator.state
        pairs = []
        for n, register in enumerate(present.registers):
            source = self.integrator.accumulators_at + ACCUMULATOR_LIMBS * n
            if register in free:
                target = free.index(register)
                free[target] = None
                pairs.append((source, self.integrator.accumulators_at + ACCUMULATOR_LIMBS * target))
            elif register[0] != ACTIVITY and any(state[source : source + ACCUMULATOR_LIMBS]):
                raise Unfit(len(present.channels) + n)
        return pairs

    def _index(self, channel):
        return self.integrator.state[INDEX_LIMBS * channel : INDEX_LIMBS * (channel + 1)]

    def _begin(self):
        clock = self.clock
        self._day = clock.day
        self._second = clock.second
        self._end = clock.second - clock.second % self._interval + self._interval
        self._enter()

    def _enter(self):
        self.status &= _LASTING
        self.conditions.begin(self._day, self._second, self._day * DAY + self._second, self.clock.valid)

    def _close_at_boundary(self):
        switches = self.next is not None
        self._close(self._end - self._second, flags.PROFILE_CHANGED if switches else 0)
        if switches:
            self.switch()
        self._second = self._end
        if self._second == DAY:
            self._second = 0
            self._day += 1
        self._end = self._second - self._second % self._interval + self._interval
        self._enter()
        if switches and self.keep:
            self.keep()

    def _close(self, duration, status):
        image = self.image
        for n in range(len(image.channels)):
            if self._increment(n) > image.channels[n][5]:
                status |= flags.RATE_HIGH
        start = self._day * DAY + self._second
        if self.records.write(start, duration, self.status | status, self.conditions.end()):
            self.uncommitted = 0
            self.committed = self.clock.uptime
        else:
            self.status |= flags.STORAGE_FAULT

    def _counted(self):
        return any(self._increment(n) for n in range(len(self.image.channels)))

    def _increment(self, channel):
        at = self.integrator.increments_at + 2 * channel
        return self.integrator.state[at] | self.integrator.state[at + 1] << 16
