"""A transmitter with a 4 to 20 mA output, its shunt, and a converter of 12 bits as MicroPython's `read_u16` shows one.

RP2040 datasheet 4.9: 4,096 steps from 0 to the reference; MicroPython stretches the 12 bits over 16 (`raw << 4 | raw >> 8`).
"""

from __future__ import annotations

from fractions import Fraction

STEPS = 4096


class Transmitter:
    """`microamperes` flow through `milliohms`; the converter's reference is `reference_mv`, its offset `offset` steps."""

    def __init__(self, milliohms: int = 150_000, reference_mv: Fraction = Fraction(3300), offset: int = 0) -> None:
        self.microamperes = Fraction(4000)
        self._steps_per_ua = Fraction(milliohms, 1_000_000) / reference_mv * STEPS
        self._offset = offset

    @property
    def raw(self) -> int:
        """The converter's 12 bits."""
        return min(max(int(self.microamperes * self._steps_per_ua) + self._offset, 0), STEPS - 1)

    def read_u16(self) -> int:
        """As `machine.ADC` has it."""
        return self.raw << 4 | self.raw >> 8
