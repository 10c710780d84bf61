"""The factor library: what is shipped, its ids, its search, the command."""

import json
from fractions import Fraction

import pytest
from typer.testing import CliRunner

from hostlink.cli import app
from hostlink.errors import UsageError
from hostlink.factors import compositions, entries, entry, gwp_sets, search
from hostlink.profile.units import unit


def test_every_factor_has_number_unit_source_place_and_licence() -> None:
    assert len(entries()) > 850
    for e in entries().values():
        assert e.number >= 0
        assert unit(e.unit) is not None
        assert all((e.name, e.source, e.place, e.confidence, e.licence)), e.id
        for bound, is_lower in ((e.lower95, True), (e.upper95, False)):
            if bound:
                assert (Fraction(bound) <= e.number) == is_lower or Fraction(bound) == e.number, e.id


def test_compositions_sum_to_one() -> None:
    assert len(compositions()) == 9
    assert all(sum(c.fractions.values()) == 1 for c in compositions().values())


def test_gwp_sets_are_chosen_by_name_and_differ() -> None:
    methane = {name: gases["CH4"].value for name, gases in gwp_sets().items()}
    assert methane == {"SAR": "21", "TAR": "23", "AR4": "25", "AR5": "28", "AR5CCF": "34", "AR6": "27.9"}


def test_chinese_sets_stand_side_by_side() -> None:
    found = {e.id.split("/")[0]: e.value for e in search(["natural gas", "carbon per energy"]) if "ipcc" not in e.id}
    assert found == {
        "gbt32151.34-2024": "0.0153",
        "gbt32151.10-2023": "0.0153",
        "cn-unnamed-a": "0.0153",
        "cn-unnamed-b": "0.01532",
    }
    assert entry("cn-unnamed-a/diesel/ncv").doubtful
    assert entry("cn-grid/2021/national").doubtful
    assert not entry("cn-grid/2023/national").doubtful


def test_natural_gas_default_to_the_digit() -> None:
    ncv, carbon, oxidation = (entry(f"gbt32151.34-2024/natural-gas/{n}").number for n in ("ncv", "carbon", "oxidation"))
    co2 = entry("carbon-to-co2/ipcc").number
    assert round(ncv * carbon * oxidation / 100 * co2 / 10, 4) == Fraction("2.1622")  # kg/Nm³ from t/10⁴ Nm³


def test_carbon_constants_are_named_and_apart() -> None:
    ipcc, eu, iupac = (entry(f"carbon-to-co2/{n}").number for n in ("ipcc", "eu-mrr", "iupac"))
    assert ipcc == Fraction(44, 12)
    assert round((ipcc / eu - 1) * 10**6) == 728
    assert float(iupac) == pytest.approx(3.66406, abs=1e-5)


def test_an_unknown_id_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="ipcc2006/co2/natural-gas"):
        entry("ipcc2006/co2/naturalgas")


def test_the_command_searches_and_shows() -> None:
    found = CliRunner().invoke(app(), ["factors", "natural", "gas", "--json"])
    assert found.exit_code == 0
    assert {e["id"] for e in json.loads(found.output)} >= {
        "ipcc2006/co2/natural-gas",
        "gbt32151.34-2024/natural-gas/ncv",
    }
    shown = CliRunner().invoke(app(), ["factors", "show", "carbon-to-co2/eu-mrr"])
    assert shown.exit_code == 0
    assert "3.664" in shown.output and "2018/2066" in shown.output
    assert CliRunner().invoke(app(), ["factors", "lignite"]).exit_code == 0
