"""From what meter and reference show to what the meter is told: the arithmetic of one step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from hostlink.calibrate.plan import DELAY, GAIN, OFFSET, Step
from hostlink.errors import CalibrationError
from protocol import parameters

MILLION = 1_000_000
DELAY_HZ = 2_048_000
"""Steps of a chip's delay register a second (ATM90E26 datasheet, Lphi; ATM90E32AS datasheet, PhiA)."""
Fields = tuple[int, int]
"""Gain in ppm and delay, or gain and offset: a parameter's fields."""


@dataclass(frozen=True)
class Reading:
    """What reference and meter showed of the same: quanta of a channel, or the value of an input (`raw`: not calibrated)."""

    reference: Fraction
    shown: int
    raw: int = 0

    def error(self, step: Step) -> float:
        """The meter's error, ppm of a channel's reference, in the unit of an input."""
        off = self.shown - self.reference
        return float(off / self.reference * MILLION if step.channel is not None else off)


def adjusted(step: Step, now: Fields, reading: Reading, before: Reading | None = None) -> Fields:
    """The parameter's fields with which the meter would have shown the reference.

    before: of an input's gain step, its offset step: the straight line goes through both. Raises CalibrationError for what no
    adjustment is.
    """
    gain, other = now
    if step.adjust == GAIN and step.channel is not None:
        gain = round((MILLION + gain) * reading.reference / reading.shown) - MILLION
    elif step.adjust == DELAY:
        other += round(_delay(step, reading.shown / reading.reference - 1))
    elif step.adjust == OFFSET:
        other += round(reading.reference - reading.shown)
    elif before is None:
        gain = round((reading.reference - other) / reading.raw * MILLION) - MILLION
    else:
        if reading.raw == before.raw:
            raise CalibrationError(f"calibration {step.name}: expected another point than that of the offset step")
        slope = (reading.reference - before.reference) / (reading.raw - before.raw)
        gain = round((slope - 1) * MILLION)
        other = round(before.reference - slope * before.raw)
    most = (parameters.GAIN_LIMIT, parameters.OFFSET_LIMIT if step.input is not None else parameters.DELAY_LIMIT)
    names = ("gain in ppm", "offset" if step.input is not None else "delay")
    for name, value, limit in zip(names, (gain, other), most, strict=True):
        if abs(value) > limit:
            raise CalibrationError(
                f"calibration {step.name}: {name} would be {value}, at most ±{limit} is an adjustment"
            )
    return gain, other


def _delay(step: Step, error: Fraction) -> float:
    """Steps that the current comes too early: at cos(φ) inductive an angle of δ too small makes δ·tan(φ) too much energy.

    Microchip AN-46103 gives it for cos(φ) = 0.5 as error × 3763.739 at 50 Hz, × 3136.449 at 60 Hz.
    """
    tangent = math.sqrt(1 / step.power_factor**2 - 1)
    return float(error) / tangent / (2 * math.pi * step.hertz) * DELAY_HZ
