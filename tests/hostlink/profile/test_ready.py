"""Every ready profile against numbers calculated by hand, its bytes and its certificate."""

import csv
import json
import time
from fractions import Fraction
from pathlib import Path

import pytest

from hostlink.factors import composition
from hostlink.profile import ready
from hostlink.profile.certificate import bounds, certificate, register_name
from hostlink.profile.compiled import Compiled
from hostlink.profile.compiler import avoided, compile_profile
from hostlink.profile.detail import Gas
from hostlink.profile.explain import explain, render
from hostlink.profile.sources import base, gas_property
from hostlink.replay import Replay
from protocol import registers as r
from protocol.intensities import Intensities, pack

DATA = Path(__file__).parent / "data"
WORKDAY_EVENING = 1_783_425_600
"""2026-07-07 20:00 at UTC+8, a Tuesday."""

EXAMPLES = [
    # profile, quanta by channel, raw conditions, register: amount, relative tolerance of the digits in the profile's comment
    ("natural-gas", [1], [], {"CO2 emitted": "61226.4"}, 1e-6),
    ("natural-gas-composition-0c", [100], [], {"CO2 emitted": "2041873.09"}, 1e-8),
    ("natural-gas-composition-15c", [100], [], {"CO2 emitted": "1934734.47"}, 1e-8),
    ("natural-gas-composition-20c", [100], [], {"CO2 emitted": "1901493.26"}, 1e-8),
    ("natural-gas-pt", [100], [500_000, 28_815], {"base volume": "5063820", "CO2 emitted": "9628830"}, 5e-5),
    ("electricity", [1000], [], {"CO2 emitted": "536600"}, 1e-9),
    ("electricity-hourly", [1000], [], {"CO2 emitted": "612345"}, 1e-9),
    ("electricity-time-of-use", [1000, 500], [], {"CO2 emitted": "640000"}, 1e-9),
    ("coal-boiler", [1000], [], {"CO2 emitted": "2071509255", "CH4 emitted": "23204", "N2O emitted": "34806"}, 1e-9),
    ("steel-plant", [1000, 1000, 1000, 0], [], {"CO2 emitted": "3615033333", "CO2 credited": "7333333"}, 1e-7),
    ("transport-diesel", [100], [], {"CO2 emitted": "2585084.5"}, 1e-7),
    ("transport-petrol", [100], [], {"CO2 emitted": "2287142.5"}, 1e-7),
    ("transport-lng", [100], [], {"CO2 emitted": "2889037.8"}, 1e-7),
    ("stack", [1], [200_000, 101_325, 4231], {"CO2 emitted": "128766"}, 2e-4),
    ("co2-capture", [1, 10], [995_000], {"CO2 removed": "995000", "CO2 emitted": "995000"}, 1e-9),
    ("methane-slip", [10], [], {"CO2 emitted": "1863463", "CH4 emitted": "12900.8", "CO2e emitted": "2223397"}, 1e-5),
]


def compiled(name: str) -> Compiled:
    return compile_profile(ready.load(name))[0]


def run(made: Compiled, counts: list[int], inputs: list[int]) -> dict[str, Fraction]:
    """The registers of a meter that counted this, by name, in their units: by integer replay."""
    replay = Replay(made.image)
    dated = {}
    if "intensity" in made.profile.conditions:
        k = made.profile.conditions["intensity"]
        dated = {0: Intensities(pack(0, k.unit, k.exponent, WORKDAY_EVENING - 3600, 3600, [0, 612_345]))}
    replay.begin(WORKDAY_EVENING, intensities=dated)
    by_source: list[int | None] = list(inputs)
    replay.step(counts, by_source)
    return {register_name(made, n): Fraction(raw, 1 << 64) for n, raw in enumerate(replay.registers)}


def test_there_is_an_example_for_every_ready_profile() -> None:
    assert {example[0] for example in EXAMPLES} == set(ready.names())


@pytest.mark.parametrize(("name", "counts", "inputs", "expected", "tolerance"), EXAMPLES, ids=[e[0] for e in EXAMPLES])
def test_worked_example(
    name: str, counts: list[int], inputs: list[int], expected: dict[str, str], tolerance: float
) -> None:
    got = run(compiled(name), counts, inputs)
    for register, amount in expected.items():
        assert float(got[register]) == pytest.approx(float(amount), rel=tolerance), register
    for register, value in got.items():
        if "activity" not in register and register not in expected and not register.startswith("CO2e"):
            assert value == 0, register


