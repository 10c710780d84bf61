"""Blocks of the RP2040 as the datasheets have them, in place of rp2040py 0.3.6's.

rp2040py 0.3.6 sends a byte in no time, has no TX FIFO and raises the transmit interrupt for ever, so `machine.UART()`
never returns; its flash erases and programs in no time and whole. What depends on those times (an RS-485 driver's
release, the first byte of a reply, pulses during a commit, a power cut in a commit) would be proved of nothing.
Its PIO takes one step, however far time jumps, while the core sleeps; here it keeps its clock.

Sources: RP2040 datasheet 4.2 (UART, an ARM PL011: ARM DDI 0183); Winbond W25Q16JV datasheet, AC characteristics.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from importlib.metadata import version

from rp2040py.peripherals.pio import RPPIO
from rp2040py.peripherals.ssi import CMD_BLOCK_ERASE, CMD_PAGE_PROGRAM, CMD_READ_STATUS_1, CMD_SECTOR_ERASE, RPSSI
from rp2040py.peripherals.uart import RPUART
from rp2040py.rp2040 import RP2040

from testbench.errors import EmulatorError

RP2040PY = "0.3.6"
_UART_ADDRESS = (0x40034, 0x40038)
_SSI_ADDRESS = 0x18000

_DR, _RSR, _FR, _LCR_H, _IFLS, _IMSC, _RIS, _MIS, _ICR = 0x00, 0x04, 0x18, 0x2C, 0x34, 0x38, 0x3C, 0x40, 0x44
_TXFE, _RXFF, _TXFF, _RXFE, _BUSY = 1 << 7, 1 << 6, 1 << 5, 1 << 4, 1 << 3
_RX_INT, _TX_INT, _TIMEOUT_INT, _OVERRUN_INT = 1 << 4, 1 << 5, 1 << 6, 1 << 10
_OVERRUN = 1 << 11
_FIFO = 32
_LEVELS = (4, 8, 16, 24, 28)  # bytes, by IFLS select
_TIMEOUT_BITS = 32
_CLK_SYS_HZ = 125_000_000
_CLK_PERI_CTRL = 0x48  # datasheet 2.15.7: AUXSRC
_CLK_PERI_HZ = {2: 48_000_000, 4: 12_000_000}  # USB PLL (MicroPython's choice), crystal; else clk_sys

_PIO_ADDRESS = (0x50200, 0x50300)
_PIO_CTRL, _PIO_CLKDIV, _PIO_MACHINE = 0x00, 0xC8, 0x18
_ROUNDING_NS = 0.01  # the emulator turns a jump into whole cycles by rounding down

_BUSY_S = {CMD_PAGE_PROGRAM: 0.4e-3, CMD_SECTOR_ERASE: 45e-3, CMD_BLOCK_ERASE: 150e-3}  # typical
_EXTENT = {CMD_PAGE_PROGRAM: 256, CMD_SECTOR_ERASE: 4096, CMD_BLOCK_ERASE: 65536}
_STATUS_BUSY = 1
_READ_UNIQUE_ID, _UNIQUE_ID_DUMMY = 0x4B, 5


class Pl011(RPUART):
    """The UART: 32-byte FIFOs with trigger levels, bytes that take their time on the wire, the receive time-out."""

    def __init__(self, stock: RPUART) -> None:
        super().__init__(stock.rp2040, stock.name, stock.irq, stock.dreq)
        self.lost = 0  # bytes that arrived at a full FIFO
        self._ifls = 0x12
        self._tx: deque[int] = deque()
        self._shifting: int | None = None
        self._rx: deque[int] = deque()
        self._arriving: deque[int] = deque()
        self._overrun = False
        clock = self.rp2040.clock
        self._tx_alarm = clock.create_alarm(self._sent)
        self._rx_alarm = clock.create_alarm(self._arrived)
        self._timeout_alarm = clock.create_alarm(self._timed_out)

    def reset(self) -> None:
        super().reset()
        self._ifls = 0x12
        self._overrun = False
        self._shifting = None
        for queue in (self._tx, self._rx, self._arriving):
            queue.clear()
        for alarm in (self._tx_alarm, self._rx_alarm, self._timeout_alarm):
            alarm.cancel()

    @property
    def bit_ns(self) -> float:
        """Length of a bit on the wire; 0 before firmware has set a rate."""
        source = self.rp2040.clocks.read_uint32(_CLK_PERI_CTRL) >> 5 & 7
        return self.baud_divider * 16 * 1e9 / _CLK_PERI_HZ.get(source, _CLK_SYS_HZ)

    @property
    def byte_ns(self) -> float:
        """Start, data, parity and stop bits of one character."""
        parity, stop = self._line_ctrl_register >> 1 & 1, 1 + (self._line_ctrl_register >> 3 & 1)
        return self.bit_ns * (1 + self.word_length + parity + stop)

    def receive(self, data: bytes) -> None:
        """Put `data` on the RX wire: byte after byte at the UART's own rate, from now or after what is on it already."""
        idle = not self._arriving
        self._arriving.extend(data)
        if idle and self._arriving:
            self._rx_alarm.schedule(max(self.byte_ns, 1.0))

    def _arrived(self) -> None:
        byte = self._arriving.popleft()
        if self.enabled and self.rx_enabled:
            if len(self._rx) < self._depth:
                self._rx.append(byte)
            else:
                self.lost += 1
                self._overrun = True
                self._interrupt_status |= _OVERRUN_INT
            if len(self._rx) >= self._rx_level:
                self._interrupt_status |= _RX_INT
            self._timeout_alarm.schedule(_TIMEOUT_BITS * self.bit_ns)
            self.check_interrupts()
        if self._arriving:
            self._rx_alarm.schedule(max(self.byte_ns, 1.0))

    def _timed_out(self) -> None:
        if self._rx:
            self._interrupt_status |= _TIMEOUT_INT
            self.check_interrupts()

    def _send(self, byte: int) -> None:
        if len(self._tx) < self._depth:
            self._tx.append(byte)
        if self._shifting is None:
            self._shift()

    def _shift(self) -> None:
        before = len(self._tx)
        if before:
            self._shifting = self._tx.popleft()
            self._tx_alarm.schedule(max(self.byte_ns, 1.0))
            if before > self._tx_level >= len(self._tx) or not self.fifos_enabled:
                self._interrupt_status |= _TX_INT
                self.check_interrupts()
        else:
            self._shifting = None

    def _sent(self) -> None:
        byte = self._shifting
        self._shift()
        if self.on_byte and byte is not None:
            self.on_byte(byte)

    @property
    def _depth(self) -> int:
        return _FIFO if self.fifos_enabled else 1

    @property
    def _rx_level(self) -> int:
        return _LEVELS[min(self._ifls >> 3 & 7, 4)] if self.fifos_enabled else 1

    @property
    def _tx_level(self) -> int:
        return _LEVELS[min(self._ifls & 7, 4)]

    def check_interrupts(self) -> None:
        self.rp2040.set_interrupt(self.irq, bool(self._interrupt_status & self._interrupt_mask))

    def read_uint32(self, offset: int) -> int:
        if offset == _DR:
            value = self._rx.popleft() if self._rx else 0
            if self._overrun:
                value |= _OVERRUN
                self._overrun = False
            if len(self._rx) < self._rx_level:
                self._interrupt_status &= ~_RX_INT
            if not self._rx:
                self._interrupt_status &= ~_TIMEOUT_INT
            self.check_interrupts()
            return value
        if offset == _FR:
            busy = _BUSY if self._shifting is not None else 0
            transmit = (0 if self._tx else _TXFE) | (_TXFF if len(self._tx) >= self._depth else 0)
            return busy | transmit | (0 if self._rx else _RXFE) | (_RXFF if len(self._rx) >= self._depth else 0)
        if offset == _IFLS:
            return self._ifls
        if offset == _RSR:
            return 0
        return super().read_uint32(offset)

    def write_uint32(self, offset: int, value: int) -> None:
        if offset == _DR:
            self._send(value & 0xFF)
        elif offset == _IFLS:
            self._ifls = value & 0x3F
        elif offset != _RSR:
            super().write_uint32(offset, value)


