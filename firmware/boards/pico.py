"""Board `pico`: a Raspberry Pi Pico (RP2040). Pulses are counted in PIO, the store is raw flash beside the files."""

import machine
from micropython import const

from firmware.drivers.pulse import PioPulses
from protocol import events

from .board import Board, Buses
from .pico_flash import PicoNor

_REASON = const(0x40058008)
_TIMER = const(1)
"""WATCHDOG REASON (RP2040 datasheet 4.7.6): the watchdog ran out, or else a program asked for the restart."""


class PicoBuses(Buses):
    """The RP2040's pins."""

    def pulse(self, number, spec):
        """A pulse input with its pull-up: contact or open collector to ground."""
        pin = machine.Pin(spec["pin"], machine.Pin.IN, machine.Pin.PULL_UP)
        return PioPulses(number, pin, spec.get("settle_us", 10000))

    def reset_cause(self):
        """MicroPython calls a restart that a program asked for a watchdog's; the chip tells them apart."""
        cause = super().reset_cause()
        if cause == events.RESET_WATCHDOG and not machine.mem32[_REASON] & _TIMER:
            return events.RESET_SOFTWARE
        return cause

    def restart(self):
        """Start again."""
        machine.reset()


def main(closed=False, slot=""):
    """Start the meter that board.json describes, as firmware of `slot` (`Board`)."""
    led = machine.Pin("LED", machine.Pin.OUT, value=0)
    Board("pico", PicoBuses(), PicoNor(), led, closed, slot).run()
