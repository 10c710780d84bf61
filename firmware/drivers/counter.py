"""What every counting driver hands over: quanta not yet taken, and the flag that a chip's counter was lost from sight."""

from protocol.status import COUNTER_JUMP

_MILLION = 1000000
MISSING = -1
"""A measuring driver's value while it has none."""


class Counter:
    """Quanta counted since the last `take`. `per_second` is the most its source can count, `bits` the width of its counter.

    A counter that moved by more than its source can count since it was last seen (and one second more) was reset or
    jumped: its steps are not counted, COUNTER_JUMP is raised, and counting goes on from where it stands.
    """

    def __init__(self, per_second, bits):
        self.jumps = 0
        self.gain = 0
        """Calibration in ppm; what it leaves of a quantum is carried to the next."""
        self._rest = 0
        self._waiting = 0
        self._flags = 0
        self._per_second = per_second
        self._mask = (1 << bits) - 1
        self._last = None
        self.passed = 0
        """Milliseconds since the chip was last seen; its driver counts them up."""

    def follow(self, raw):
        """The chip's free-running counter shows `raw`."""
        last = self._last
        if last is not None:
            moved = raw - last & self._mask
            if moved > self._per_second * (self.passed + 1000) // 1000:
                self.jump()
            else:
                self.add(moved)
        self._last = raw
        self.passed = 0

    def add(self, count):
        """The chip handed over `count` quanta and cleared its counter."""
        if self.gain:
            scaled = count * (_MILLION + self.gain) + self._rest
            count = scaled // _MILLION
            self._rest = scaled - count * _MILLION
        self._waiting += count

    def jump(self):
        """The chip lost count: raise the flag, count nothing, go on from its next reading."""
        self.jumps += 1
        self._flags = COUNTER_JUMP
        self._last = None

    def take(self, counts, at):
        """Put the quanta since the last call into the two limbs at `counts[at]`; returns the status flags to raise."""
        waiting = self._waiting
        if waiting:
            counts[at] = waiting & 0xFFFF
            counts[at + 1] = waiting >> 16 & 0xFFFF
            self._waiting = 0
        flags = self._flags
        self._flags = 0
        return flags
