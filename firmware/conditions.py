"""Live inputs: what the terms are multiplied with now, what of it is in error, and each interval's extremes."""

from micropython import const

from protocol import status as flags
from protocol.image import SURFACE, TABLE_BASE
from protocol.registers import INTENSITY

from .tables import Surface, TimeOfUse

MISSING = const(-1)


class Conditions:
    """`values` and `wrong` (0 or 1) by factor number, tables behind the conditions; `inputs[n].value` is a raw input.

    An input is a small integer in the condition's unit, or MISSING. Out of limits it counts as the limit, missing as
    the fallback, and is wrong either way. Intensities hold for a whole interval.
    """

    def __init__(self, image, inputs):
        self._specs = image.conditions
        self._inputs = inputs
        self.intensities = {}
        count = len(image.conditions)
        self.values = [spec[6] for spec in image.conditions] + [0] * len(image.tables)
        self.wrong = [0] * len(self.values)
        self._raw = [None] * count
        self.low = [0] * count
        self.high = [0] * count
        self._counted = False
        self._stale = True
        self._flags = 0
        self._live = [n for n in range(count) if image.conditions[n][0] != INTENSITY]
        self._dated = [n for n in range(count) if image.conditions[n][0] == INTENSITY]
        self._surfaces = []
        self._slots = []
        for n, (kind, data) in enumerate(image.tables):
            if kind == SURFACE:
                self._surfaces.append((count + n, Surface(data)))
            else:
                self._slots.append((count + n, TimeOfUse(data, image.header[16])))
        self._from, self._to = image.header[14:16]

    def number(self, factor):
        """Where a term's factor stands in `values`."""
        return factor if factor < TABLE_BASE else factor - TABLE_BASE + len(self._specs)

    def begin(self, day, second, time, valid):
        """An interval begins at UNIX second `time`, `second` of `day`; `valid` unless the clock was never set."""
        self._counted = False
        self._stale = True
        self._flags = 0 if valid and self._from <= time < self._to else flags.FALLBACK_FACTOR
        for n in self._dated:
            spec = self._specs[n]
            table = self.intensities.get(n)
            value = table.at(time) if table and valid else MISSING
            if not spec[4] <= value <= spec[5]:
                value = spec[6]
                self._flags |= flags.FALLBACK_FACTOR
            self.values[n] = value
        for n, slots in self._slots:
            self.values[n] = slots.at(day, second) if valid else slots.fallback

    def refresh(self):
        """Take in the inputs; True if a value or its being wrong changed since the last call."""
        changed = self._stale
        self._stale = False
        for n in self._live:
            spec = self._specs[n]
            value = self._inputs[spec[3]].value
            if value != self._raw[n]:
                self._raw[n] = value
                used = spec[6] if value < 0 else min(max(value, spec[4]), spec[5])
                self.values[n] = used
                self.wrong[n] = int(used != value)
                changed = True
        if changed:
            for n, surface in self._surfaces:
                self.values[n] = surface.at(self.values[surface.x], self.values[surface.y])
                self.wrong[n] = self.wrong[surface.x] | self.wrong[surface.y]
        return changed

    def count(self):
        """Something is counted under the present values: keep the extremes; returns the status flags to raise."""
        raised = self._flags
        for n in range(len(self._specs)):
            value = self.values[n]
            if not self._counted or value < self.low[n]:
                self.low[n] = value
            if not self._counted or value > self.high[n]:
                self.high[n] = value
            if self.wrong[n]:
                raised |= flags.CONDITION_ERROR
        self._counted = True
        return raised

    @property
    def extremes(self):
        """Whether something was counted in this interval: `low` and `high` are then its extremes so far."""
        return self._counted

    def resume(self, pairs):
        """Go on in an interval that was begun and in which something was counted under values between (low, high) `pairs`."""
        self._counted = True
        for n, (low, high) in enumerate(pairs):
            self.low[n] = low
            self.high[n] = high
        for n in self._dated:
            self.values[n] = self.low[n]

    def end(self):
        """The interval's (low, high) pairs: of what was counted with, or the present values where nothing was counted."""
        if not self._counted:
            self.refresh()
            self._stale = True
            self.count()
        return zip(self.low, self.high)
