"""DS3231 from its datasheet (Maxim 19-5170 Rev 10): registers in BCD, the oscillator-stop flag of a first power-up."""

from __future__ import annotations

from datetime import UTC, datetime


class Ds3231Chip:
    """One clock that stands still; `time` is what its registers say."""

    def __init__(self) -> None:
        self.present = True
        self.memory = bytearray(0x13)
        self.memory[0x0F] = 0x88

    def read(self, register: int, size: int) -> bytes:
        """Bytes from `register` on."""
        return bytes(self.memory[register : register + size])

    def write(self, register: int, data: bytes) -> None:
        """Set registers from `register` on."""
        self.memory[register : register + len(data)] = data

    @property
    def time(self) -> datetime:
        """UTC, by the BCD digits of registers 00H to 06H."""
        second, minute, hour, _, date, month, year = (int(f"{value:02x}") for value in self.memory[:7])
        return datetime(2000 + year, month, date, hour, minute, second, tzinfo=UTC)
