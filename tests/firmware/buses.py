"""Wires between drivers and models of their chips, on CPython: UART, SPI and I2C."""

from __future__ import annotations

from firmware.drivers.atm90 import Atm90
from testbench.chips import bmp280
from testbench.chips.atm90 import Atm90e26Chip, Atm90e32Chip
from testbench.chips.bl0942 import Bl0942Chip
from testbench.chips.ds3231 import Ds3231Chip
from testbench.chips.modbus import ModbusInstrument

POLL_MS = 50


class Uart:
    """The wire between a driver's UART and a chip that answers at once; `noise` spoils what comes back."""

    def __init__(self, *chips: Bl0942Chip | ModbusInstrument) -> None:
        self._chips = chips
        self._rx = bytearray()
        self.sent: list[bytes] = []
        self.noise = lambda data: data

    def write(self, data: bytes) -> None:
        self.sent.append(bytes(data))
        for chip in self._chips:
            self._rx += self.noise(chip.receive(bytes(data)))

    def any(self) -> int:
        return len(self._rx)

    def readinto(self, buffer: memoryview | bytearray, size: int = -1) -> int:
        size = min(len(buffer) if size < 0 else size, len(self._rx))
        buffer[:size] = self._rx[:size]
        del self._rx[:size]
        return size


class Spi:
    """The wire to a chip on SPI."""

    def __init__(self, chip: Atm90e26Chip | Atm90e32Chip) -> None:
        self.chip = chip

    def write_readinto(self, out: bytes, into: bytearray) -> None:
        into[:] = bytes(self.chip.exchange(byte) for byte in out)


class I2c:
    """The wire to a chip on I2C."""

    def __init__(self, chip: bmp280.Bmp280Chip | Ds3231Chip, address: int) -> None:
        self.chip = chip
        self._address = address

    def readfrom_mem_into(self, address: int, register: int, buffer: bytearray | memoryview) -> None:
        self._check(address)
        buffer[:] = self.chip.read(register, len(buffer))

    def writeto_mem(self, address: int, register: int, data: bytes) -> None:
        self._check(address)
        self.chip.write(register, data)

    def _check(self, address: int) -> None:
        if address != self._address or not self.chip.present:
            raise OSError(5)


def poll(driver: object, milliseconds: int) -> None:
    for _ in range(milliseconds // POLL_MS):
        if isinstance(driver, Atm90):
            driver._spi.chip.pause()
        driver.poll(POLL_MS)  # type: ignore[attr-defined]


def take(driver: object) -> tuple[int, int]:
    """(count, flags) since the last call."""
    counts = [0, 0, 0, 0]
    flags = driver.take(counts, 2)  # type: ignore[attr-defined]
    assert counts[:2] == [0, 0]
    return counts[2] | counts[3] << 16, flags
