"""Registers and the plan that feeds them: from a profile image to rows of `kernel`.

`state` holds, in limbs, the channels' indices (4 limbs each), the accumulators (8 each) and the counts of the running
interval (2 each). `bytes` is the same memory as bytes, little-endian on every port we know: what the journal keeps and
records copy.
"""

from array import array

import uctypes

from protocol.image import NO_FACTOR, ImageError

from . import native
from .kernel import FACTOR_AT, FACTOR_LIMBS, ROW

INDEX_LIMBS = 4
ACCUMULATOR_LIMBS = 8
INCREMENT_LIMBS = 2


class Integrator:
    """Adds counts to registers. Write a channel's count into `counts[2 * n : 2 * n + 2]`, then `add()`."""

    def __init__(self, image):
        channels = len(image.channels)
        self.channels = channels
        self.accumulators_at = INDEX_LIMBS * channels
        self.increments_at = self.accumulators_at + ACCUMULATOR_LIMBS * len(image.registers)
        limbs = self.increments_at + INCREMENT_LIMBS * channels
        self.state = array("H", bytes(2 * limbs))
        self.bytes = uctypes.bytearray_at(uctypes.addressof(self.state), 2 * limbs)
        self.counts = array("H", bytes(4 * channels))
        self.rows = 2 * channels + len(image.terms)
        self.plan = array("H", bytes(2 * ROW * self.rows))
        row = 0
        for n in range(channels):
            self._set_row(row, INDEX_LIMBS * n, INDEX_LIMBS, n, 1)
            self._set_row(row + 1, self.increments_at + INCREMENT_LIMBS * n, INCREMENT_LIMBS, n, 1)
            row += 2
        for channel, register, _, shift, constant, *factors in image.terms:
            if factors[0] != NO_FACTOR:
                raise ImageError("this firmware runs constant terms only")
            skip = 2 * shift
            at = self.accumulators_at + ACCUMULATOR_LIMBS * register + skip
            self._set_row(row, at, ACCUMULATOR_LIMBS - skip, channel, constant)
            row += 1

    def _set_row(self, row, at, width, channel, constant):
        plan = self.plan
        base = ROW * row
        plan[base] = at
        plan[base + 1] = width
        plan[base + 2] = channel
        limbs = 0
        while constant:
            plan[base + FACTOR_AT + limbs] = constant & 0xFFFF
            constant >>= 16
            limbs += 1
        if limbs > FACTOR_LIMBS or (limbs > 1 and limbs + 1 > width):
            raise ImageError("profile image has a constant too large for its register")
        plan[base + 3] = limbs

    def add(self):
        """Add `counts` to everything they feed and clear them. Returns False if an accumulator overflowed: it is full."""
        failed = native.accumulate(self.state, self.plan, self.counts, self.rows)
        counts = self.counts
        for n in range(2 * self.channels):
            counts[n] = 0
        if failed:
            self._saturate(failed - 1)
            return False
        return True

    def _saturate(self, row):
        at = self.plan[ROW * row]
        for limb in range(at, at + self.plan[ROW * row + 1]):
            self.state[limb] = 0xFFFF
