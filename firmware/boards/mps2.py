"""Board `mps2`: a meter on the emulated Cortex-M3 (`testbench.rigs.mps2`), for long runs on a 32-bit MicroPython.

It has no link, no flash, no clock: a file of the host, read through semihosting, brings time, counts and conditions as
8-byte commands (`firmware.boards.unix`). Unless an interval ends, the meter samples with the heap locked.
"""

from array import array

import micropython
import uctypes

from firmware.clock import Clock
from firmware.meter import Meter
from firmware.records import RamRing
from protocol.image import Image

COMMAND_SIZE = 8
ADVANCE, PULSES, CONDITION = b"APC"
INPUTS = 8
RECORDS_HELD = 16
BUFFER_SIZE = 4096
_SYS_OPEN = micropython.const(1)
_SYS_CLOSE = micropython.const(2)
_SYS_READ = micropython.const(6)
_READ_BINARY = micropython.const(1)
_HALF_PERIOD = micropython.const(1 << 29)


@micropython.asm_thumb
def _semihost(r0, r1):
    data(2, 0xBEAB)  # type: ignore[name-defined]


class HostFile:
    """A file of the host."""

    def __init__(self, path):
        self._path = path.encode() + b"\0"
        self._arguments = array("I", [uctypes.addressof(self._path), _READ_BINARY, len(self._path) - 1])
        self._handle = self._call(_SYS_OPEN)
        if self._handle < 0:
            raise OSError(path)

    def read_into(self, buffer):
        """Fill `buffer`; returns how many bytes there were."""
        self._arguments = array("I", [self._handle, uctypes.addressof(buffer), len(buffer)])
        return len(buffer) - self._call(_SYS_READ)

    def close(self):
        self._arguments = array("I", [self._handle, 0, 0])
        self._call(_SYS_CLOSE)

    def _call(self, operation):
        return _semihost(operation, self._arguments)


class BenchPulses:
    """A pulse input whose pulses the bench sends, in two limbs."""

    def __init__(self):
        self.low = 0
        self.high = 0

    def take(self, counts, at):
        """Add the pulses since the last call to the two limbs at `counts[at]`; returns no status flags."""
        counts[at] = self.low
        counts[at + 1] = self.high
        self.low = self.high = 0
        return 0


class BenchInput:
    """A measured condition that the bench sets."""

    value = -1


def ticks_diff(later, sooner):
    """As MicroPython's: a tick counter has 30 bits."""
    passed = later - sooner
    if passed < -_HALF_PERIOD:
        passed += _HALF_PERIOD
        passed += _HALF_PERIOD
    return passed


class Bench:
    """A meter under virtual time; `time` is UNIX seconds, None for a clock that is not set."""

    def __init__(self, profile, time=None):
        image = Image(profile)
        self._now = 0
        self._in_interval = 0
        self._interval = 1000 * image.interval
        self.inputs = [BenchPulses() for _ in image.channels]
        self.conditions = [BenchInput() for _ in range(INPUTS)]
        clock = Clock(lambda: self._now, ticks_diff)
        if time is not None:
            clock.set(time)
            self._in_interval = 1000 * (time % image.interval)
        self.meter = Meter(image, clock, self.inputs, None, self.conditions, RamRing(0, RECORDS_HELD))

    def run(self, path):
        """Do what the commands in file `path` say, each at its moment."""
        file = HostFile(path)
        buffer = bytearray(BUFFER_SIZE)
        while True:
            size = file.read_into(buffer)
            if not size:
                break
            for at in range(0, size, COMMAND_SIZE):
                low = buffer[at + 4] | buffer[at + 5] << 8
                high = buffer[at + 6] | buffer[at + 7] << 8
                self._do(buffer[at], buffer[at + 1], low, high)
        file.close()
        self.sample()

    def _do(self, operation, index, low, high):
        if operation == ADVANCE:
            self.sample()
            passed = low | high << 16
            self._now = self._now + passed & (_HALF_PERIOD << 1) - 1
            self._in_interval += passed
            if self._in_interval >= self._interval:
                self._in_interval %= self._interval
                self.meter.sample()
        elif operation == PULSES:
            self.inputs[index].low = low
            self.inputs[index].high = high
        elif operation == CONDITION:
            self.sample()
            self.conditions[index].value = -1 if high == 0xFFFF else low | high << 16

    def sample(self):
        """Sample with the heap locked: MemoryError if anything is allocated."""
        micropython.heap_lock()
        try:
            self.meter.sample()
        finally:
            micropython.heap_unlock()
