"""BMP280 from its datasheet (BST-BMP280-DS001): memory map 4.2, power-on state, registers that increment while read."""

from __future__ import annotations

import struct
from collections.abc import Callable

CALIBRATION = (27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
"""The datasheet's own example (3.12): UT 519888 and UP 415148 are 25.08 °C and 100,653.27 Pa."""
EXAMPLE = (519888, 415148)


class Bmp280Chip:
    """One sensor. `raw(temperature, pressure)` sets what it converts; asleep it keeps 80000H, `present` False: no answer."""

    def __init__(self) -> None:
        self.present = True
        self._raw = EXAMPLE
        self._real = (29823, 100653)
        self.reset()

    def reset(self) -> None:
        """Power-on: asleep, nothing converted."""
        self.memory = bytearray(256)
        self.memory[0x88:0xA0] = struct.pack("<HhhHhhhhhhhh", *CALIBRATION)
        self.memory[0xD0] = 0x58
        self._convert()

    def raw(self, temperature: int, pressure: int) -> None:
        """Set the converter's 20-bit results."""
        self._raw = (temperature, pressure)
        self._convert()

    def measure(self, temperature: int | None = None, pressure: int | None = None) -> None:
        """Measure so many 0.01 K and Pa; what is not given stays. The converter's steps are 0.002 K and 0.2 Pa or so."""
        self._real = (temperature or self._real[0], pressure or self._real[1])
        kelvin, pascal = self._real
        at = _nearest(lambda raw: _celsius(raw) * 100 + 27315 - kelvin)
        self.raw(at, _nearest(lambda raw: pascal - _pascal(at, raw)))

    def read(self, register: int, size: int) -> bytes:
        """Bytes from `register` on."""
        return bytes(self.memory[register : register + size])

    def write(self, register: int, data: bytes) -> None:
        """Set `register`: config and ctrl_meas keep it, reset takes B6H."""
        value = data[0]
        if register == 0xE0 and value == 0xB6:
            self.reset()
        elif register in (0xF4, 0xF5):
            self.memory[register] = value
            self._convert()

    def _convert(self) -> None:
        temperature, pressure = self._raw if self.memory[0xF4] & 3 == 3 else (0x80000, 0x80000)
        self.memory[0xF7:0xFD] = (pressure << 4).to_bytes(3, "big") + (temperature << 4).to_bytes(3, "big")


def _fine(raw: int) -> float:
    """Chapter 8.1, in doubles: t_fine of a raw temperature."""
    t1, t2, t3 = CALIBRATION[:3]
    return (raw / 16384 - t1 / 1024) * t2 + (raw / 131072 - t1 / 8192) ** 2 * t3


def _celsius(raw: int) -> float:
    return _fine(raw) / 5120


def _pascal(temperature: int, raw: int) -> float:
    """Chapter 8.1, in doubles."""
    p1, p2, p3, p4, p5, p6, p7, p8, p9 = CALIBRATION[3:]
    half = _fine(temperature) / 2 - 64000
    offset = (half * half * p6 / 32768 + half * p5 * 2) / 4 + p4 * 65536
    slope = (1 + (p3 * half * half / 524288 + p2 * half) / 524288 / 32768) * p1
    pressure = (1048576 - raw - offset / 4096) * 6250 / slope
    return pressure + (p9 * pressure * pressure / 2147483648 + pressure * p8 / 32768 + p7) / 16


def _nearest(rising: Callable[[int], float]) -> int:
    """The 20-bit reading at which a rising function is next to zero."""
    low, high = 0, (1 << 20) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return min((low, high), key=lambda raw: abs(rising(raw)))
