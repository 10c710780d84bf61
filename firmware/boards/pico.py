"""Board `pico`: a Raspberry Pi Pico (RP2040). Pulses are counted in PIO, the store is raw flash beside the files."""

import machine
from micropython import const

from firmware.drivers.pulse import PioPulses
from protocol import events

from .board import Board, Buses
from .pico_flash import PicoNor

_SCRATCH = const(0x4005800C)
"""WATCHDOG SCRATCH0 (RP2040 datasheet 4.7.6); the boot ROM and MicroPython use 4 to 7."""
_RESTARTED = const(0x2E5E7)


class PicoBuses(Buses):
    """The RP2040's pins."""

    def pulse(self, number, spec):
        """A pulse input with its pull-up: contact or open collector to ground."""
        pin = machine.Pin(spec["pin"], machine.Pin.IN, machine.Pin.PULL_UP)
        return PioPulses(number, pin, spec.get("settle_us", 10000))

    def reset_cause(self):
        """A restart of our own is a watchdog's for the chip; the scratch register outlives both, and no power cut."""
        cause = super().reset_cause()
        if machine.mem32[_SCRATCH] == _RESTARTED:
            machine.mem32[_SCRATCH] = 0
            cause = events.RESET_SOFTWARE
        return cause

    def restart(self):
        """Start again."""
        machine.mem32[_SCRATCH] = _RESTARTED
        machine.reset()


def main(closed=False, slot=""):
    """Start the meter that board.json describes, as firmware of `slot` (`Board`)."""
    led = machine.Pin("LED", machine.Pin.OUT, value=0)
    Board("pico", PicoBuses(), PicoNor(), led, closed, slot).run()