def test_export_is_never_netted_and_avoidance_is_the_hosts() -> None:
    made = compiled("electricity-time-of-use")
    assert avoided(made, "photovoltaics", 1000) == 530_600
    assert [register_name(made, n) for n in range(len(made.registers))] == ["CO2 emitted"]
    assert made.image.channels[1][1] == r.EXPORTED


@pytest.mark.parametrize("name", ready.names())
def test_compiles_fast_to_the_same_bytes_everywhere(name: str) -> None:
    started = time.process_time()
    made = compile_profile(ready.load(name))
    found = [certificate(one) for one in made]
    assert time.process_time() - started < 2
    known = json.loads((DATA / "fingerprints.json").read_text())
    assert [one.image.fingerprint.hex() for one in made] == known[name]
    for one, c in zip(made, found, strict=True):
        assert explain(one)
        text = render(c)
        assert one.image.fingerprint.hex() in text
        for register in c["registers"]:
            assert register["text"] in text
        json.dumps(c)


@pytest.mark.parametrize("name", ready.names())
def test_certified_bounds_are_small(name: str) -> None:
    """Milligrams over twenty years at the highest rate, without a pause: a dispenser's 3.5 Mt, a boiler's 7 Mt."""
    for one in compile_profile(ready.load(name)):
        for a, b in bounds(one).values():
            assert a < 20
            assert b <= Fraction(2, 10_000)


def test_co2_per_cubic_metre_golden() -> None:
    """The reference's golden values, to 1e-5 relative."""
    names = {"Gulf Coast": "gulf-coast", "Amarillo": "amarillo", "High N2": "high-n2"}
    with (DATA / "co2_per_m3_golden.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9
    for row in rows:
        state = base(row["base_condition"].replace(" C,", " °C,"))
        got = gas_property(Gas(composition(names[row["gas"]]).fractions), "co2 per volume", state)
        assert float(got) == pytest.approx(float(row["kgCO2_per_m3_full_oxidation"]), rel=1e-5)


def test_asymmetric_bounds_stay_asymmetric() -> None:
    c = certificate(compiled("methane-slip"))
    slip = next(u for u in c["uncertainty"] if u["register"] == "CH4 emitted")
    assert slip["gum_95_percent"] == ["-40", "+75"]
    assert float(slip["monte_carlo_95_percent"][0]) == pytest.approx(-40, abs=2)
    assert float(slip["monte_carlo_95_percent"][1]) == pytest.approx(75, abs=2)


def test_uncertainty_of_a_petrol_pump_by_hand() -> None:
    """GUM by hand: lower sides 25/745, 1.8/44.3, 1800/69300; upper 30/745, 0.5/44.3, 3700/69300; limit of error 0.5 %."""
    c = certificate(compiled("transport-petrol"))
    rectangle = 0.005 / 3**0.5 * 1.959963985
    below = (rectangle**2 + (25 / 745) ** 2 + (1.8 / 44.3) ** 2 + (1800 / 69300) ** 2) ** 0.5
    above = (rectangle**2 + (30 / 745) ** 2 + (0.5 / 44.3) ** 2 + (3700 / 69300) ** 2) ** 0.5
    low, high = c["uncertainty"][0]["gum_95_percent"]
    assert float(low) == pytest.approx(-100 * below, rel=0.02)
    assert float(high) == pytest.approx(100 * above, rel=0.02)


def test_uncertainty_of_co2e_weighs_the_gases() -> None:
    """Methane slip by hand: d(CO2e)/d(slip) = 27.9 CH4 - CO2, in kg a m³; limit of error 1 %."""
    c = certificate(compiled("methane-slip"))
    co2, methane = 1.90149326, 0.645038406
    rate = 0.98 * co2 + 27.9 * 0.02 * methane
    slope = 27.9 * methane - co2
    rectangle = 0.01 / 3**0.5 * 1.959963985
    below = (rectangle**2 + (slope * 0.008 / rate) ** 2) ** 0.5
    above = (rectangle**2 + (slope * 0.015 / rate) ** 2) ** 0.5
    found = next(u for u in c["uncertainty"] if u["register"] == "CO2e emitted")
    assert [float(x) for x in found["gum_95_percent"]] == pytest.approx([-100 * below, 100 * above], rel=0.02)
