"""The installer's and the inspector's visit by command, on the real firmware."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hostlink import configure
from hostlink.cli import app
from hostlink.errors import ProofError, TonneError, UsageError
from hostlink.keys import KeyFile
from hostlink.meter import connect
from hostlink.profile.image import Channel as ChannelOfImage
from hostlink.profile.image import ProfileImage, Register, Term
from hostlink.session import Privileged
from protocol import parameters
from protocol import registers as r
from protocol import status as codes
from testbench.demo import gas_profile
from testbench.rigs.unix import UnixRig
from tests.firmware.test_statements import a_day, await_statement

START = 1_767_225_600
FACTORY, _ = gas_profile(Decimal(10))
SITE = ProfileImage(
    "boiler",
    channels=[ChannelOfImage(r.VOLUME, r.CUBIC_METRE, -1, 1, 1000)],
    registers=[Register(r.CO2, r.EMITTED, r.GRAM, -3)],
    terms=[Term(0, 0, 202_500_000, 1)],
    volume=0,
    emissions=1,
).pack()
"""100 dm³ a pulse: another weight than the factory's."""

Tonne = Callable[..., str]


@pytest.fixture
def tonne(monkeypatch: pytest.MonkeyPatch) -> Tonne:
    monkeypatch.setenv("TONNE_PASSPHRASE", "words")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("hostlink.keys.UPDATE_HEIGHT", 5)

    def call(*arguments: object, fails: type[TonneError] | None = None) -> str:
        result = CliRunner().invoke(app(), [str(a) for a in arguments])
        if fails:
            assert isinstance(result.exception, fails), result.output
            return f"{result.output}{result.exception}"
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    return call


@pytest.fixture
def rig() -> Iterator[UnixRig]:
    with UnixRig(FACTORY, time=None) as rig:
        yield rig


def test_a_meter_from_the_bench_to_the_inspector(tonne: Tonne, rig: UnixRig, tmp_path: Path) -> None:
    maker, installer = tmp_path / "maker.keys", tmp_path / "installer.keys"
    profile, record = tmp_path / "site.bin", tmp_path / "record.json"
    profile.write_bytes(SITE)
    port = ("--port", rig.url)
    tonne("keys", "new", maker)
    assert "statements verify with key" in tonne("keys", "provision", maker, *port)
    assert "expected a factory-new meter" in tonne("keys", "provision", maker, *port, fails=UsageError)
    tonne("keys", "hand-out", maker, installer, "--role", "installer", "--serial", "TONNE-0001")
    public = tmp_path / "public.json"
    public.write_text(tonne("keys", "show-public", maker))

    wanted = ("--pulse", "100 L", "--profile", profile, "--base-temperature", "20", "--base-pressure", "101325")
    assert "expected --keys" in tonne("configure", *port, *wanted, fails=UsageError)
    shown = tonne("configure", *port, "--keys", installer, *wanted, "--site", "Kessel 3", "--seal", "--out", record)
    assert "the profile takes over at" in shown
    done = json.loads(record.read_text())
    assert [c["what"] for c in done["changes"]] == [
        "clock", "pulse weight 0", "base temperature", "base pressure", "site", "profile", "seal",
    ]  # fmt: skip
    assert all(c["done"] for c in done["changes"])
    assert (done["by"], done["meter"]["sealed"]) == ("installer", True)
    assert done["meter"]["parameters"]["base temperature"] == "293.15 K"
    assert done["meter"]["parameters"]["pulse weight 0"] == "0.1 m³"
    assert b"words" not in record.read_bytes()

    rig.clock.advance(900_000)
    for day in range(2):
        a_day(rig, 50 + day)
        with connect(rig.url) as meter:
            await_statement(meter, day + 1)
    said = json.loads(tonne("statements", *port, "--public", public, "--json", "--out", tmp_path / "said"))
    assert [s["verified"] for s in said] == [True, True]
    assert len(list((tmp_path / "said").iterdir())) == 2
    assert "2 signed statement(s) cover" in tonne("statements", *port, "--public", public)
    assert "not verified" in tonne("statements", *port)

    tonne("inspect", *port, "--public", public, "--out", tmp_path / "first")
    first = json.loads((tmp_path / "first/inspection-TONNE-0001.json").read_text())
    assert first["findings"] == []
    page = (tmp_path / "first/inspection-TONNE-0001.html").read_text()
    assert "Nothing was found wrong." in page and "seal closed" in page

    shown = tonne("configure", *port, "--keys", maker, "--no-clock", "--base-pressure", "100000")
    assert "100000 Pa" in shown
    last = tmp_path / "first/inspection-TONNE-0001.json"
    found = tonne("inspect", *port, "--public", public, "--since", last, "--json", fails=ProofError)
    assert "the seal was broken 1 time(s) since the last visit" in found
    assert "the seal is open" in found
    assert "old 101325, new 100000" in found
    assert "pulse weight" not in found[found.index('"events"') :]


