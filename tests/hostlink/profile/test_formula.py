"""Formulas against Python's own arithmetic on fractions, and quantization against its bound: properties."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostlink.errors import UsageError
from hostlink.profile import formula
from hostlink.profile.certificate import bounds
from hostlink.profile.compiler import compile_profile
from hostlink.profile.language import parse
from hostlink.profile.units import registry
from hostlink.replay import Replay

NAMES = {"a": Fraction(3, 7), "b": Fraction(-5, 2), "c": Fraction(11)}
leaves = st.sampled_from(list(NAMES)) | st.integers(1, 99).map(str) | st.sampled_from(["0.25", "1e-3", "12.5"])
expressions = st.recursive(
    leaves,
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
        | inner.map(lambda text: f"(-{text})")
    ),
    max_leaves=12,
)


def exactly(text: str) -> Fraction:
    """Python's value of an expression, every number a fraction."""
    import re

    numbers = re.sub(r"(?<![\w.])\d[\d.]*(?:e-?\d+)?", lambda n: f"F({n.group()!r})", text)
    return eval(numbers, {"F": Fraction}, NAMES)  # type: ignore[no-any-return]


@settings(deadline=None)
@given(expressions)
def test_constants_are_what_python_makes_of_them(text: str) -> None:
    symbols = {name: ((), registry().Quantity(value, "")) for name, value in NAMES.items()}
    try:
        expected = exactly(text)
    except ZeroDivisionError:
        with pytest.raises(UsageError, match="division by zero"):
            formula.evaluate(text, symbols)
        return
    monomials, _ = formula.evaluate(text, symbols)
    assert {inputs: amount.magnitude for inputs, amount in monomials.items()} == {(): expected}


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_live_inputs_stay_apart(p: int, q: int) -> None:
    """(1 + x)(2 + y) x in monomials, put together again."""
    one = registry().Quantity(Fraction(1), "")
    monomials, used = formula.evaluate("(1 + x) * (2 + y) * x", {"x": (("x",), one), "y": (("y",), one)})
    values = {"x": p, "y": q}
    total = Fraction(0)
    for inputs, amount in monomials.items():
        product = Fraction(amount.magnitude)
        for name in inputs:
            product *= values[name]
        total += product
    assert total == (1 + p) * (2 + q) * p
    assert used == {"x", "y"}


PROFILE = """
[profile]
name = "any"
life = "20 years"
[channels.mass]
quantity = "mass"
quantum = "1 g"
highest_rate = "100 kg/h"
[factors.f]
value = "{value}"
unit = "kgCO2/t"
source = "a"
place = "b"
[terms.t]
gas = "CO2"
formula = "mass * f"
"""


@settings(max_examples=40, deadline=None)
@given(
    st.fractions(min_value=Fraction(1, 1000), max_value=4_000_000, max_denominator=10**9),
    st.lists(st.integers(0, 25_000), min_size=1, max_size=30),
)
def test_quantization_is_within_the_certificate(value: Fraction, counts: list[int]) -> None:
    (made,) = compile_profile(parse(PROFILE.format(value=value)))
    replay = Replay(made.image)
    replay.begin(0)
    for count in counts:
        replay.step([count])
    a, b = bounds(made)[0]
    assert b == 0
    assert abs(Fraction(replay.registers[0], 1 << 64) - value * sum(counts)) <= a
