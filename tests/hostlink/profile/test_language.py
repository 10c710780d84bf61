"""Bad profiles: each gets one error with file, line, what was expected and what came; and what the language allows."""

from fractions import Fraction

import pytest
from typer.testing import CliRunner

from hostlink.cli import app
from hostlink.profile import ready
from hostlink.profile.compiler import compile_profile
from hostlink.profile.document import Document, ProfileError
from hostlink.profile.language import parse
from hostlink.profile.units import magnitude, quantity, unit

GOOD = ready.text("natural-gas")
PT = ready.text("natural-gas-pt")
ANNUAL = ready.text("electricity")
TIME_OF_USE = ready.text("electricity-time-of-use")
STACK = ready.text("stack")
STEEL = ready.text("steel-plant")


def refused(text: str) -> str:
    with pytest.raises(ProfileError) as caught:
        compile_profile(parse(text, "site.toml"))
    return str(caught.value)


def line_of(text: str, part: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if part in line)


CO2 = 'library = "carbon-to-co2/ipcc"'
GULF = 'library = "gulf-coast"'
SOURCED = 'source = "a"\nplace = "b"'
BASE = 'base = "20 °C, 101.325 kPa"\nlimit'
BAD = [
    # text, what is replaced, by what, the line's mark, words of the error
    (GOOD, '"28.316846592 dm³"', '"28.316846592 dmm³"', "dmm³", ["expected a unit", "dmm"]),
    (GOOD, '"28.316846592 dm³"', '"28 kg"', '"28 kg"', ["length^3", "mass"]),
    (GOOD, '"28.316846592 dm³"', '"1/3 dm³"', '"1/3 dm³"', ["decimal number"]),
    (GOOD, '"100 m³/h"', '"100 m³"', '"100 m³"', ["length^3 · time^-1", "length^3"]),
    (GOOD, " * carbon_to_co2", "", "formula", ["expected mass", "carbon · mass"]),
    (GOOD, "* carbon *", "*", "formula", ["expected mass", "length^2 · mass · time^-2"]),
    (GOOD, "* oxidation", "* oxydation", "formula", ["unknown name 'oxydation'", "oxidation"]),
    (GOOD, "gas * ncv", "gas * gas * ncv", "formula", ["one channel", "gas and gas"]),
    (GOOD, "gas * ncv", "ncv", "formula", ["one channel", "none"]),
    (GOOD, "gas * ncv", "-gas * ncv", "formula", ["never goes down", "credited"]),
    (GOOD, "gas * ncv", "gas ^ ncv", "formula", ["expected + - * /"]),
    (GOOD, "gas * ncv", "gas * ncv(2)", "formula", ["names, numbers"]),
    (GOOD, "gas * ncv", "gas * (1 + ncv)", "formula", ["cannot add"]),
    (GOOD, CO2, 'library = "carbon-to-co2/ipc"', "co2/ipc\"", ["carbon-to-co2/ipcc", "tonne factors"]),
    (GOOD, CO2, 'value = 3.667\nunit = "kgCO2/kgC"', "[factors.carbon_to_co2]", ["source", "none"]),
    (GOOD, CO2, 'value = 3.667\nunit = "kgCO2/kgC"\nsource = ""\nplace = "x"', 'source = ""', ["source"]),
    (GOOD, CO2, 'value = 3\nunit = "1"\nbounds = [4, 5]\n' + SOURCED, "bounds", ["lower <= value"]),
    (GOOD, BASE, "limit", "formula", ["ncv", "no base"]),
    (GOOD, BASE, 'base = "0 °C, 101.325 kPa"\nlimit', "formula", ["base conditions disagree", "0 °C", "20 °C"]),
    (GOOD, 'ncv"\nbase = "20 °C, 101.325 kPa"', 'ncv"', "natural-gas/ncv", ["per Nm3", "base"]),
    (GOOD, 'highest_rate', 'hihest_rate', "[channels.gas]", ["highest_rate", "none"]),
    (GOOD, 'limit_of_error', 'limit_of_eror', "limit_of_eror", ["unknown key", "limit_of_error"]),
    (GOOD, "[commit]", "[comit]", "[comit]", ["unknown table"]),
    (GOOD, '"15 min"\n\n[commit]', '"7 min"\n\n[commit]', '"7 min"', ["divide a day"]),
    (GOOD, '"volume"', '"volumes"', '"volumes"', ["one of volume"]),
    (GOOD, '"emitted"', '"emited"', '"emited"', ["one of consumed, emitted"]),
    (GOOD, "[factors.ncv]", "[factors.gas]", "[factors.gas]", ["taken by [channels.gas]"]),
    (GOOD, 'life = "20 years"', 'life = "20 m"', '"20 m"', ["time", "length"]),
    (GOOD, '"natural gas GB/T 32151.34"', '"natural gas of a name that is too long"', "too long", ["32 bytes"]),
    (GOOD, '"28.316846592 dm³"', '"1e6 m³"', "formula", ["smaller quantum"]),
    (GOOD, '"100 m³/h"', '"1e9 m³/h"', '"1e9', ["quanta of gas in an interval", "4294967296"]),
    (GOOD, 'life = "20 years"', 'life = "1e18 years"', "life", ["can reach", "room"]),
    (PT, GULF, 'library = "gulf-cost"', "gulf-cost", ["shipped composition"]),
    (PT, GULF, 'fractions = { methane = 0.9, nitrogen = 0.09 }\n' + SOURCED, "fractions", ["sum to one", "0.990000"]),
    (PT, GULF, 'fractions = { metane = 1 }\n' + SOURCED, "fractions", ["metane", "DETAIL knows"]),
    (PT, 'pressure = "pressure"', 'pressure = "temperature"', 'pressure = "temperature"', ["condition of quantity pressure"]),
    (PT, '["0.8 bar", "10 bar"]', '["0.8 bar", "10 m"]', '"10 m"', ["mass · time^-2", "length"]),
    (PT, 'fallback = "15 °C"', 'fallback = "75 °C"', "range = [\"-25", ["low <= fallback <= high"]),
    (PT, '"1 Pa"', '"2 Pa"', '"2 Pa"', ["power of ten"]),
    (PT, '"50 ppm"', '"5 ppm"', "[conversions.to_base]", ["within 5 ppm"]),
    (PT, '["0.8 bar", "10 bar"]', '["0.8 bar", "300 bar"]', "[conversions.to_base]", ["ranges"]),
    (PT, 'limit_of_error', 'base = "20 °C, 101.325 kPa"\nlimit_of_error', "to_base\"", ["base volume already"]),
    (PT, "gas * to_base * co2", "gas / temperature * co2", "temperature * co2", ["constants below the line"]),
    (ANNUAL, "valid = [2023-01-01, 2024-01-01]", "valid = [2023-02-01, 2024-01-01]", "[[factors.grid]]", ["gap", "2023-02-01"]),
    (ANNUAL, "valid = [2023-01-01, 2024-01-01]", "valid = [2022-12-01, 2024-01-01]", "[[factors.grid]]", ["overlap", "2022-12-01"]),
    (ANNUAL, "valid = [2022-01-01, 2024-01-01]", "valid = [2022-01-01, 2025-01-01]", "[[factors.grid]]", ["gap", "2025-01-01"]),
    (ANNUAL, "valid = [2022-01-01, 2024-01-01]\n", "", "[profile]", ["valid"]),
    (TIME_OF_USE, "22-24 valley", "23-24 valley", "23-24", ["hour 22 has no factor"]),
    (TIME_OF_USE, "22-24 valley", "21-24 valley", "21-24", ["hour 21 is given twice"]),
    (TIME_OF_USE, '"saturday", "sunday", "holiday"', '"saturday", "sunday"', "[[tables.grid", ["month 1, holiday has no hours"]),
    (TIME_OF_USE, "18-22 peak", "18-22 peek", "[tables.grid]", ["peek"]),
    (TIME_OF_USE, 'value = 0.6400\nunit = "kg/kWh"', 'value = 0.6400\nunit = "kg/kg"', "[tables.grid]", ["peak", "a plain number"]),
    (TIME_OF_USE, "export * grid_average", "export * valey", "export * valey", ["baselines.photovoltaics", "valey"]),
    (TIME_OF_USE, "export * grid_average", "export * grid", "export * grid", ["one channel and constants"]),
    (STACK, "flow * concentration * to_base", "flow * concentration * temperature * to_base", "formula", ["at most 3 live"]),
    (STEEL, '"1 kg"', '"1 nm"', '"1 nm"', ["length", "mass"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "old", "new", "mark", "words"), BAD, ids=[f"{n}-{b[2][:24]}" for n, b in enumerate(BAD)]
)
def test_refusal_names_file_line_and_reason(text: str, old: str, new: str, mark: str, words: list[str]) -> None:
    assert old in text
    changed = text.replace(old, new, 1)
    message = refused(changed)
    assert message.startswith(f"site.toml:{line_of(changed, mark)}: "), message
    for word in words:
        assert word in message, message


def test_not_toml() -> None:
    assert "expected TOML" in refused("[profile")


def test_every_line_is_known() -> None:
    document = Document(PT, "x")
    assert document.line(("conditions", "pressure", "step")) == line_of(PT, '"1 Pa"')
    assert document.line(("conditions", "pressure", "nothing")) == line_of(PT, "[conditions.pressure]")
    assert Document(ANNUAL, "x").line(("factors", "grid", 1)) == line_of(ANNUAL, "cn-grid/2023") - 1


def test_the_default_factor_is_exact() -> None:
    (made,) = compile_profile(ready.load("natural-gas", gas="1 m³"))
    exact = Fraction("389.31") / 10**4 * Fraction("0.0153") * Fraction("0.99") * Fraction(44, 12) * 10**9
    assert made.rows[0].exact == exact
    assert round(exact / 10**6, 4) == Fraction("2.1622")
    assert abs(made.rows[0].quantized - exact) <= Fraction(1, 1 << 33)


def test_one_image_for_each_version_of_a_factor() -> None:
    made = compile_profile(ready.load("electricity"))
    assert [float(one.rows[0].exact) for one in made] == [536.6, 530.6]
    assert made[0].image.header[15] == made[1].image.header[14] == 1_672_502_400  # 2023-01-01 00:00 at UTC+8


def test_numbers_in_formulas_and_sums_are_exact() -> None:
    changed = ready.text("methane-slip").replace("(1 - slip)", "(1.000 - slip) * 0.1")
    made = compile_profile(parse(changed))[0]
    plain = compile_profile(ready.load("methane-slip"))[0]
    assert made.rows[0].exact * 10 == plain.rows[0].exact


def test_units_are_exact() -> None:
    assert magnitude(quantity("28.316846592 dm³"), "m^3") == Fraction("0.028316846592")
    assert magnitude(quantity("15 °C"), "K") == Fraction("288.15")
    assert magnitude(unit("GJ/(10000 m^3)"), "J/m³") == 100_000
    assert magnitude(quantity("44/12 kgCO2/kgC") * quantity("12 kgC"), "kg") == 44


def test_the_command_compiles_explains_and_lists(tmp_path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(GOOD)
    done = CliRunner().invoke(app(), ["profile", "compile", str(site), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "site.bin").read_bytes() == compile_profile(parse(GOOD))[0].data
    assert (tmp_path / "site.certificate.json").exists()
    explained = CliRunner().invoke(app(), ["profile", "explain", "natural-gas"])
    assert "389.31 GJ/(10000 m^3)" in explained.output
    assert "61226.3688074" in explained.output
    listed = CliRunner().invoke(app(), ["profile", "list"])
    assert all(name in listed.output for name in ready.names())
    missing = CliRunner().invoke(app(), ["profile", "compile", "no-such"])
    assert missing.exit_code != 0
    assert "ready profile" in str(missing.exception)
