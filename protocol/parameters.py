"""The meter's parameters: one table. Who may change one, and what it costs, follows from its class.

FROZEN is of the type: only another firmware has another value. SEALED is of this device and legally relevant: anybody with a
role sets it while the seal is open; once it is closed, the laboratory or the manufacturer, and the seal breaks. MARKET
is of the site: any role, sealed or not. Every change is an event with the old and the new value.
"""

import hashlib

from .layout import Layout

FROZEN = 0
SEALED = 1
MARKET = 2
CLASSES = {FROZEN: "frozen", SEALED: "sealed", MARKET: "market"}

PULSE_WEIGHT = 1
CHANNELS = 4
"""The pulse weight of channel n is parameter `PULSE_WEIGHT + n`."""
BASE_TEMPERATURE = 5
BASE_PRESSURE = 6
SITE = 7
FRACTION_BITS = 32
LONGEST_INTERVAL = 33
SIGNATURES = 34

WEIGHT = "mantissa/u32 exponent/i8 quantity/u8 unit/u8"
"""A pulse is `mantissa * 10**exponent unit` of a quantity (`protocol.registers`); mantissa 0: as the profile says."""

TABLE = {
    PULSE_WEIGHT: ("pulse weight 0", WEIGHT, SEALED),
    PULSE_WEIGHT + 1: ("pulse weight 1", WEIGHT, SEALED),
    PULSE_WEIGHT + 2: ("pulse weight 2", WEIGHT, SEALED),
    PULSE_WEIGHT + 3: ("pulse weight 3", WEIGHT, SEALED),
    BASE_TEMPERATURE: ("base temperature", "value/u32/cK", SEALED),
    BASE_PRESSURE: ("base pressure", "value/u32/Pa", SEALED),
    SITE: ("site", "text/b32", MARKET),
    FRACTION_BITS: ("fraction bits of a register", "value/u8", FROZEN),
    LONGEST_INTERVAL: ("longest interval", "value/u16/s", FROZEN),
    SIGNATURES: ("signatures of the meter's key", "value/u32", FROZEN),
}
"""Number: name, layout of the value, class."""

CHANGEABLE = tuple(number for number in sorted(TABLE) if TABLE[number][2] != FROZEN)
LAYOUTS = {number: Layout(TABLE[number][1]) for number in TABLE}


def normal(mantissa, exponent):
    """`mantissa * 10**exponent` with no factor of ten left in the mantissa: equal values become equal pairs."""
    while mantissa and not mantissa % 10:
        mantissa //= 10
        exponent += 1
    return (mantissa, exponent) if mantissa else (0, 0)


def digest(values):
    """SHA-256 over the sealed parameters, `number u8 | value` in ascending order; `values` are bytes by number."""
    found = hashlib.sha256()
    for number in CHANGEABLE:
        if TABLE[number][2] == SEALED:
            found.update(bytes((number,)))
            found.update(values[number])
    return found.digest()


def shown(value):
    """What an event keeps of a value, 8 bytes: the value itself if it fits, else the beginning of its SHA-256."""
    return bytes(value) + bytes(8 - len(value)) if len(value) <= 8 else hashlib.sha256(value).digest()[:8]
