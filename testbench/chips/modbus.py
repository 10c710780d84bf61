"""A Modbus RTU instrument from the specifications (application protocol V1.1b3, serial line V1.02): functions 3 and 4."""

from __future__ import annotations

import crcmod.predefined

_CRC = crcmod.predefined.mkPredefinedCrcFun("modbus")


class ModbusInstrument:
    """Unit `unit` with 16-bit `registers` by (function, number); an unknown one is exception 2. `silent`: it has no power."""

    def __init__(self, unit: int) -> None:
        self.unit = unit
        self.registers: dict[tuple[int, int], int] = {}
        self.silent = False
        self._request = bytearray()

    def set(self, function: int, first: int, value: int, words: int = 1) -> None:
        """Put `value` into `words` registers from `first` on, high word first."""
        for n in range(words):
            self.registers[function, first + n] = value >> 16 * (words - 1 - n) & 0xFFFF

    def value(self, function: int, first: int, words: int) -> int:
        """What `words` registers from `first` on hold, 0 where nothing was set."""
        found = 0
        for n in range(words):
            found = found << 16 | self.registers.get((function, first + n), 0)
        return found

    def receive(self, data: bytes) -> bytes:
        """What the instrument answers to bytes on its line."""
        self._request += data
        if len(self._request) < 8:
            return b""
        request, self._request = bytes(self._request[:8]), self._request[8:]
        if self.silent or request[0] != self.unit or _CRC(request[:6]) != int.from_bytes(request[6:], "little"):
            return b""
        function, first, count = request[1], int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
        values = [self.registers.get((function, n)) for n in range(first, first + count)]
        if None in values:
            answer = bytes([self.unit, function | 0x80, 2])
        else:
            answer = bytes([self.unit, function, 2 * count]) + b"".join(
                v.to_bytes(2, "big") for v in values if v is not None
            )
        return answer + _CRC(answer).to_bytes(2, "little")
