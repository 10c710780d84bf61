"""Values are exact: every digit of the widest register, and no float on the way."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from hostlink.values import Amount, Register, Time, utc
from protocol import registers

EXPONENT = st.integers(-18, 18)


@given(st.integers(0, (1 << 128) - 1), EXPONENT)
def test_an_accumulator_keeps_every_digit(raw: int, exponent: int) -> None:
    amount = Amount(raw, "g", exponent, 1, registers.FRACTION_BITS)
    exact = Fraction(raw, 1 << 64) * Fraction(10) ** exponent
    assert amount.fraction == exact == Fraction(amount.decimal)
    assert amount.whole == raw >> 64
    assert Fraction(amount.shown) == amount.whole * Fraction(10) ** exponent


@given(st.integers(0, (1 << 64) - 1), st.integers(1, (1 << 64) - 1), EXPONENT)
def test_an_index_with_a_mantissa_keeps_every_digit(index: int, mantissa: int, exponent: int) -> None:
    """28 digits, Python's default, are not enough for 2⁶⁴ pulses of 28.316846592 dm³."""
    amount = Amount(index << 64, "m³", exponent, mantissa, registers.FRACTION_BITS)
    exact = index * mantissa * Fraction(10) ** exponent
    assert amount.fraction == exact == Fraction(amount.decimal) == Fraction(amount.shown)
    assert Fraction(Decimal(str(amount).removesuffix(" m³"))) == exact


def test_names() -> None:
    amount = Amount(0, "g")
    assert Register(0, registers.VOLUME, registers.CONSUMED, amount).name == "volume"
    assert Register(1, registers.CO2, registers.EMITTED | registers.IN_ERROR, amount).name == "CO2 emitted in error"
    assert Register(1, 200, 77, amount).name == "quantity 200 direction 77"


def test_times_are_utc_and_say_whether_the_clock_was_set() -> None:
    moment = utc(1_767_225_600)
    assert moment == datetime(2026, 1, 1, tzinfo=UTC)
    assert str(Time(moment, True)) == "2026-01-01 00:00:00Z"
    assert str(Time(moment, False)) == "2026-01-01 00:00:00Z (clock not set)"
    assert utc(0xFFFFFFFF).year == 2106
