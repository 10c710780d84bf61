"""The meter: samples its channels, closes intervals, answers for its registers. Knows no link and no board."""

from micropython import const

from protocol import records
from protocol import status as flags
from protocol.registers import ACTIVITY, INTENSITY

from .clock import DAY
from .conditions import Conditions
from .integrator import ACCUMULATOR_LIMBS, Integrator
from .records import RamRing, RecordWriter

RECORDS_HELD = const(96 * 36)
_LASTING = flags.CLOCK_INVALID | flags.NOT_VALID | flags.STORAGE_FAULT | flags.SEAL_OPEN | flags.SATURATED


class Unfit(Exception):
    """A profile that cannot take over: what it would lose or change is number `detail` of the present registers."""

    def __init__(self, detail):
        self.detail = detail


class Meter:
    """`drivers[n].take(counts, at)` adds what channel n counted since the last call to two limbs at `counts[at]`.

    It returns the status flags to raise, most often 0 (`firmware.drivers`).

    `inputs[n].value` is what a condition with source n measures now (`firmware.conditions`).
    """

    def __init__(self, image, clock, drivers, identity, inputs=(), records_held=RECORDS_HELD):
        self.clock = clock
        self.identity = identity
        self.status = 0 if clock.valid else flags.CLOCK_INVALID
        self._drivers = drivers
        self._inputs = inputs
        self._next = None
        self.archives = []
        self._records_held = records_held
        self._run(image, RamRing(self._record_size(image), records_held), records.CHAIN_START)
        self._begin()

    def sample(self):
        """Take in time and counts: nothing is allocated unless an interval ends."""
        clock = self.clock
        clock.tick()
        while clock.day != self._day or clock.second >= self._end:
            self._close_at_boundary()
        integrator = self.integrator
        counts = integrator.counts
        at = 0
        counted = 0
        for driver in self._drivers:
            self.status |= driver.take(counts, at)
            counted |= counts[at] | counts[at + 1]
            at += 2
        if counted:
            conditions = self.conditions
            if conditions.refresh():
                integrator.fold(conditions)
            self.status |= conditions.count()
            if not integrator.add():
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

    def propose(self, image):
        """Let `image` take over when the running interval ends; returns that UNIX second. Raises Unfit."""
        self.sample()
        self._carry(image)
        self._next = image
        return self._day * DAY + self._end

    def push(self, intensities):
        """Let a table of intensities hold from the next interval on. Raises Unfit."""
        conditions = self.image.conditions
        n = intensities.condition
        if n >= len(conditions) or conditions[n][:3] != (INTENSITY, intensities.unit, intensities.exponent):
            raise Unfit(n)
        self.conditions.intensities[n] = intensities
        return self._day * DAY + self._end

    def holder(self, sequence):
        """The record writer that holds record `sequence`, or the nearest later one."""
        for writer in self.archives:
            if sequence < writer.ring.next:
                return writer
        return self.records

    def _run(self, image, ring, head):
        self.image = image
        self.conditions = Conditions(image, self._inputs)
        self.integrator = Integrator(image, self.conditions)
        self.records = RecordWriter(image, self.integrator, ring, head)
        self._interval = image.interval

    def _carry(self, image):
        """Where each accumulator goes in `image`: pairs of limb offsets. Raises Unfit if one would be lost."""
        present = self.image
        if [channel[:5] for channel in image.channels] != [channel[:5] for channel in present.channels]:
            raise Unfit(0)
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

    def _switch(self):
        image = self._next
        self._next = None
        try:
            pairs = self._carry(image)
        except Unfit:
            return
        old = self.integrator
        writer = self.records
        ring = writer.ring
        if image.registers != self.image.registers or image.conditions != self.image.conditions:
            self.archives.append(writer)
            ring = RamRing(self._record_size(image), self._records_held, ring.next)
        self._run(image, ring, writer.head)
        state = self.integrator.state
        state[: old.accumulators_at] = old.state[: old.accumulators_at]
        for source, target in pairs:
            state[target : target + ACCUMULATOR_LIMBS] = old.state[source : source + ACCUMULATOR_LIMBS]

    def _record_size(self, image):
        return records.size(len(image.channels), len(image.conditions), len(image.registers))

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
        self._close(self._end - self._second, flags.PROFILE_CHANGED if self._next else 0)
        if self._next:
            self._switch()
        self._second = self._end
        if self._second == DAY:
            self._second = 0
            self._day += 1
        self._end = self._second - self._second % self._interval + self._interval
        self._enter()

    def _close(self, duration, status):
        image = self.image
        for n in range(len(image.channels)):
            if self._increment(n) > image.channels[n][5]:
                status |= flags.RATE_HIGH
        start = self._day * DAY + self._second
        self.records.write(start, duration, self.status | status, self.conditions.end())

    def _counted(self):
        return any(self._increment(n) for n in range(len(self.image.channels)))

    def _increment(self, channel):
        at = self.integrator.increments_at + 2 * channel
        return self.integrator.state[at] | self.integrator.state[at + 1] << 16
