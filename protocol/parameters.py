"""The meter's parameters: one table. Who may change one, and what it costs, follows from its class.

FROZEN is of the type: only another firmware has another value. SEALED is of this device and legally relevant: anybody with a
role sets it while the seal is open; once it is closed, the laboratory or the manufacturer, and the seal breaks. MARKET
is of the site: any role, sealed or not. CALIBRATED takes the laboratory or the manufacturer always, and breaks a closed seal too.
Every change is an event with the old and the new value.
"""

import hashlib

from .layout import Layout

FROZEN = 0
SEALED = 1
MARKET = 2
CALIBRATED = 3
CLASSES = {FROZEN: "frozen", SEALED: "sealed", MARKET: "market", CALIBRATED: "calibrated"}

PULSE_WEIGHT = 1
CHANNELS = 4
"""The pulse weight of channel n is parameter `PULSE_WEIGHT + n`."""
BASE_TEMPERATURE = 5
BASE_PRESSURE = 6
SITE = 7
CALIBRATION = 8
ELEMENTS = 3
"""The adjustment of measuring element e (phase A, B, C) behind channel n is parameter `CALIBRATION + ELEMENTS * n + e`."""
INPUT_CALIBRATION = CALIBRATION + CHANNELS * ELEMENTS
INPUTS = 4
"""The adjustment of input n is parameter `INPUT_CALIBRATION + n`."""
FRACTION_BITS = 32
LONGEST_INTERVAL = 33
SIGNATURES = 34

WEIGHT = Layout("mantissa/u32 exponent/i8 quantity/u8 unit/u8")
"""A pulse is `mantissa * 10**exponent unit` of a quantity (`protocol.registers`); mantissa 0: as the profile says."""
ADJUSTMENT = Layout("gain/i32/ppm delay/i16")
"""What a chip counts is multiplied by `1 + gain / 10**6`; `delay` is the current's against the voltage, in the chip's steps."""
INPUT_ADJUSTMENT = Layout("gain/i32/ppm offset/i32")
"""A value becomes `value * (1 + gain / 10**6) + offset`, in its own unit, rounded to nearest."""
GAIN_LIMIT = 200000
DELAY_LIMIT = 255
OFFSET_LIMIT = 10000
"""What goes further is no adjustment but a wrong part, a wrong reference or a slip, and is refused."""

TABLE = {
    PULSE_WEIGHT: (WEIGHT, SEALED),
    PULSE_WEIGHT + 1: (WEIGHT, SEALED),
    PULSE_WEIGHT + 2: (WEIGHT, SEALED),
    PULSE_WEIGHT + 3: (WEIGHT, SEALED),
    BASE_TEMPERATURE: (Layout("value/u32/cK"), SEALED),
    BASE_PRESSURE: (Layout("value/u32/Pa"), SEALED),
    SITE: (Layout("text/b32"), MARKET),
    FRACTION_BITS: (Layout("value/u8"), FROZEN),
    LONGEST_INTERVAL: (Layout("value/u16/s"), FROZEN),
    SIGNATURES: (Layout("value/u32"), FROZEN),
}
"""Number: layout of the value, class."""
for _n in range(CHANNELS * ELEMENTS):
    TABLE[CALIBRATION + _n] = (ADJUSTMENT, CALIBRATED)
for _n in range(INPUTS):
    TABLE[INPUT_CALIBRATION + _n] = (INPUT_ADJUSTMENT, CALIBRATED)

NAMES = {
    PULSE_WEIGHT: "pulse weight 0",
    PULSE_WEIGHT + 1: "pulse weight 1",
    PULSE_WEIGHT + 2: "pulse weight 2",
    PULSE_WEIGHT + 3: "pulse weight 3",
    BASE_TEMPERATURE: "base temperature",
    BASE_PRESSURE: "base pressure",
    SITE: "site",
    FRACTION_BITS: "fraction bits of a register",
    LONGEST_INTERVAL: "longest interval",
    SIGNATURES: "signatures of the meter's key",
}

CHANGEABLE = tuple(number for number in sorted(TABLE) if TABLE[number][1] != FROZEN)


def name_of(number):
    """What parameter `number` of TABLE is called."""
    if CALIBRATION <= number < CALIBRATION + CHANNELS * ELEMENTS:
        n = number - CALIBRATION
        return "calibration of channel %d %s" % (n // ELEMENTS, "ABC"[n % ELEMENTS])
    if INPUT_CALIBRATION <= number < INPUT_CALIBRATION + INPUTS:
        return "calibration of input %d" % (number - INPUT_CALIBRATION)
    return NAMES[number]


def normal(mantissa, exponent):
    """`mantissa * 10**exponent` with no factor of ten left in the mantissa: equal values become equal pairs."""
    while mantissa and not mantissa % 10:
        mantissa //= 10
        exponent += 1
    return (mantissa, exponent) if mantissa else (0, 0)


def digest(values):
    """SHA-256 over the sealed and calibrated parameters, `number u8 | value` in ascending order; `values` are bytes by number."""
    found = hashlib.sha256()
    for number in CHANGEABLE:
        if TABLE[number][1] in (SEALED, CALIBRATED):
            found.update(bytes((number,)))
            found.update(values[number])
    return found.digest()


def shown(value):
    """What an event keeps of a value, 8 bytes: the value itself if it fits, else the beginning of its SHA-256."""
    return bytes(value) + bytes(8 - len(value)) if len(value) <= 8 else hashlib.sha256(value).digest()[:8]
