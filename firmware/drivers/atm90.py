"""ATM90E26 (one phase) and ATM90E32 (three phases) energy chips on SPI.

Sources: Microchip (Atmel-46002) ATM90E26 datasheet, chapters 4 and 5; ATM90E32AS datasheet (Atmel-46003), chapters 4 and 6.
Calibration is the chip's: power is multiplied by 1 + gain register / 2**15 (two's complement); the delay register delays the
current by steps of 1 / 2.048 MHz, with bit 15 the voltage.
SPI mode 3, most significant bit first, at most 160 kbit/s for the E26 and 1.2 Mbit/s for the E32; a frame is an address
with a read bit and 16 bits of data. The energy register is cleared by reading it: one step is one quantum (0.1 CF pulse of
the E26, 0.01 of the E32). What a disturbed transfer spoilt is still in LastData, which reading does not change.

Checked on 2026-11-25 against ESPHome (components atm90e26, atm90e32) and CircuitSetup's library, for the datasheets themselves were
not at hand: addresses and magic numbers of reset, CalStart, AdjStart, MeterEn, CfgRegAccEn, LastData and energy; sum and parity of
CS1 and CS2; SysStatus' bits; tenths of a pulse; 5 ms that an E32 takes to reset; 4 us that both take between address and data,
which 100 kbit/s leaves them. Not confirmed there: what CalStart and AdjStart read after a reset (6886H).
"""

from micropython import const

from .counter import Counter

_FULL = const(0x10000)
_READ = const(0x80)
_ONE = const(0x8000)
_DELAY = const(0xFF)
_VOLTAGE = const(0x8000)
_RESET = const(0x789A)
_RESET_MS = const(6)


class Atm90:
    """What both chips have in common: `select` is the chip select pin (called with 0 or 1), `spi` has `write_readinto`.

    `settings` are `(register, value)` of the calibration, written at start and after each reset of the chip, which raises
    COUNTER_JUMP. `per_second` is the most steps the energy register takes. `errors` counts transfers that did not verify.
    """

    ADDRESS_SIZE = 1
    ENERGY = LAST = GAIN = RESET = 0
    ELEMENTS = 1
    DELAYS = 1

    def __init__(self, spi, select, per_second, settings=(), period=1000):
        self.counter = Counter(per_second, 16)
        self.take = self.counter.take
        self.errors = 0
        self.healthy = False
        self._spi = spi
        self._select = select
        self._settings = settings
        self._adjusted = dict(settings)
        self._stale = False
        self._resetting = 0
        self._period = period
        self._longest = _FULL * 1000 // per_second
        self._out = bytearray(self.ADDRESS_SIZE + 2)
        self._in = bytearray(self.ADDRESS_SIZE + 2)
        self._since = period
        self._counting = False
        select(1)

    def poll(self, passed):
        """Read the chip if `period` milliseconds have passed, `passed` of them since the last call."""
        self._since += passed
        self.counter.passed += passed
        if self._resetting > 0:
            self._resetting -= passed
            if self._resetting <= 0:
                self.configure()
                if not self.is_running():
                    self.errors += 1
                    self.healthy = False
            return
        if self._since < self._period:
            return
        self._since = 0
        if not self.is_running():
            self._start()
            return
        steps = self._energy()
        self.healthy = steps is not None
        if steps is None:
            self.errors += 1
        elif not self._counting:
            self._counting = True
        elif self.counter.passed >= self._longest:
            self.counter.jump()
        else:
            self.counter.add(steps)
        if steps is not None:
            self.counter.passed = 0
        if self._stale:
            self._set_up()

    def calibrate(self, element, gain, delay):
        """Adjust one phase: the settings' own gain times `1 + gain / 10**6`, the settings' delay and `delay` steps more."""
        register = self.GAIN + 2 * element
        settings = dict(self._settings)
        gain_set, delay_set = settings.get(register, 0), settings.get(register + 1, 0)
        factor = (_ONE + gain_set - (gain_set >> 15 << 16)) * (1000000 + gain)
        steps = (delay_set & _DELAY) * (-1 if delay_set & _VOLTAGE else 1) + delay
        self._adjusted[register] = (factor + 500000) // 1000000 - _ONE & 0xFFFF
        self._adjusted[register + 1] = steps if steps >= 0 else _VOLTAGE | -steps
        self._stale = self._counting

    def is_running(self):
        """Whether the chip is set up: a reset takes that away."""
        raise NotImplementedError

    def configure(self):
        """Set the chip up after its reset."""
        raise NotImplementedError

    def read(self, register):
        """The 16 bits of `register`."""
        return self._exchange(register, _READ, 0)

    def write(self, register, value):
        """Set `register`."""
        self._exchange(register, 0, value)

    def _start(self):
        if self._counting:
            self.counter.jump()
            self._counting = False
        self._set_up()

    def _set_up(self):
        """Reset the chip. It is configured once it has come up again, in the next call."""
        self._stale = False
        self.write(self.RESET, _RESET)
        self._resetting = _RESET_MS

    def _energy(self):
        """Steps since the last reading, or None while the transfer cannot be trusted; they wait in LastData."""
        steps = self.read(self.ENERGY)
        for _ in range(3):
            last = self.read(self.LAST)
            if last == steps:
                return steps
            steps = last
        self.counter.jump()
        return None

    def _exchange(self, register, direction, value):
        out = self._out
        size = self.ADDRESS_SIZE
        out[size - 1] = register & 0xFF
        if size == 2:
            out[0] = register >> 8 | direction
        else:
            out[0] = register | direction
        out[size] = value >> 8
        out[size + 1] = value & 0xFF
        self._select(0)
        self._spi.write_readinto(out, self._in)
        self._select(1)
        return self._in[size] << 8 | self._in[size + 1]


