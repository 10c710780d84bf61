"""Exact values as they come from a meter: integers with unit and exponent, or Decimal. Never float."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation
from fractions import Fraction

from protocol import registers

_EXACT = Context(prec=200, traps=[Inexact, InvalidOperation, DivisionByZero])
"""128 bits of value, 64 of fraction and 64 of mantissa need 103 digits; a rounding would raise."""


@dataclass(frozen=True)
class Amount:
    """`raw * 2**-fraction_bits * mantissa * 10**exponent unit`, exactly."""

    raw: int
    unit: str
    exponent: int = 0
    mantissa: int = 1
    fraction_bits: int = 0

    @property
    def whole(self) -> int:
        """Whole steps of `mantissa * 10**exponent unit`: what a display shows."""
        return self.raw >> self.fraction_bits

    @property
    def fraction(self) -> Fraction:
        """The value in `unit`, as a fraction."""
        return Fraction(self.raw * self.mantissa, 1 << self.fraction_bits) * Fraction(10) ** self.exponent

    @property
    def decimal(self) -> Decimal:
        """The value in `unit`, every digit of it."""
        scaled = _EXACT.divide(Decimal(self.raw * self.mantissa), Decimal(1 << self.fraction_bits))
        return _EXACT.multiply(scaled, Decimal(1).scaleb(self.exponent))

    @property
    def shown(self) -> Decimal:
        """The whole steps in `unit`, exactly."""
        return Decimal(self.whole * self.mantissa).scaleb(self.exponent, _EXACT)

    def __str__(self) -> str:
        return f"{self.shown:f} {self.unit}"


@dataclass(frozen=True)
class Register:
    """One register: its number in the meter, what it counts and in which direction, and its value."""

    number: int
    quantity: int
    direction: int
    amount: Amount

    @property
    def name(self) -> str:
        """Words for a table: "CO2 emitted", "volume in error"."""
        words = registers.QUANTITIES.get(self.quantity, f"quantity {self.quantity}")
        direction = self.direction & ~registers.IN_ERROR
        if direction:
            words += " " + registers.DIRECTIONS.get(direction, f"direction {direction}")
        if self.direction & registers.IN_ERROR:
            words += " in error"
        return words


@dataclass(frozen=True)
class Time:
    """A meter's time: UTC, and whether its clock was set."""

    utc: datetime
    valid: bool

    def __str__(self) -> str:
        return f"{self.utc:%Y-%m-%d %H:%M:%S}Z" + ("" if self.valid else " (clock not set)")


def utc(seconds: int) -> datetime:
    """UNIX seconds as an aware datetime."""
    return datetime.fromtimestamp(seconds, UTC)
