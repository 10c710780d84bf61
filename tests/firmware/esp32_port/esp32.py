"""Stands in for the ESP32's `esp32` on MicroPython's unix port: a counter that starts again at `max`, and flash."""

_ERASE = 6
_BLOCK = 4096


class PCNT:
    """A pulse counter; `units` are those made, `count(n)` is what its pin does."""

    INCREMENT, IGNORE = 1, 0
    units = {}  # noqa: RUF012

    def __init__(self, number, pin, falling, rising, filter, max, value):
        assert (falling, rising) == (PCNT.INCREMENT, PCNT.IGNORE) and filter <= 1023 and max <= 32767
        self._max = max
        self._value = value
        self.running = False
        self.pin = pin
        PCNT.units[number] = self

    def start(self):
        self.running = True

    def value(self):
        return self._value

    def count(self, pulses):
        self._value = (self._value + pulses) % self._max


class Partition:
    """A data partition; programming turns ones into zeros."""

    TYPE_DATA = 1
    data = bytearray(b"\xff" * (256 * _BLOCK))

    @classmethod
    def find(cls, kind, label):
        assert (kind, label) == (cls.TYPE_DATA, "tonne")
        return [cls()]

    def info(self):
        return (self.TYPE_DATA, 0x40, 0x110000, len(self.data), "tonne", False)

    def readblocks(self, block, buffer, offset):
        at = block * _BLOCK + offset
        buffer[:] = self.data[at : at + len(buffer)]

    def writeblocks(self, block, buffer, offset):
        at = block * _BLOCK + offset
        for n, byte in enumerate(buffer):
            self.data[at + n] &= byte

    def ioctl(self, command, block):
        assert command == _ERASE
        self.data[block * _BLOCK : (block + 1) * _BLOCK] = b"\xff" * _BLOCK
