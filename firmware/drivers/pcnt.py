"""Pulses counted by an ESP32's pulse counter (PCNT, MicroPython 1.26 and later): it goes on whatever the processor does.

Its filter drops levels shorter than 1023 periods of 80 MHz, 12.7 us: a contact that bounces for longer needs an RC filter of its
own in front. The counter has 15 bits here and starts again from 0 at 32,767, so it is to be read every 0.3 s at 100 kHz.
"""

from esp32 import PCNT
from micropython import const

_END = const(32767)
_FILTER = const(1023)


class PcntPulses:
    """Pulses on `pin`, a `machine.Pin`, by unit `number`. A falling edge is one quantum."""

    def __init__(self, number, pin):
        self._unit = PCNT(
            number, pin=pin, falling=PCNT.INCREMENT, rising=PCNT.IGNORE, filter=_FILTER, max=_END, value=0
        )
        self._last = 0
        self._unit.start()

    def take(self, counts, at):
        """Put the pulses since the last call into the two limbs at `counts[at]`; returns 0."""
        value = self._unit.value()
        count = value - self._last
        if count < 0:
            count += _END
        self._last = value
        counts[at] = count
        counts[at + 1] = 0
        return 0
