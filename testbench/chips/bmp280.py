"""BMP280 from its datasheet (BST-BMP280-DS001): memory map 4.2, power-on state, registers that increment while read."""

from __future__ import annotations

import struct

CALIBRATION = (27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
"""The datasheet's own example (3.12): UT 519888 and UP 415148 are 25.08 °C and 100,653.27 Pa."""
EXAMPLE = (519888, 415148)


class Bmp280Chip:
    """One sensor. `raw(temperature, pressure)` sets what it converts; asleep it keeps 80000H, `present` False: no answer."""

    def __init__(self) -> None:
        self.present = True
        self._raw = EXAMPLE
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
