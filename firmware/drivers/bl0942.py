"""BL0942 single-phase energy chip on a UART. Source: Shanghai Belling, BL0942 datasheet V1.06, chapters 2.6, 2.9 and 3.

Its counter CF_CNT counts energy pulses in 24 bits, free running; one pulse is one quantum. It has no gain register (chapter 2.6):
calibration scales what it counted. The chip is asked for its packet
of 23 bytes every `period` milliseconds. A MODE that is not the one written here says that it was reset.

Checked on 2026-11-25 against two drivers that quote V1.06 bit by bit (OpenBeken's, and a port of ESPHome's): frames, check sums,
packet, addresses, 55H to unlock, 5A5A5AH to reset, and MODE: bit 2 CF_EN, 3 RMS_UPDATE_SEL (1: 800 ms), 6 CF_CNT_CLR_SEL (0: not
cleared by reading), 7 CF_CNT_ADD_SEL (1: |energy|; 0: the algebraic sum), 8 and 9 the UART's rate (0: by pin), 87H after a reset.
"""

from micropython import const

from .counter import MISSING, Counter

_READ = const(0x58)
_WRITE = const(0xA8)
_PACKET = const(0xAA)
_HEAD = const(0x55)
_PACKET_SIZE = const(23)
_ANSWER_SIZE = const(4)
_CF_CNT_AT = const(13)
_WATT_AT = const(10)
_MODE = const(0x19)
_WRITE_PROTECT = const(0x1D)
_UNLOCK = const(0x55)
_MODE_RUN = const(0x8F)
"""The default 0x87 and RMS_UPDATE_SEL, 800 ms: counts |energy| (CF_CNT_ADD_SEL), never cleared by reading; tells a reset."""
_TIMEOUT = const(250)
_IDLE, _WAIT_MODE, _WAIT_PACKET = const(0), const(1), const(2)


class Bl0942:
    """The chip at `address` (pins A2 A1, 0 to 3) on `uart`: `write`, `any`, `readinto` without waiting, 8N1.

    `take(counts, at)`: energy pulses. `watt`: WATT as the chip has it, signed, or None. `errors` counts answers that were
    missing or whose checksum was wrong; each is asked for again at the next period and nothing is lost.
    """

    ELEMENTS = 1
    DELAYS = 0

    def __init__(self, uart, per_second, address=0, period=1000):
        self.counter = Counter(per_second, 24)
        self.take = self.counter.take
        self.errors = 0
        self.healthy = False
        self.watt = None
        self._uart = uart
        self._address = address
        self._period = period
        self._buffer = bytearray(_PACKET_SIZE)
        self._view = memoryview(self._buffer)
        self._have = 0
        self._state = _IDLE
        self._since = period
        self._configured = False

    def calibrate(self, element, gain, delay):
        """Count `1 + gain / 10**6` times what the chip counts."""
        self.counter.gain = gain

    def poll(self, passed):
        """Go on with the conversation, `passed` milliseconds later."""
        self._since += passed
        self.counter.passed += passed
        if self._state == _IDLE:
            if self._since >= self._period:
                self._since = 0
                self._ask(_MODE, _WAIT_MODE)
            return
        size = _ANSWER_SIZE if self._state == _WAIT_MODE else _PACKET_SIZE
        waiting = min(self._uart.any(), size - self._have)
        if waiting:
            self._have += self._uart.readinto(self._view[self._have : self._have + waiting], waiting) or 0
        if self._have == size:
            self._take_in(size)
        elif self._since > _TIMEOUT:
            self._miss()

    def _miss(self):
        self.errors += 1
        self.healthy = False
        self._state = _IDLE

    def _ask(self, register, state):
        while self._uart.any():
            self._uart.readinto(self._buffer)
        self._uart.write(bytes((_READ | self._address, register)))
        self._have = 0
        self._state = state

    def _take_in(self, size):
        buffer = self._buffer
        mode = self._state == _WAIT_MODE
        total = (_READ | self._address) + (_MODE if mode else 0)
        for n in range(size - 1):
            total += buffer[n]
        if ~total & 0xFF != buffer[size - 1] or not (mode or buffer[0] == _HEAD):
            self._miss()
        elif not mode:
            self.healthy = True
            self.watt = _signed24(buffer, _WATT_AT)
            self.counter.follow(buffer[_CF_CNT_AT] | buffer[_CF_CNT_AT + 1] << 8 | buffer[_CF_CNT_AT + 2] << 16)
            self._state = _IDLE
        elif buffer[0] | buffer[1] << 8 == _MODE_RUN:
            self._configured = True
            self._ask(_PACKET, _WAIT_PACKET)
        else:
            if self._configured:
                self.counter.jump()
                self._configured = False
            self._set(_WRITE_PROTECT, _UNLOCK)
            self._set(_MODE, _MODE_RUN)
            self._state = _IDLE

    def _set(self, register, value):
        head = _WRITE | self._address
        low, middle, high = value & 0xFF, value >> 8 & 0xFF, value >> 16
        check = ~(head + register + low + middle + high) & 0xFF
        self._uart.write(bytes((head, register, low, middle, high, check)))


class Power:
    """A condition's input: the chip's |WATT| in its own steps, or MISSING."""

    def __init__(self, chip):
        self._chip = chip

    @property
    def value(self):
        """|WATT|."""
        watt = self._chip.watt
        return MISSING if watt is None else abs(watt)


def _signed24(buffer, at):
    value = buffer[at] | buffer[at + 1] << 8 | buffer[at + 2] << 16
    return value - (value >> 23 << 24)


def wire(wiring, spec):
    """The chip that a line of board.json names (`firmware.boards.wiring`)."""
    address = spec.get("address", 0)
    key = ("bl0942", spec["uart"], address)
    return wiring.chip(key, lambda: Bl0942(wiring.bus("uart", spec), spec["per_second"], address))
