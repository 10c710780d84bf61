"""Quantities by pint, magnitudes as exact fractions. Carbon is a dimension of its own: a term that forgets 44/12 does not fit."""

import re
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

from hostlink.errors import UsageError
from hostlink.factors.library import quotient

DEFINITIONS = """
carbon_content = [carbon]
gC = gram * carbon_content
gCO2 = gram
gCO2e = gram
gCH4 = gram
gN2O = gram
tC = 1000000 * gC
tCO2 = 1000000 * gram
tCO2e = 1000000 * gram
"""
_AMOUNT = re.compile(r"\s*([-+0-9.eE]+(?:\s*/\s*[0-9.]+)?)\s*(.*)", re.DOTALL)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


@cache
def registry() -> Any:
    """The one registry, exact: pint's, with masses of carbon, CO2, CH4 and N2O. Raises UsageError without pint."""
    try:
        import pint
    except ImportError:
        raise UsageError("pint is not installed: pip install 'tonne[profile]'") from None
    made: Any = pint.UnitRegistry(non_int_type=Fraction)
    for line in DEFINITIONS.strip().splitlines():
        made.define(line)
    return made


@cache
def unit(text: str) -> Any:
    """One of a unit, as an exact quantity: `kg/TJ`, `m³`, `%`, `GJ/(10000 m^3)`. Raises UsageError."""
    if "Nm" in text:
        raise UsageError(f'expected m³ with base = "20 °C, 101.325 kPa" beside it, got {text!r}: Nm³ has no one state')
    plain = re.sub(r"[⁻⁰¹²³⁴-⁹]+", lambda found: "^" + found.group().translate(_SUPERSCRIPTS), text)
    try:
        found = registry().parse_expression(plain.replace("·", "*") or "1")
        return registry().Quantity(Fraction(1), "") * found
    except (
        Exception
    ) as error:  # pint, its tokenizer and Python's arithmetic raise what they like for text that is no unit
        raise UsageError(f"expected a unit, got {text!r} ({error})") from None


def number(value: object) -> Fraction:
    """A TOML number, or text such as `44/12`, exactly. Raises UsageError."""
    try:
        if isinstance(value, str):
            return quotient(value)
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return Fraction(value)
        raise ValueError
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"expected a number, got {value!r}") from None


def quantity(text: object) -> Any:
    """A number with a unit: `0.01 m³`, `20 °C`, `1.5 %`. Raises UsageError."""
    found = _AMOUNT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise UsageError(f'expected a number with a unit such as "0.01 m³", got {text!r}')
    if found.group(2).strip() in ("°C", "degC"):
        return registry().Quantity(number(found.group(1)) + Fraction("273.15"), "kelvin")
    return number(found.group(1)) * unit(found.group(2).strip())


def magnitude(value: Any, wanted: str) -> Fraction:
    """How many of `wanted` a quantity is, exactly. Raises UsageError with both dimensions."""
    target = unit(wanted)
    if value.dimensionality != target.dimensionality:
        raise UsageError(f"expected {dimension(target)} ({wanted}), got {dimension(value)}")
    return Fraction((value / target).to_root_units().magnitude)


def dimension(value: Any) -> str:
    """A quantity's dimension for people: `mass · time⁻¹`."""
    parts = []
    for name, power in sorted(value.dimensionality.items()):
        exponent = "" if power == 1 else "^" + str(Fraction(power))
        parts.append(name.strip("[]") + exponent)
    return " · ".join(parts) or "a plain number"


def text(value: Any) -> str:
    """A quantity for people, `10 dm^3`; pint itself cannot print exact exponents."""
    symbol = value._REGISTRY.get_symbol
    units = "·".join(symbol(name) + ("" if power == 1 else f"^{power}") for name, power in value.unit_items())
    return f"{float(value.magnitude):.12g} {units}".strip()
