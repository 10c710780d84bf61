"""Registers and the plan that feeds them: from a profile image to rows of `kernel`.

`state` holds, in limbs, the channels' indices (4 limbs each), the accumulators (8 each) and the counts of the running
interval (2 each). `bytes` is the same memory as bytes, little-endian on every port we know: what the journal keeps and
records copy.
"""

from array import array

import uctypes

from protocol.image import NO_FACTOR, ImageError
from protocol.registers import NO_REGISTER

from . import native
from .kernel import FACTOR_AT, FACTOR_LIMBS, ROW

INDEX_LIMBS = 4
ACCUMULATOR_LIMBS = 8
INCREMENT_LIMBS = 2


class Integrator:
    """Adds counts to registers. Write a channel's count into `counts[2 * n : 2 * n + 2]`, then `add()`."""

    def __init__(self, image, conditions):
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
        self._live = []
        for channel, register, error_register, shift, constant, *factors in image.terms:
            skip = 2 * shift
            width = ACCUMULATOR_LIMBS - skip
            at = self.accumulators_at + ACCUMULATOR_LIMBS * register + skip
            numbers = tuple(conditions.number(factor) for factor in factors if factor != NO_FACTOR)
            highest = constant
            for factor in factors:
                if factor != NO_FACTOR:
                    highest *= image.highest(factor)
            self._set_row(row, at, width, channel, highest)
            if numbers:
                twin = at if error_register == NO_REGISTER else at + ACCUMULATOR_LIMBS * (error_register - register)
                words = array("H", [constant >> 16 * n & 0xFFFF for n in range(FACTOR_LIMBS)])
                self._live.append((ROW * row, at, twin, words, numbers))
            row += 1

    def fold(self, conditions):
        """Put the present values of the conditions and tables into the plan; nothing is allocated."""
        plan = self.plan
        values = conditions.values
        wrong = conditions.wrong
        for base, at, twin, words, numbers in self._live:
            for n in range(FACTOR_LIMBS):
                plan[base + FACTOR_AT + n] = words[n]
            error = 0
            for number in numbers:
                value = values[number]
                error |= wrong[number]
                native.scale(plan, base + FACTOR_AT, value & 0xFFFF, value >> 16)
            plan[base] = twin if error else at

    def _set_row(self, row, at, width, channel, constant):
        plan = self.plan
        base = ROW * row
        plan[base] = at
        plan[base + 1] = width
        plan[base + 2] = channel
        limbs = 0
        while constant and limbs < FACTOR_LIMBS:
            plan[base + FACTOR_AT + limbs] = constant & 0xFFFF
            constant >>= 16
            limbs += 1
        if constant or (limbs > 1 and limbs + 1 > width):
            raise ImageError("profile image has a constant too large for its register")
        plan[base + 3] = limbs

    def add(self):
        """Add `counts` to everything they feed and clear them. Returns False if an accumulator is full."""
        failed = native.accumulate(self.state, self.plan, self.counts, self.rows)
        counts = self.counts
        for n in range(2 * self.channels):
            counts[n] = 0
        return not failed
