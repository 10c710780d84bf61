"""The register map: what a register counts, in which direction, in which unit.

A channel's index counts whole quanta in 64 bits. An accumulator is an unsigned 128-bit number of 2**-64 units (field
type `fx128`): 64 bits of whole units, most often milligrams, and 64 bits of fraction, so that every remainder is kept.
Neither ever goes down. `value = raw * mantissa * 10**exponent unit`, mantissa 1 but for channels.
"""

# Quantity.
VOLUME = 1
ENERGY = 2
MASS = 3
BASE_VOLUME = 4
CO2 = 16
CH4 = 17
N2O = 18
CO2E = 19
PRESSURE = 32
TEMPERATURE = 33
FRACTION = 34
FLOW = 35
INTENSITY = 36
CONCENTRATION = 37
ACTIVITY = 48
"""A product of a count and live conditions that a term needs: exact, and of no further meaning by itself."""

QUANTITIES = {
    VOLUME: "volume",
    ENERGY: "energy",
    MASS: "mass",
    BASE_VOLUME: "base volume",
    CO2: "CO2",
    CH4: "CH4",
    N2O: "N2O",
    CO2E: "CO2e",
    PRESSURE: "pressure",
    TEMPERATURE: "temperature",
    FRACTION: "fraction",
    FLOW: "flow",
    INTENSITY: "intensity",
    CONCENTRATION: "concentration",
    ACTIVITY: "activity",
}

# Direction.
CONSUMED = 0
EMITTED = 1
REMOVED = 2
CREDITED = 3
EXPORTED = 4
IN_ERROR = 0x80
"""Bit beside a direction: counted while a condition was in error, and not in the register without it."""

DIRECTIONS = {CONSUMED: "consumed", EMITTED: "emitted", REMOVED: "removed", CREDITED: "credited", EXPORTED: "exported"}

# Unit.
ONE = 0
CUBIC_METRE = 1
WATT_HOUR = 2
GRAM = 3
JOULE = 4
PASCAL = 5
KELVIN = 6
GRAM_PER_WATT_HOUR = 7
GRAM_PER_CUBIC_METRE = 8
CUBIC_METRE_PER_SECOND = 9

UNITS = {
    ONE: "1",
    CUBIC_METRE: "m³",
    WATT_HOUR: "Wh",
    GRAM: "g",
    JOULE: "J",
    PASCAL: "Pa",
    KELVIN: "K",
    GRAM_PER_WATT_HOUR: "g/Wh",
    GRAM_PER_CUBIC_METRE: "g/m³",
    CUBIC_METRE_PER_SECOND: "m³/s",
}

FRACTION_BITS = 64
NO_REGISTER = 255
