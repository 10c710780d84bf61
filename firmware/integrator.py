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
from .kernel import FACTOR_AT, FACTOR_LIMBS, FACTOR_SIZES, ROW

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
        groups = [
            [(INDEX_LIMBS * n, INDEX_LIMBS, 1, None), (self.increments_at + INCREMENT_LIMBS * n, INCREMENT_LIMBS, 1, None)]
            for n in range(channels)
        ]
        for channel, register, error_register, shift, constant, *factors in image.terms:
            skip = 2 * shift
            at = self.accumulators_at + ACCUMULATOR_LIMBS * register + skip
            numbers = tuple(conditions.number(factor) for factor in factors if factor != NO_FACTOR)
            highest = constant
            for factor in factors:
                if factor != NO_FACTOR:
                    highest *= image.highest(factor)
            live = None
            if numbers:
                twin = at if error_register == NO_REGISTER else at + ACCUMULATOR_LIMBS * (error_register - register)
                words = array("H", [constant >> 16 * n & 0xFFFF for n in range(FACTOR_LIMBS)])
                live = at, twin, words, numbers
            groups[channel].append((at, ACCUMULATOR_LIMBS - skip, highest, live))
        self.plan = array("H", bytes(2 + 2 * sum(1 + ROW * len(group) for group in groups)))
        self._live = []
        base = 0
        for group in groups:
            self.plan[base] = len(group)
            base += 1
            for at, width, highest, live in group:
                self._set_row(base, at, width, highest)
                if live:
                    self._live.append((base,) + live)
                base += ROW

    def fold(self, conditions):
        """Put the present values of the conditions and tables into the plan; nothing is allocated."""
        plan = self.plan
        values = conditions.values
        wrong = conditions.wrong
        for base, at, twin, words, numbers in self._live:
            native.load(plan, base + FACTOR_AT, words)
            error = 0
            for number in numbers:
                value = values[number]
                error |= wrong[number]
                native.scale(plan, base + FACTOR_AT, value & 0xFFFF, value >> 16)
            plan[base] = twin if error else at

    def _set_row(self, base, at, width, constant):
        plan = self.plan
        limbs = 0
        for limbs in FACTOR_SIZES:
            if constant < 1 << 16 * limbs:
                break
        if constant >= 1 << 16 * limbs or limbs >= width:
            raise ImageError("profile image has a constant too large for its register")
        plan[base : base + FACTOR_AT] = array("H", [at, width, limbs])
        for n in range(limbs):
            plan[base + FACTOR_AT + n] = constant >> 16 * n & 0xFFFF

    def add(self):
        """Add `counts` to everything they feed and clear them. Returns False if an accumulator is full."""
        return not native.accumulate(self.state, self.plan, self.counts)
