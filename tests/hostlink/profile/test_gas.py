"""DETAIL three times (here, pyaga8, published) and CoolProp beside it; the surface's bound against what it bounds."""

import csv
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostlink.errors import UsageError
from hostlink.factors import composition, compositions
from hostlink.profile.aga8 import Detail
from hostlink.profile.detail import Gas, components
from hostlink.profile.interval import Interval
from hostlink.profile.surface import LARGEST, Axis, Surface, gas_conversion
from hostlink.replay import surface_value

DATA = Path(__file__).parent / "data"
NIST = {"Gulf Coast": "gulf-coast", "Amarillo": "amarillo", "High N2": "high-n2"}
PRESSURE = Axis(0, 80_000, 1_000_000, Fraction(1))
TEMPERATURE = Axis(1, 24_815, 32_815, Fraction(1, 100))
BASE = (Fraction(101_325), Fraction("293.15"))


def check_values(method: str) -> list[tuple[str, float, float, float]]:
    with (DATA / "gas_check_values.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == method and row["gas"] in NIST]
    return [(NIST[row["gas"]], float(row["T_K"]), 1e6 * float(row["p_MPa"]), float(row["value"])) for row in rows]


def test_detail_gives_the_published_values() -> None:
    rows = check_values("AGA8 DETAIL")
    assert len(rows) == 36
    for gas, t, p, z in rows:
        assert Detail(composition(gas).fractions).z(p, t) == pytest.approx(z, abs=6e-7)


def test_coolprop_agrees_with_published_gerg_and_with_detail() -> None:
    coolprop = pytest.importorskip("CoolProp.CoolProp", reason="CoolProp comes with the extra dev")
    names = {"carbon dioxide": "CarbonDioxide", "isobutane": "IsoButane", "isopentane": "Isopentane"}
    names |= {name: "n-" + name[2:].title() for name in ("n-butane", "n-pentane", "n-hexane")}
    seen = 0
    for gas, t, p, z in check_values("GERG-2008"):
        if p > 1e6:
            continue
        fractions = composition(gas).fractions
        state = coolprop.AbstractState("HEOS", "&".join(names.get(name, name) for name in fractions))
        state.set_mole_fractions([float(x) for x in fractions.values()])
        state.specify_phase(coolprop.iphase_gas)
        state.update(coolprop.PT_INPUTS, p, t)
        assert state.compressibility_factor() == pytest.approx(z, rel=1e-5)
        assert Detail(fractions).z(p, t) == pytest.approx(state.compressibility_factor(), rel=2e-5)
        seen += 1
    assert seen >= 9


@pytest.mark.parametrize("gas", [name for name, c in compositions().items() if set(c.fractions) <= set(components())])
def test_our_detail_is_pyaga8s(gas: str) -> None:
    fractions = composition(gas).fractions
    ours, theirs = Gas(fractions), Detail(fractions)
    for p in (80_000, 101_325, 1_000_000, 5_000_000):
        for t in ("248.15", "293.15", "328.15"):
            assert float(ours.z(Fraction(p), Fraction(t))) == pytest.approx(theirs.z(p, float(t)), rel=1e-11)


def test_a_component_without_parameters_is_refused() -> None:
    with pytest.raises(UsageError, match="neopentane"):
        Gas(composition("iso6976-d-4-ex3").fractions)


@pytest.fixture(scope="module")
def made() -> Surface:
    return gas_conversion(Gas(composition("gulf-coast").fractions), BASE, PRESSURE, TEMPERATURE)


@settings(max_examples=60, deadline=None)
@given(p=st.integers(80_000, 1_000_000), t=st.integers(24_815, 32_815))
def test_the_bound_holds(made: Surface, p: int, t: int) -> None:
    exact = made.exact(p, t)
    assert abs(surface_value(made.data, p, t) * made.scale - exact) <= made.bound * exact


def test_the_bound_is_not_far_above_what_is_seen(made: Surface) -> None:
    worst = max(
        abs(surface_value(made.data, p, t) * made.scale / made.exact(p, t) - 1)
        for p in (80_000, 101_325, 500_000)
        for t in range(24_815, 25_500, 29)
    )
    assert made.bound / 3 < worst <= made.bound


@pytest.mark.parametrize("gas", ["gulf-coast", "amarillo", "high-n2", "iso20765-gas-1", "nist-unit-test-gas"])
def test_conversion_within_its_limit_and_size(gas: str) -> None:
    """The issue's numbers: at most 0.02 % of the DETAIL value, at most 2 KB."""
    made = gas_conversion(Gas(composition(gas).fractions), BASE, PRESSURE, TEMPERATURE)
    assert made.bound <= Fraction(2, 10_000)
    assert len(made.data) <= LARGEST


def test_a_target_out_of_reach_is_said() -> None:
    with pytest.raises(UsageError, match=r"rounding alone|2048 bytes"):
        gas_conversion(Gas(composition("gulf-coast").fractions), BASE, PRESSURE, TEMPERATURE, Fraction(5, 10**6))


numbers = st.floats(-1e6, 1e6).filter(lambda x: abs(x) > 1e-6)


@given(a=numbers, b=numbers, c=numbers, d=numbers)
def test_intervals_enclose(a: float, b: float, c: float, d: float) -> None:
    x, y = Interval(min(a, b), max(a, b)), Interval(min(c, d), max(c, d))
    for u, v in ((a, c), (a, d), (b, c), (b, d)):
        exact = [Fraction(u) + Fraction(v), Fraction(u) - Fraction(v), Fraction(u) * Fraction(v)]
        for value, enclosed in zip(exact, (x + y, x - y, x * y), strict=True):
            assert Fraction(float(enclosed.low)) <= value <= Fraction(float(enclosed.high))
        if y.low * y.high > 0:
            quotient = x / y
            assert Fraction(float(quotient.low)) <= Fraction(u) / Fraction(v) <= Fraction(float(quotient.high))


@given(x=st.floats(1, 1000), u=st.sampled_from([0.5, 3.5, -6.0, 12.5, 23.0]))
def test_interval_powers_enclose(x: float, u: float) -> None:
    enclosed = Interval(np.float64(x), np.float64(x)).power(u)
    assert Decimal(float(enclosed.low)) <= Decimal(x) ** Decimal(u) <= Decimal(float(enclosed.high))