class NorFlash(RPSSI):
    """The flash: erase and program keep it busy for their typical times, and a power cut finds them half done."""

    def __init__(self, chip: RP2040, random_: random.Random, uid: bytes) -> None:
        super().__init__(chip, "SSI")
        self._uid = uid
        self._random = random_
        self._busy_from = self._busy_until = 0.0
        self._at = 0
        self._before = b""
        self.on_write: Callable[[float], None] | None = None
        """Told at the beginning of each erase and program how long it takes, in ns."""

    @property
    def busy(self) -> bool:
        """An erase or a program is under way."""
        return self.rp2040.clock.nanos < self._busy_until

    def cut(self) -> None:
        """Lose power now: each bit the running operation changes has changed with the share of the time it had."""
        if not self.busy:
            return
        share = (self.rp2040.clock.nanos - self._busy_from) / (self._busy_until - self._busy_from)
        flash = self.rp2040.flash
        for at, old in enumerate(self._before, self._at):
            changing = old ^ flash[at]
            if changing:
                done = sum(1 << bit for bit in range(8) if self._random.random() < share)
                flash[at] = old ^ (changing & done)
        self._busy_until = 0.0

    def _shift_byte(self, byte_out: int) -> int:
        answer = super()._shift_byte(byte_out)
        if self._tx_buffer and self._tx_buffer[0] == _READ_UNIQUE_ID:
            at = len(self._tx_buffer) - 1 - _UNIQUE_ID_DUMMY
            answer = self._uid[at] if 0 <= at < len(self._uid) else 0
        if len(self._tx_buffer) > 1 and self._tx_buffer[0] == CMD_READ_STATUS_1 and self.busy:
            answer |= _STATUS_BUSY
            self._rest()
        return answer

    def _rest(self) -> None:
        """Firmware that asks whether the flash is ready asks until it is: time and PIO go on to then, or to whoever stops time."""
        chip, clock, simulator = self.rp2040, self.rp2040.clock, self.rp2040.simulator
        while self.busy and simulator and not simulator.stopped:
            step = self._busy_until - clock.nanos
            if clock.has_scheduled_alarm:
                step = min(step, clock.nanos_to_next_alarm)
            clock.tick(step)
            for pio in chip.pio:
                if not pio.stopped:
                    pio.advance(max(int(step * _CLK_SYS_HZ / 1e9), 1))

    def _apply_command(self) -> None:
        opcode = self._tx_buffer[0] if self._tx_buffer else 0
        if opcode in _BUSY_S and len(self._tx_buffer) >= 4 and self._write_enabled:
            self._at = self._address_from_buffer() & -_EXTENT[opcode]
            self._before = bytes(self.rp2040.flash[self._at : self._at + _EXTENT[opcode]])
            self._busy_from = self.rp2040.clock.nanos
            self._busy_until = self._busy_from + _BUSY_S[opcode] * 1e9
            if self.on_write:
                self.on_write(_BUSY_S[opcode] * 1e9)
        super()._apply_command()


