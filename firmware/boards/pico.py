"""Board `pico`: a Raspberry Pi Pico (RP2040). Pulses are counted in PIO, the store is raw flash beside the files."""

import machine

from firmware.drivers.pulse import PioPulses

from .board import Board, Buses
from .pico_flash import PicoNor


class PicoBuses(Buses):
    """The RP2040's pins."""

    def pulse(self, number, spec):
        """A pulse input with its pull-up: contact or open collector to ground."""
        pin = machine.Pin(spec["pin"], machine.Pin.IN, machine.Pin.PULL_UP)
        return PioPulses(number, pin, spec.get("settle_us", 10000))


def main(closed=False):
    """Start the meter that board.json describes."""
    led = machine.Pin("LED", machine.Pin.OUT, value=0)
    Board("pico", PicoBuses(), PicoNor(), led, closed).run()
