"""Transmitters with a 4 to 20 mA output (CO2 analysers, flow, pressure) over a shunt at an analogue input.

Sources: IEC 60381-1 (the signal); NAMUR NE 43 (3.8 to 20.5 mA measure, a current of 3.6 mA or less, or of 21 mA or more, for
4 s is the transmitter's sign of its own failure), known here from manufacturers' descriptions, not from its own text; RP2040
datasheet 4.9 (12 bits from 0 to the reference, ADC_AVDD).

All of it is small integers: a reading is the sum of 8 conversions of 12 bits, so the products below stay under 2**30.
"""

from micropython import const

from protocol.status import COUNTER_JUMP

from .counter import MISSING

_CONVERSIONS = const(8)
FULL_SCALE = const(32768)
"""A reading of the whole reference voltage, one step above the highest there is."""
_ZERO_UA, _SPAN_UA = const(4000), const(16000)
FAULT_LOW_UA, FAULT_HIGH_UA = const(3600), const(21000)
FAULT_MS = const(4000)
_MOST_UA = const(24000)
_MOST_PER_HOUR = const(1000000)
_HOUR_MS = const(3600000)
_STEP_MS = const(1000)


def nominal(milliohms, reference_mv=3300):
    """The calibration that a shunt and a reference voltage have by design: two points of (reading, µA)."""
    return ((0, 0), (20000 * milliohms // 1000 * FULL_SCALE // (1000 * reference_mv), 20000))


class CurrentLoop:
    """A condition's input: `low` at 4 mA, `high` at 20 mA, in the condition's unit; `adc` has `read_u16`.

    `points` are the calibration: two (reading, µA), the second above the first; `reading` is the newest one. `value` is a small
    integer or MISSING: after 4 s of a failure current (NE 43), until when it stays what it was. A transmitter under its range
    measures 0 where that would be negative. `errors` counts failures. Raises ValueError for what cannot be.
    """

    def __init__(self, adc, low, high, points):
        (self._first, self._first_ua), (last, last_ua) = points
        self._readings = last - self._first
        self._microamperes = last_ua - self._first_ua
        if not (0 < self._readings <= FULL_SCALE and 0 < self._microamperes <= _MOST_UA):
            raise ValueError("points: expected two of (reading, µA), up to 24 mA, got %s" % (points,))
        if not (0 <= low < high < 1 << 30):
            raise ValueError("expected 0 <= low < high < 2**30, got %d, %d" % (low, high))
        self._low = low
        self._whole, self._part = divmod(high - low, _SPAN_UA)
        self.value = MISSING
        self.reading = 0
        self.errors = 0
        self.healthy = False
        self._adc = adc
        self._failing = 0

    def poll(self, passed):
        """Take a reading, `passed` milliseconds after the one before."""
        adc = self._adc
        reading = 0
        for _ in range(_CONVERSIONS):
            reading += adc.read_u16() >> 4
        self.reading = reading
        current = self._first_ua + (reading - self._first) * self._microamperes // self._readings
        if FAULT_LOW_UA < current < FAULT_HIGH_UA:
            above = current - _ZERO_UA
            value = self._low + above * self._whole + above * self._part // _SPAN_UA
            self.value = value if value > 0 else 0
            self.healthy = True
            self._failing = 0
        elif self._failing < FAULT_MS:
            self._failing += passed
            if self._failing >= FAULT_MS:
                self.value = MISSING
                self.healthy = False
                self.errors += 1


class CurrentFlow:
    """A channel: what flows, integrated over time; `loop` measures it in quanta an hour. Every remainder is carried.

    While the transmitter fails, what flows is not known: nothing is counted, COUNTER_JUMP is raised.
    """

    def __init__(self, loop, high):
        if high > _MOST_PER_HOUR:
            raise ValueError("expected at most %d quanta an hour, got %d" % (_MOST_PER_HOUR, high))
        self.jumps = 0
        self._loop = loop
        self._rest = 0
        self._waiting = 0
        self._known = True

    @property
    def errors(self):
        """Failures of the transmitter."""
        return self._loop.errors

    @property
    def healthy(self):
        """Whether the transmitter measures."""
        return self._loop.healthy

    def poll(self, passed):
        """Measure and integrate over the `passed` milliseconds since the last call."""
        loop = self._loop
        loop.poll(passed)
        value = loop.value
        known = value >= 0
        if self._known and not known:
            self.jumps += 1
        self._known = known
        while known and passed > 0:
            step = passed if passed < _STEP_MS else _STEP_MS
            passed -= step
            product = value * step
            self._waiting += product // _HOUR_MS
            self._rest += product % _HOUR_MS
            if self._rest >= _HOUR_MS:
                self._rest -= _HOUR_MS
                self._waiting += 1

    def take(self, counts, at):
        """Put the quanta since the last call into the two limbs at `counts[at]`; returns the status flags to raise."""
        waiting = self._waiting
        if waiting:
            counts[at] = waiting & 0xFFFF
            counts[at + 1] = waiting >> 16
            self._waiting = 0
        return 0 if self._known else COUNTER_JUMP


def wire(wiring, spec):
    """The input that a line of board.json names (`firmware.boards.wiring`)."""
    points = spec.get("points") or nominal(spec["milliohms"], spec.get("reference_mv", 3300))
    made = CurrentLoop(wiring.board.adc(spec), spec["low"], spec["high"], points)  # type: object
    if spec["driver"] == "current_loop.flow":
        made = CurrentFlow(made, spec["high"])
    wiring.polled.append(made)
    return made