def test_the_inspector_sees_another_key_and_another_meter(tonne: Tonne, rig: UnixRig, tmp_path: Path) -> None:
    maker = tmp_path / "maker.keys"
    tonne("keys", "new", maker)
    tonne("keys", "provision", maker, "--port", rig.url)
    other = "00" * 59 + "01"
    assert "the meter shows key" in tonne("inspect", "--port", rig.url, "--public", other, fails=ProofError)
    public = tmp_path / "public.json"
    public.write_text(json.dumps({"meters": {}}))
    assert "it has none" in tonne("inspect", "--port", rig.url, "--public", public, fails=UsageError)
    assert "hexadecimal" in tonne("inspect", "--port", rig.url, "--public", "nonsense", fails=UsageError)
    last = tmp_path / "last.json"
    last.write_text("{}")
    assert "former `tonne inspect`" in tonne("inspect", "--port", rig.url, "--since", last, fails=UsageError)


def test_a_key_is_rotated_and_a_rotation_that_was_cut_off_is_found_again(
    tonne: Tonne, rig: UnixRig, tmp_path: Path
) -> None:
    maker = tmp_path / "maker.keys"
    tonne("keys", "new", maker)
    tonne("keys", "provision", maker, "--port", rig.url)
    assert "rotated, 1 time(s)" in tonne("keys", "rotate", maker, "--port", rig.url, "--role", "installer")
    keys = KeyFile.open(maker, "words")
    with connect(rig.url) as meter:
        with Privileged(meter, keys.key("installer", "TONNE-0001")):
            meter.set_clock(START)
        with pytest.raises(TonneError, match="does not prove"):
            Privileged(meter, keys.key("installer", "TONNE-0001", 0)).__enter__()
    keys.rotated("manufacturer", "TONNE-0001", 1)
    keys.save()
    tonne("keys", "rotate", maker, "--port", rig.url, "--role", "installer")


def test_a_meter_without_keys_is_configured_and_not_sealed(rig: UnixRig) -> None:
    plan = configure.Plan(time=START, pulses={0: configure.pulse("0.010 m3")}, site="Prüfstand")
    with connect(rig.url) as meter:
        outcome = configure.configure(meter, plan, None, lambda *_: None)
        assert outcome.done and outcome.record["by"] == "nobody"
        assert meter.parameter(parameters.PULSE_WEIGHT).fields["mantissa"] == 1
        assert meter.reading().status & codes.SEAL_OPEN
        with pytest.raises(UsageError, match="cannot be sealed"):
            configure.configure(meter, replace(plan, seal=True), None, lambda *_: None)
        with pytest.raises(UsageError, match="at most 32 bytes"):
            configure.configure(meter, configure.Plan(site="x" * 33), None, lambda *_: None)
        with pytest.raises(UsageError, match="channel of 0 to 3, got 4"):
            configure.configure(meter, configure.Plan(pulses={4: (1, 0, 1, 1)}), None, lambda *_: None)


@pytest.mark.parametrize(
    "text", ["10", "10 gallons", "ten L", "-1 L", "0 L", "12345678901 L", "1e300 L", "NaN L", "Infinity L"]
)
def test_what_is_no_pulse_weight_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="expected a"):
        configure.pulse(text)


def test_pulse_weights_are_exact() -> None:
    assert configure.pulse("10 L") == configure.pulse("0.01 m3") == (1, -2, r.VOLUME, r.CUBIC_METRE)
    assert configure.pulse("2.5 kWh") == (25, 2, r.ENERGY, r.WATT_HOUR)
    assert configure.pulse("0.125 kg") == (125, 0, r.MASS, r.GRAM)
