"""BL0942 as its datasheet (Shanghai Belling, V1.06) has it on the UART: chapters 2.6 (registers), 3.1 and 3.2 (frames)."""

from __future__ import annotations

_MODE, _SOFT_RESET, _WRITE_PROTECT = 0x19, 0x1C, 0x1D
_CF_CNT, _WATT, _V_RMS, _I_RMS, _FREQ, _STATUS = 0x07, 0x06, 0x04, 0x03, 0x08, 0x09
_RESET_WORD = 0x5A5A5A
_UNLOCKED = 0x55


class Bl0942Chip:
    """One chip; `registers` by address, 24 bits each. `energy(pulses)` counts; `reset()` is a brown-out."""

    def __init__(self, address: int = 0) -> None:
        self._address = address
        self.silent = False
        self.gain_error = 0.0
        """Of shunt, divider and reference: what is measured is 1 + this of what there is."""
        self._part = 0.0
        self._request = bytearray()
        self.reset()

    def reset(self) -> None:
        """Back to power-on: counter zero, MODE 87H, write protection on."""
        self.registers = {_MODE: 0x87, _WRITE_PROTECT: 0, _CF_CNT: 0, _WATT: 0, _V_RMS: 0, _I_RMS: 0}
        self.registers |= {_FREQ: 0x4E20, _STATUS: 0}
        self._request = bytearray()

    def energy(self, pulses: int) -> None:
        """CF pulses; the counter has 24 bits and goes on at zero."""
        self.registers[_CF_CNT] = (self.registers[_CF_CNT] + pulses) & 0xFFFFFF

    def load(self, quanta: float) -> None:
        """So much energy passes, in CF pulses of a perfect chip."""
        self._part += quanta * (1 + self.gain_error)
        pulses = int(self._part)
        self._part -= pulses
        self.energy(pulses)

    def receive(self, data: bytes) -> bytes:
        """What the chip answers to bytes on its RX."""
        answer = b""
        for byte in data:
            self._request.append(byte)
            answer += self._step()
        return b"" if self.silent else answer

    def _step(self) -> bytes:
        request = self._request
        head = request[0]
        if head == 0x58 | self._address:
            if len(request) < 2:
                return b""
            register = request[1]
            self._request = bytearray()
            return self._packet(head) if register == 0xAA else self._register(head, register)
        if head == 0xA8 | self._address:
            if len(request) == 6:
                self._write(bytes(request))
                self._request = bytearray()
            return b""
        self._request = bytearray()
        return b""

    def _register(self, head: int, register: int) -> bytes:
        data = self.registers.get(register, 0).to_bytes(3, "little")
        return data + bytes([~(head + register + sum(data)) & 0xFF])

    def _packet(self, head: int) -> bytes:
        three = [self.registers[n].to_bytes(3, "little") for n in (_I_RMS, _V_RMS)]
        data = b"\x55" + b"".join(three) + bytes(3)
        data += self.registers[_WATT].to_bytes(3, "little") + self.registers[_CF_CNT].to_bytes(3, "little")
        data += self.registers[_FREQ].to_bytes(2, "little") + b"\0" + bytes([self.registers[_STATUS]]) + bytes(2)
        return data + bytes([~(head + sum(data)) & 0xFF])

    def _write(self, request: bytes) -> None:
        if ~sum(request[:5]) & 0xFF != request[5]:
            return
        register, value = request[1], int.from_bytes(request[2:5], "little")
        if register == _WRITE_PROTECT:
            self.registers[register] = value
        elif self.registers[_WRITE_PROTECT] == _UNLOCKED:
            if register == _SOFT_RESET and value == _RESET_WORD:
                self.reset()
            else:
                self.registers[register] = value
