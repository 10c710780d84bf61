"""Calibration: what the parameters say of gain, delay and offset, given to the chips and inputs that they adjust."""

from micropython import const

from protocol import messages, parameters
from protocol import status as codes
from protocol.parameters import CALIBRATION, ELEMENTS, INPUT_CALIBRATION, TABLE

from .conditions import MISSING
from .refusal import Refusal

_MILLION = const(1000000)


class Adjusted:
    """An input with its calibration; allocates nothing as long as the source is below 5 * 10**6."""

    def __init__(self, source):
        self._source = source
        self._gain = self._offset = 0

    def calibrate(self, gain, offset):
        """`gain` in ppm, `offset` in the input's unit."""
        self._gain = gain
        self._offset = offset

    @property
    def raw(self):
        """What the source measures, or MISSING."""
        return self._source.value

    @property
    def value(self):
        """The calibrated value, or MISSING; one below zero is zero."""
        raw = self._source.value
        if raw < 0:
            return MISSING
        gain = self._gain
        if gain:
            thousands = raw // 1000
            raw += (thousands * gain + (raw - thousands * 1000) * gain // 1000 + 500) // 1000
        return max(0, raw + self._offset)


class Calibration:
    """`chips` are the adjustable ones by channel number: `calibrate(element, gain, delay)` and `ELEMENTS`, `DELAYS` (whether they
    have a delay); `inputs` are `Adjusted`.
    """

    def __init__(self, chips, inputs, values, clock):
        self._chips = chips
        self._inputs = inputs
        self._values = values
        self._clock = clock
        for number in range(CALIBRATION, INPUT_CALIBRATION + min(len(inputs), parameters.INPUTS)):
            if any(values.get(number)):
                self.apply(number)

    def table(self):
        """`{message: (request size, handler)}` for `link.Server`."""
        return {messages.INPUTS: (0, self.read)}

    def check(self, number, value):
        """Raises Refusal unless there is something that `value` can adjust, and it is within the limits."""
        gain, other = TABLE[number][0].unpack_from(value)
        if number >= INPUT_CALIBRATION:
            good = number - INPUT_CALIBRATION < len(self._inputs) and abs(other) <= parameters.OFFSET_LIMIT
        else:
            channel, element = divmod(number - CALIBRATION, ELEMENTS)
            chip = self._chips.get(channel)
            good = chip is not None and element < chip.ELEMENTS and abs(other) <= chip.DELAYS * parameters.DELAY_LIMIT
        if not good or abs(gain) > parameters.GAIN_LIMIT:
            raise Refusal(codes.BAD_VALUE, number)

    def apply(self, number):
        """Let the parameter's value hold from now on."""
        gain, other = TABLE[number][0].unpack_from(self._values.get(number))
        if number >= INPUT_CALIBRATION:
            self._inputs[number - INPUT_CALIBRATION].calibrate(gain, other)
            return
        channel, element = divmod(number - CALIBRATION, ELEMENTS)
        chip = self._chips.get(channel)
        if chip is not None:
            chip.calibrate(element, gain, other)

    def read(self, body, out):
        clock = self._clock
        clock.tick()
        at = messages.INPUTS_REPLY.pack_into(out, 0, clock.time(), len(self._inputs))
        for one in self._inputs:
            at = messages.INPUT_ENTRY.pack_into(out, at, one.raw, one.value)
        return at
