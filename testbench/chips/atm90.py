"""ATM90E26 and ATM90E32 on SPI, from their datasheets (Atmel-46002, Atmel-46003): frames, energy cleared on read, resets."""

from __future__ import annotations

import math
from typing import ClassVar

_SOFT_RESET = 0x789A


class _Atm90:
    address_size = 1
    energy_register = last_register = reset_register = gain_register = 0
    defaults: ClassVar[dict[int, int]] = {}

    def __init__(self) -> None:
        self.disturb: list[int] = []
        """Bits to flip in the data of coming frames' answers, one entry a frame (noise on MISO); 0 leaves one alone."""
        self.gain_error = [0.0] * 3
        """By phase, of transformer, divider and reference: what is measured is 1 + this of what there is."""
        self.early_s = [0.0] * 3
        """By phase, seconds that a transformer lets the current come too early."""
        self._part = 0.0
        self.reset()

    def reset(self) -> None:
        """Back to power-on, and up."""
        self.registers = dict(self.defaults)
        self._frame = bytearray()
        self._up = True

    def pause(self) -> None:
        """Some milliseconds pass without a transfer: a chip that reset itself is up again (E32: 5 ms)."""
        self._up = True

    def energy(self, steps: int) -> None:
        """Energy steps; the register has 16 bits and goes on at zero."""
        self.registers[self.energy_register] = (self.registers[self.energy_register] + steps) & 0xFFFF

    def load(self, quanta: float, phase: int = 0, power_factor: float = 1.0, hertz: float = 50.0) -> None:
        """So much energy passes in a phase, in steps of a perfect chip, at an inductive power factor.

        As the calibration registers have it: gain / 2**15, delay of the current in 1 / 2.048 MHz, bit 15 of the voltage.
        """
        gain, delay = (self.registers.get(self.gain_register + 2 * phase + n, 0) for n in range(2))
        delay_s = (delay & 0xFF) / 2_048_000 * (-1 if delay & 0x8000 else 1)
        angle = math.acos(power_factor) + 2 * math.pi * hertz * (delay_s - self.early_s[phase])
        factor = (1 + self.gain_error[phase]) * (1 + (gain - (gain >> 15 << 16)) / 0x8000)
        self._part += quanta * factor * math.cos(angle) / power_factor
        steps = int(self._part)
        self._part -= steps
        self.energy(steps)

    def select(self, level: int) -> None:
        """Chip select, active low: a frame begins at its falling edge."""
        if not level:
            self._frame = bytearray()

    def exchange(self, byte: int) -> int:
        """One byte each way."""
        frame = self._frame
        frame.append(byte)
        size = self.address_size
        reading = frame[0] & 0x80
        if len(frame) == size and reading:
            self._answer = self._read(self._address(frame)) ^ (self.disturb.pop(0) if self.disturb else 0)
        if len(frame) == size + 2 and not reading:
            self._write(self._address(frame), frame[-2] << 8 | frame[-1])
        if len(frame) > size and reading:
            return self._answer >> (8 if len(frame) == size + 1 else 0) & 0xFF
        return 0

    def _address(self, frame: bytearray) -> int:
        return int.from_bytes(frame[: self.address_size], "big") & ~(0x80 << 8 * (self.address_size - 1))

    def _read(self, register: int) -> int:
        if not self._up:
            return 0xFFFF
        value = self.registers.get(register, 0)
        if register == self.energy_register:
            self.registers[register] = 0
        if register != self.last_register:
            self.registers[self.last_register] = value
        return value

    def _write(self, register: int, value: int) -> None:
        if not self._up:
            return
        if register == self.reset_register and value == _SOFT_RESET:
            self.reset()
            self._up = False
        elif self._may_write(register):
            self.registers[register] = value
        self.registers[self.last_register] = value

    def _may_write(self, register: int) -> bool:
        return True


class Atm90e26Chip(_Atm90):
    """One phase. A block's registers take writes only between its start command 5678H and 8765H, which checks its sum."""

    energy_register, last_register, reset_register, gain_register = 0x40, 0x06, 0x00, 0x23
    defaults: ClassVar[dict[int, int]] = {
        0x01: 0,
        0x06: 0,
        0x20: 0x6886,
        0x21: 0x0015,
        0x22: 0xD174,
        0x2B: 0x9422,
        0x2C: 0,
        0x30: 0x6886,
        0x31: 0x6720,
        0x32: 0x7A13,
        0x33: 0x7530,
        0x3B: 0,
        0x40: 0,
    }
    _BLOCKS = ((0x20, 0x2B), (0x30, 0x3A))

    def _may_write(self, register: int) -> bool:
        for start, last in self._BLOCKS:
            if start < register <= last + 1:
                return self.registers[start] == 0x5678
        return True

    def _write(self, register: int, value: int) -> None:
        super()._write(register, value)
        for start, last in self._BLOCKS:
            if register == start and value == 0x8765 and self._sum(start, last) != self.registers[last + 1]:
                self.registers[0x01] |= 0xC000 if start == 0x20 else 0x3000
                self.registers[start] = 0x6886

    def _sum(self, start: int, last: int) -> int:
        data = b"".join(self.registers.get(n, 0).to_bytes(2, "big") for n in range(start + 1, last + 1))
        parity = 0
        for byte in data:
            parity ^= byte
        return parity << 8 | sum(data) & 0xFF


class Atm90e32Chip(_Atm90):
    """Three phases. Configuration takes writes only while CfgRegAccEn holds 55AAH."""

    address_size = 2
    energy_register, last_register, reset_register, gain_register = 0x80, 0x78, 0x70, 0x47
    defaults: ClassVar[dict[int, int]] = {0x00: 0, 0x31: 0x0861, 0x32: 0xC468, 0x33: 0, 0x7F: 0, 0x80: 0, 0x78: 0}

    def _may_write(self, register: int) -> bool:
        return register in (0x70, 0x7F) or self.registers[0x7F] == 0x55AA