class PacedPio:
    """A PIO block whose state machines keep their clock while the core sleeps: time jumps no further than their period."""

    def __init__(self, chip: RP2040, stock: RPPIO) -> None:
        self._stock = stock
        self._period_ns = 0.0
        self._alarm = chip.clock.create_alarm(self._step)

    def reset(self) -> None:
        self._stock.reset()
        self._period_ns = 0.0
        self._alarm.cancel()

    def read_uint32(self, offset: int) -> int:
        return self._stock.read_uint32(offset)

    def write_uint32(self, offset: int, value: int) -> None:
        self._stock.write_uint32(offset, value)
        self._pace()

    def write_uint32_atomic(self, offset: int, value: int, kind: int) -> None:
        self._stock.write_uint32_atomic(offset, value, kind)
        if offset == _PIO_CTRL or (offset - _PIO_CLKDIV) % _PIO_MACHINE == 0:
            self._pace()

    def _pace(self) -> None:
        stock = self._stock
        running = stock.read_uint32(_PIO_CTRL)
        dividers = [stock.read_uint32(_PIO_CLKDIV + _PIO_MACHINE * n) for n in range(4) if running & 1 << n]
        cycles = min((-(-(divider >> 8) // 256) or 65536 for divider in dividers), default=0)
        idle = self._period_ns == 0
        self._period_ns = cycles * 1e9 / _CLK_SYS_HZ
        if idle and cycles:
            self._alarm.schedule(self._period_ns)

    def _step(self) -> None:
        if self._period_ns:
            self._alarm.schedule(self._period_ns + _ROUNDING_NS)


def install(
    chip: RP2040, on_byte: Callable[[int, int], None], random_: random.Random, uid: bytes
) -> tuple[list[Pl011], NorFlash]:
    """Put these blocks into `chip`; `on_byte(uart, byte)` gets what its UARTs send, `uid` is its flash's own number.

    Raises EmulatorError.
    """
    found = version("rp2040py")
    if found != RP2040PY:
        raise EmulatorError(f"rp2040py {found} is installed, but the UART and flash here replace those of {RP2040PY}")
    uarts = []
    for number, address in enumerate(_UART_ADDRESS):
        uart = Pl011(chip.uart[number])
        uart.on_byte = lambda byte, number=number: on_byte(number, byte)
        chip.uart[number] = chip.peripherals[address] = uart
        uarts.append(uart)
    for address, pio in zip(_PIO_ADDRESS, chip.pio, strict=True):
        chip.peripherals[address] = PacedPio(chip, pio)
    flash = chip.peripherals[_SSI_ADDRESS] = NorFlash(chip, random_, uid)
    chip.ssi = flash
    return uarts, flash
