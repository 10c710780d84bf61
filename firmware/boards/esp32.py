"""Board `esp32`: pulses in the hardware counters, the store in a data partition named `tonne`. Typed; not yet run on a chip."""

import machine
from esp32 import Partition
from micropython import const

from firmware.drivers.pcnt import PcntPulses
from firmware.store.nor import Nor

from .board import Board, Buses

LED = const(2)
_BLOCK = const(4096)
_PAGE = const(256)
_ERASE = const(6)
_SIZE_AT = const(3)


class Esp32Buses(Buses):
    """The ESP32's pins."""

    def pulse(self, number, spec):
        """A pulse input with its pull-up: open collector, or a contact behind an RC filter."""
        return PcntPulses(number, machine.Pin(spec["pin"], machine.Pin.IN, machine.Pin.PULL_UP))

    def adc(self, spec):
        """An analogue input of some 0.1 to 3.1 V: its points of calibration are not those of a divider of the supply."""
        return machine.ADC(machine.Pin(spec["adc"]), atten=machine.ADC.ATTN_11DB)


class PartitionNor(Nor):
    """A data partition as flash; its own limits on writing a part of a block are those of NOR."""

    def __init__(self, partition):
        super().__init__(partition.info()[_SIZE_AT], _BLOCK, _PAGE)
        self._blank = b""
        self._partition = partition

    def read_into(self, at, buffer):
        """Copy flash from `at` on into the whole of `buffer`."""
        self._partition.readblocks(at // _BLOCK, buffer, at % _BLOCK)

    def erase(self, sector):
        """Turn every bit of sector number `sector` into a one."""
        self._partition.ioctl(_ERASE, sector)

    def _write(self, at, data):
        self._partition.writeblocks(at // _BLOCK, data, at % _BLOCK)


def main(closed=False, slot=""):
    """Start the meter that board.json describes (`Board`). Raises IndexError where there is no partition `tonne`."""
    partition = Partition.find(Partition.TYPE_DATA, label="tonne")[0]
    led = machine.Pin(LED, machine.Pin.OUT, value=0)
    Board("esp32", Esp32Buses(), PartitionNor(partition), led, closed, slot).run()
