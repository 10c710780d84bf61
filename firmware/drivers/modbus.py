"""Measuring instruments on a Modbus RTU line (CO2 analysers, flow meters): the meter is the master.

Source: Modbus Application Protocol V1.1b3 (functions 3 and 4) and Modbus over Serial Line V1.02 (RTU framing, CRC).
"""

from micropython import const

from .counter import MISSING, Counter

HOLDING, INPUT = const(3), const(4)
_EXCEPTION = const(0x80)
_TIMEOUT = const(500)


def crc(data, size):
    """CRC-16 of the first `size` bytes (polynomial A001H reflected, start FFFFH), low byte first on the wire."""
    value = 0xFFFF
    for n in range(size):
        value ^= data[n]
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value


class Quantity:
    """A condition's input: registers `first` to `first + words - 1` of `unit`, high word first, read by `function`.

    `value` is `raw * numerator // denominator + offset`, a small integer, or MISSING: when two polls in a row got no good
    answer, and where it would be negative or above 2**30. `signed` raw values are two's complement.
    """

    def __init__(self, unit, first, words=1, function=INPUT, numerator=1, denominator=1, offset=0, signed=False):
        self.unit, self.first, self.words, self.function = unit, first, words, function
        self.value = MISSING
        self._scale = (numerator, denominator, offset, signed)
        self._misses = 0

    def passed(self, milliseconds):
        """Time passes."""

    def good(self, raw):
        """A good answer came."""
        numerator, denominator, offset, signed = self._scale
        if signed and raw >> (16 * self.words - 1):
            raw -= 1 << 16 * self.words
        value = raw * numerator // denominator + offset
        self.value = value if 0 <= value < 1 << 30 else MISSING
        self._misses = 0

    def bad(self):
        """No good answer came."""
        self._misses += 1
        if self._misses > 1:
            self.value = MISSING


class Total:
    """A channel: a totalizer of one or two registers that counts quanta, free running (`firmware.drivers.counter`)."""

    def __init__(self, unit, first, per_second, words=2, function=INPUT):
        self.unit, self.first, self.words, self.function = unit, first, words, function
        self.counter = Counter(per_second, 16 * words)
        self.take = self.counter.take

    def passed(self, milliseconds):
        """Time passes."""
        self.counter.passed += milliseconds

    def good(self, raw):
        """A good answer came."""
        self.counter.follow(raw)

    def bad(self):
        """No good answer came: the next one tells all."""


class ModbusLine:
    """Asks for each of `points` in turn, all within `period` milliseconds if they answer.

    `line` has `write`, `any`, `readinto` without waiting (for RS-485 `firmware.drivers.rs485`). `errors` counts silence,
    CRC errors and exception answers.
    """

    def __init__(self, line, points, period=1000):
        self.errors = 0
        self.healthy = False
        self._line = line
        self._points = points
        self._gap = period // len(points)
        self._next = 0
        self._point = None
        self._buffer = bytearray(16)
        self._view = memoryview(self._buffer)
        self._have = self._size = 0
        self._since = self._gap

    def poll(self, passed):
        """Go on with the conversation, `passed` milliseconds later."""
        self._since += passed
        for point in self._points:
            point.passed(passed)
        if self._point is None:
            if self._since >= self._gap:
                self._ask()
            return
        waiting = min(self._line.any(), self._size - self._have)
        if waiting:
            self._have += self._line.readinto(self._view[self._have : self._have + waiting], waiting) or 0
        if self._have >= 5 and self._buffer[1] & _EXCEPTION:
            self._end(None)
        elif self._have == self._size:
            self._end(self._answer())
        elif self._since > min(_TIMEOUT, max(self._gap - 20, 20)):
            self._end(None)

    def _ask(self):
        point = self._points[self._next]
        self._next = (self._next + 1) % len(self._points)
        while self._line.any():
            self._line.readinto(self._buffer)
        head = bytes((point.unit, point.function, point.first >> 8, point.first & 0xFF, 0, point.words))
        check = crc(head, 6)
        self._line.write(head + bytes((check & 0xFF, check >> 8)))
        self._have = 0
        self._size = 5 + 2 * point.words
        self._since = 0
        self._point = point

    def _answer(self):
        """The raw value, or None if the answer is not one to this question."""
        point = self._point
        buffer = self._buffer
        end = self._size - 2
        if buffer[0] != point.unit or buffer[1] != point.function or buffer[2] != 2 * point.words:
            return None
        if crc(buffer, end) != buffer[end] | buffer[end + 1] << 8:
            return None
        raw = 0
        for n in range(3, end):
            raw = raw << 8 | buffer[n]
        return raw

    def _end(self, raw):
        point = self._point
        self._point = None
        if raw is None:
            self.errors += 1
            self.healthy = False
            point.bad()
        else:
            self.healthy = True
            point.good(raw)


def wire(wiring, spec):
    """The instrument that a line of board.json names (`firmware.boards.wiring`)."""
    unit, first, function = spec["unit"], spec["first"], spec.get("function", INPUT)
    if "per_second" in spec:
        return wiring.point(spec, Total(unit, first, spec["per_second"], spec.get("words", 2), function))
    numerator, denominator = spec.get("numerator", 1), spec.get("denominator", 1)
    offset, signed, words = spec.get("offset", 0), spec.get("signed", False), spec.get("words", 1)
    return wiring.point(spec, Quantity(unit, first, words, function, numerator, denominator, offset, signed))
