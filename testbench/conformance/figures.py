"""Numbers as a report prints them: text made once, here, and carried unchanged into every rendering."""

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

_WIDE = Context(prec=80)
EXACT_DIGITS = 6
"""Significant digits of a value that has no uncertainty and is no whole number."""
SMALL = Decimal("1e-4")
"""Below it a value without uncertainty is written with a power of ten, 5.74285e-13."""
LONGEST = 12
"""Characters of a limit or nominal value that is written in full."""


def decimal(value: Fraction | int) -> Decimal:
    """`value` to 80 digits."""
    value = Fraction(value)
    return _WIDE.divide(Decimal(value.numerator), Decimal(value.denominator))


def place_of(expanded: Fraction) -> int:
    """The decimal exponent of the last digit kept: two significant digits of U (GUM 7.2.6)."""
    return decimal(expanded).adjusted() - 1


def expanded_text(expanded: Fraction) -> str:
    """U, rounded up to two significant digits; "0" if there is none."""
    return _plain(decimal(expanded), place_of(expanded), ROUND_CEILING) if expanded else "0"


def measured_text(value: Fraction, expanded: Fraction) -> str:
    """A measured value to the last digit of its U; without U all of a whole number, else six significant digits."""
    if expanded:
        return _plain(decimal(value), place_of(expanded))
    if value.denominator == 1:
        return str(value.numerator)
    number = decimal(value)
    if abs(number) < SMALL:
        return f"{number:.{EXACT_DIGITS - 1}e}"
    return _plain(number, number.adjusted() + 1 - EXACT_DIGITS).rstrip("0").rstrip(".")


def exact_text(value: Fraction | int) -> str:
    """A limit or nominal value, every digit; six significant ones if they are many or have no end."""
    value = Fraction(value)
    number = decimal(value)
    text = f"{number.normalize(_WIDE):f}"
    return text if Fraction(Decimal(text)) == value and len(text) <= LONGEST else measured_text(value, Fraction(0))


def _plain(number: Decimal, place: int, rounding: str = ROUND_HALF_EVEN) -> str:
    rounded = number.quantize(Decimal(1).scaleb(min(place, 0)) if place < 0 else Decimal(1), rounding, _WIDE)
    text = f"{rounded:f}"
    return text.lstrip("-") if not rounded else text