class Atm90e26(Atm90):
    """One phase. `settings` are of the metering (0x21 to 0x2B) and measurement (0x31 to 0x3A) calibration."""

    ENERGY, LAST, GAIN = 0x40, 0x06, 0x23
    _BLOCKS = ((0x20, 0x21, 0x2B, 0x2C), (0x30, 0x31, 0x3A, 0x3B))

    def is_running(self):
        """Whether both blocks are written and checked: CalStart and AdjStart read 8765H only until a reset."""
        return self.read(0x20) == 0x8765 and self.read(0x30) == 0x8765

    def configure(self):
        """Write both blocks with their checksums (datasheet 5.2, CS1 and CS2)."""
        for start, first, last, check in self._BLOCKS:
            self.write(start, 0x5678)
            for register, value in self._adjusted.items():
                if first <= register <= last:
                    self.write(register, value)
            total = parity = 0
            for register in range(first, last + 1):
                value = self.read(register)
                total += (value >> 8) + (value & 0xFF)
                parity ^= value >> 8 ^ value & 0xFF
            self.write(check, parity << 8 | total & 0xFF)
            self.write(start, 0x8765)


class Atm90e32(Atm90):
    """Three phases: total forward active energy. `settings` are any of its configuration and calibration registers."""

    ADDRESS_SIZE = 2
    ENERGY, LAST, GAIN, RESET = 0x80, 0x78, 0x47, 0x70
    ELEMENTS = 3

    def is_running(self):
        """MeterEn (0x00) is 0 after a reset."""
        return self.read(0x00) == 1

    def configure(self):
        """Open the configuration registers, write them, close them."""
        self.write(0x7F, 0x55AA)
        for register, value in self._adjusted.items():
            self.write(register, value)
        self.write(0x00, 1)
        self.write(0x7F, 0)


def wire(wiring, spec):
    """The chip that a line of board.json names (`firmware.boards.wiring`)."""
    kind = Atm90e26 if spec["driver"] == "atm90e26" else Atm90e32
    settings = tuple((int(register, 16), value) for register, value in spec.get("settings", {}).items())
    select = wiring.board.select(spec)
    chip = kind(wiring.bus("spi", spec), select, spec["per_second"], settings)
    wiring.polled.append(chip)
    return chip
