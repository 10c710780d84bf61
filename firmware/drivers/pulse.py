"""Pulses counted by a PIO state machine of the RP2040: it goes on while flash is written and interrupts are off.

The state machine samples its pin every two of its cycles. A contact must be seen open in 32 samples running, then closed
(low) in 32 samples running, for one pulse. So, with `settle_us` = T:
    a level shorter than 31/32 T is never taken for a change: bounce and glitches of that length do not count
    a pulse is always counted if both its levels last 33/32 T, so up to 1 / (2 * 33/32 T) pulses a second
    a level shorter than the time between two samples, T/32, may not be seen: its neighbours are then one level
T is 1 to 33,500 us (the divider of a PIO clock has 16 bits). X holds minus the count, 32 bits; it is read by one
instruction that the processor injects (`in x, 32` with autopush), so that no FIFO holds an old count.
"""

from array import array

import rp2
import uctypes
from micropython import const

from .pulse_program import count_pulses

_SAMPLES = const(32)
_CYCLES_A_SAMPLE = const(2)
SETTLE_US_MIN, SETTLE_US_MAX = 1, 33500
_IN_X_32 = const(0x4020)
_SET_X_0 = const(0xE020)


class PioPulses:
    """Pulses on `pin`, a `machine.Pin` with its pull set, by state machine `number` (0 to 7). One pulse is one quantum."""

    def __init__(self, number, pin, settle_us):
        if not SETTLE_US_MIN <= settle_us <= SETTLE_US_MAX:
            raise ValueError("settle_us: expected %d to %d, got %d" % (SETTLE_US_MIN, SETTLE_US_MAX, settle_us))
        self._raw = array("I", [0])
        self._limbs = uctypes.struct(uctypes.addressof(self._raw), {"x": (uctypes.ARRAY | 0, uctypes.UINT16 | 2)}).x
        self._low = self._high = 0
        hertz = _SAMPLES * _CYCLES_A_SAMPLE * 1000000 // settle_us
        self._machine = rp2.StateMachine(number, count_pulses, freq=max(hertz, 1908), jmp_pin=pin)
        self._machine.exec(_SET_X_0)
        self._machine.active(1)

    def take(self, counts, at):
        """Put the pulses since the last call into the two limbs at `counts[at]`; returns 0."""
        self._machine.exec(_IN_X_32)
        self._machine.get(self._raw)
        limbs = self._limbs
        low = limbs[0]
        high = limbs[1]
        count = self._low - low
        counts[at + 1] = self._high - high + (count >> 16) & 0xFFFF
        counts[at] = count & 0xFFFF
        self._low = low
        self._high = high
        return 0
