"""Calibration on the real firmware and its drivers, with models of the chips: adjusted, kept, logged, refused."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import tty
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostlink import events
from hostlink.calibrate.adjust import DELAY_HZ, Reading, adjusted
from hostlink.calibrate.plan import Plan, Step, load
from hostlink.calibrate.run import Calibration, bench_command
from hostlink.configure import shown
from hostlink.errors import CalibrationError, DataError, UsageError
from hostlink.flash.ledger import Ledger
from hostlink.keys import KeyFile
from hostlink.meter import Meter, connect
from hostlink.profile import ready
from hostlink.profile.compiler import compile_profile
from hostlink.session import Privileged
from protocol import events as kinds
from protocol import parameters
from protocol import status as codes
from testbench.micropython import device_root, interpreter
from tests.firmware.keys import START, refused
from tests.test_commands import tonne

PROGRAM = Path(__file__).with_name("chip_meter.py")
(MADE,) = compile_profile(ready.load("steel-plant"))  # four channels
CHANNELS = [
    {"driver": "bl0942", "uart": 1, "baud": 9600, "per_second": 2000},
    {"driver": "atm90e26", "spi": 0, "per_second": 2000, "settings": {"23": 0x0100}},
    {"driver": "atm90e32", "spi": 1, "per_second": 2000, "settings": {"31": 2145}},
    {"driver": "pulse", "pin": 5},
]
QUANTA = 10_000
BL, E26, E32 = range(3)


class ChipMeter:
    """The process: a meter on a pseudo-terminal, its chips and its time in our hand."""

    def __init__(self, folder: Path) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.url = os.ttyname(self._slave)
        (folder / "profile.bin").write_bytes(MADE.data)
        (folder / "flash.bin").write_bytes(b"\xff" * (256 * 4096))
        config = {"serial": "TN-000001", "channels": CHANNELS, "time": START}
        config |= {"profile": str(folder / "profile.bin"), "flash": str(folder / "flash.bin")}
        self._config = folder / "config.json"
        self._config.write_text(json.dumps(config))
        self.on()

    def on(self) -> None:
        command = [*interpreter(), "-X", "heapsize=4m", str(PROGRAM), str(device_root()), str(self._config), str(self._master)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[self._master], text=True
        )
        assert self._process.stdout and self._process.stdout.readline() == "null\n"
        self.tell("advance", 3000)

    def off(self) -> None:
        """As pulling the plug: the chips lose what they were told, too."""
        self._process.kill()
        self._process.communicate()

    def close(self) -> None:
        self.off()
        os.close(self._master)
        os.close(self._slave)

    def tell(self, *words: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def sleep(self, seconds: float) -> None:
        self.tell("advance", round(1000 * seconds))


@pytest.fixture
def chips(tmp_path: Path) -> Iterator[ChipMeter]:
    meter = ChipMeter(tmp_path)
    yield meter
    meter.close()


@pytest.fixture
def meter(chips: ChipMeter) -> Iterator[Meter]:
    with connect(chips.url, address=1) as opened:
        yield opened


def channel(name: str, number: int, adjust: str = "gain", **more: Any) -> Step:
    return Step(**{"name": name, "adjust": adjust, "limit": 1000, "plausible": 60_000, "channel": number} | more)


def calibrate(chips: ChipMeter, meter: Meter, *steps: Step, keys: KeyFile | None = None, **more: Any) -> list[dict]:
    """Run the steps; the reference is the load that the chips are given."""
    by_name = {step.name: step for step in steps}

    def bench(serial: str, name: str) -> Fraction:
        step = by_name[name]
        assert serial == "TN-000001"
        if step.channel is None:
            return Fraction(more["references"][name])
        given = [] if step.channel == BL else [step.element, step.power_factor, step.hertz]
        chips.tell("load", step.channel, QUANTA, *given)
        chips.sleep(more.get("idle", 0))
        return Fraction(QUANTA)

    job = Calibration(meter, bench, 2.5, chips.sleep)
    try:
        job.run(Plan(steps, ("bench",)), "TN-000001", keys, more.get("break_seal", False), lambda *_: None)
    except CalibrationError as error:
        error.add_note(json.dumps(job.record))
        raise
    return job.record


# The arithmetic


def test_the_application_notes_own_examples() -> None:
    """Microchip AN-46103: -13.78 % takes a gain of 1475H; +0.95 % at power factor 0.5 and 50 Hz a delay of 24H."""
    gain, _ = adjusted(channel("g", E26), (0, 0), Reading(Fraction(10_000), 8622))
    assert round(gain * 2**15 / 1e6) == 0x1475
    step = channel("d", E26, "delay", power_factor=0.5)
    assert adjusted(step, (0, 0), Reading(Fraction(10_000), 10_095)) == (0, 0x24)
    step = channel("d", E26, "delay", power_factor=0.5, hertz=60)
    assert adjusted(step, (0, 0), Reading(Fraction(100_000), 101_000)) == (0, round(0.01 * 3136.449))


@settings(max_examples=200, deadline=None)
@given(st.floats(-0.08, 0.08), st.integers(-50_000, 50_000))
def test_a_gain_found_brings_a_chip_to_its_reference(error: float, before: int) -> None:
    shown = round(1_000_000 * (1 + error) * (1 + before / 1e6))
    step = channel("g", BL)
    if abs(1e6 / (1 + error) - 1e6) > parameters.GAIN_LIMIT - 2:
        return
    gain, _ = adjusted(step, (before, 0), Reading(Fraction(1_000_000), shown))
    assert (1 + error) * (1 + gain / 1e6) == pytest.approx(1, abs=3e-6)


@settings(max_examples=200, deadline=None)
@given(st.integers(10_000, 2_000_000), st.integers(10_000, 2_000_000), st.integers(-50_000, 50_000), st.integers(-5000, 5000))
def test_two_points_of_an_input_give_its_straight_line(low: int, high: int, gain: int, offset: int) -> None:
    if abs(high - low) < 10_000:
        return
    truth = [Fraction(raw) * (1_000_000 + gain) / 1_000_000 + offset for raw in (low, high)]
    step = Step("span", "gain", 10, 10_000, input=0)
    found = adjusted(step, (0, 0), Reading(truth[1], high, high), Reading(truth[0], low, low))
    assert found[0] == gain and abs(found[1] - offset) <= 1


# Energy chips


@pytest.mark.parametrize("which", [BL, E26])
@pytest.mark.parametrize("error", [-0.047, 0.031])
def test_an_energy_chips_gain_is_found_kept_logged_and_outlives_every_reset(
    chips: ChipMeter, meter: Meter, which: int, error: float
) -> None:
    chips.tell("set", which, "gain_error", error if which == BL else [error, 0, 0])
    (entry,) = calibrate(chips, meter, channel("full load", which))
    assert abs(entry["before"]) > 15_000 and abs(entry["after"]) <= 200 and entry["adjusted"]
    number = parameters.CALIBRATION + parameters.ELEMENTS * which
    fields = meter.parameter(number).fields
    assert list(fields.values()) == entry["new"] and entry["old"] == [0, 0]
    logged = [e for e in events.read(meter, kinds.LEGAL) if e.kind == kinds.CONFIGURATION]
    assert [(e.subject, e.old[:6], e.new[:6]) for e in logged] == [(number, bytes(6), meter.parameter(number).raw)]
    name = f"calibration of channel {which} A"
    assert [e.details for e in logged] == [f"{name}, old gain +0, delay +0, new gain {fields['gain']:+d}, delay +0"]
    assert shown(meter.parameter(number)) == f"gain {fields['gain']:+d} ppm, delay +0"

    (again,) = calibrate(chips, meter, channel("full load", which))
    assert not again["adjusted"] and abs(again["before"]) <= 200, "calibrated once, it stays as it is"

    chips.tell("reset", which)
    chips.tell("advance", 5000)
    (after_reset,) = calibrate(chips, meter, channel("full load", which))
    assert not after_reset["adjusted"] and abs(after_reset["before"]) <= 200, "the chip forgot, the driver did not"

    chips.off()
    chips.on()
    chips.tell("set", which, "gain_error", error if which == BL else [error, 0, 0])
    (after_cut,) = calibrate(chips, meter, channel("full load", which))
    assert not after_cut["adjusted"] and abs(after_cut["before"]) <= 200, "the meter lost power, not its calibration"


def test_three_phases_are_adjusted_each_with_its_delay(chips: ChipMeter, meter: Meter) -> None:
    chips.tell("set", E32, "gain_error", [0.02, -0.013, 0.0])
    chips.tell("set", E32, "early_s", [60 / DELAY_HZ, 0.0, -25 / DELAY_HZ])
    steps = [channel(f"gain {phase}", E32, element=n) for n, phase in enumerate("ABC")]
    steps += [
        channel(f"delay {phase}", E32, "delay", element=n, power_factor=0.5, limit=2000) for n, phase in enumerate("ABC")
    ]
    record = calibrate(chips, meter, *steps)
    assert [entry["adjusted"] for entry in record] == [True, True, False, True, False, True]
    assert [abs(entry["after"]) <= entry["limit"] for entry in record] == [True] * 6
    delays = [entry["new"][1] for entry in record[3:]]
    assert abs(delays[0] - 60) <= 1 and delays[1] == 0 and abs(delays[2] + 25) <= 1
    registers = chips.tell("registers", E32, [0x47, 0x48, 0x49, 0x4A, 0x4B, 0x4C])
    assert registers[1] == delays[0] and registers[5] == 0x8000 | -delays[2]


def test_the_settings_of_the_board_are_adjusted_not_replaced(chips: ChipMeter, meter: Meter) -> None:
    assert chips.tell("registers", E26, [0x23]) == [0x0100]
    calibrate(chips, meter, channel("full load", E26))
    assert chips.tell("registers", E26, [0x23]) != [0x0100], "0100H is 0.78 % too much"
    (register,) = chips.tell("registers", E26, [0x23])
    assert abs(register - (register >> 15 << 16)) <= 7, "some 200 ppm about nothing"


# Inputs


def test_an_inputs_offset_and_gain_by_two_points(chips: ChipMeter, meter: Meter) -> None:
    """A pressure transmitter that shows 1.5 % too little and 230 Pa too much."""
    steps = [Step("low", "offset", 20, 5000, input=1), Step("high", "gain", 20, 5000, input=1)]
    truth = {"low": 90_000, "high": 110_000}

    def bench(serial: str, name: str) -> Fraction:
        chips.tell("input", 1, round(truth[name] * 0.985 + 230))
        return Fraction(truth[name])

    job = Calibration(meter, bench, 0.5, chips.sleep)
    job.run(Plan(tuple(steps), ("bench",)), "TN-000001", None, False, lambda *_: None)
    assert [abs(entry["after"]) <= 2 for entry in job.record] == [True, True]
    for true in (85_000, 90_000, 101_325, 110_000):
        chips.tell("input", 1, round(true * 0.985 + 230))
        chips.tell("advance", 200)
        raw, value = meter.inputs()[1]
        assert raw == round(true * 0.985 + 230) and abs(value - true) <= 2
    chips.tell("input", 1, -1)
    assert meter.inputs()[1] == (None, None)
    assert meter.inputs()[0] == (100_000, 100_000)


# What is refused


def test_what_no_adjustment_is_for_is_refused_and_changes_nothing(chips: ChipMeter, meter: Meter) -> None:
    chips.tell("set", BL, "gain_error", 0.2)
    with pytest.raises(CalibrationError, match=r"full load: the meter shows .*\+200000 ppm, at most ±60000 is plausible"):
        calibrate(chips, meter, channel("full load", BL))
    chips.tell("set", BL, "gain_error", -0.2)
    with pytest.raises(CalibrationError, match=r"gain in ppm would be 25\d+, at most ±200000"):
        calibrate(chips, meter, channel("full load", BL, plausible=300_000))
    with pytest.raises(CalibrationError, match="10000 quanta are too few for a limit of 100 ppm; feed 40000"):
        calibrate(chips, meter, channel("full load", BL, limit=100))
    chips.tell("set", BL, "gain_error", -1.0)
    with pytest.raises(CalibrationError, match="the meter none: is channel 0 wired"):
        calibrate(chips, meter, channel("full load", BL))
    chips.tell("set", BL, "gain_error", 0.05)
    with pytest.raises(CalibrationError, match=r"\+50\d\d\d ppm as it is, the limit is ±1000"):
        calibrate(chips, meter, channel("only tested", BL, ""))
    assert meter.parameter(parameters.CALIBRATION).raw == bytes(6)
    assert [e for e in events.read(meter, kinds.LEGAL) if e.kind == kinds.CONFIGURATION] == []


def test_the_meter_itself_refuses_what_its_chips_do_not_have(chips: ChipMeter, meter: Meter) -> None:
    first = parameters.CALIBRATION
    for number, fields in (
        (first, (parameters.GAIN_LIMIT + 1, 0)),
        (first, (0, 1)),  # BL0942 has no delay
        (first + 1, (5, 0)),  # nor a second phase
        (first + 3, (0, parameters.DELAY_LIMIT + 1)),
        (first + 9, (5, 0)),  # a pulse input
        (parameters.INPUT_CALIBRATION, (0, parameters.OFFSET_LIMIT + 1)),
        (parameters.INPUT_CALIBRATION + 2, (5, 0)),  # two inputs
    ):
        with refused(codes.BAD_VALUE):
            meter.set_parameter(number, *fields)
        assert not any(meter.parameter(number).raw)
    assert meter.set_parameter(first + 3, -5000, -7).fields == {"gain": -5000, "delay": -7}


def test_calibration_takes_the_laboratory_and_breaks_a_seal(chips: ChipMeter, meter: Meter, tmp_path: Path) -> None:
    keys = KeyFile.new(tmp_path / "maker.keys", "correct horse")
    meter.provision(*(keys.key(role, "TN-000001").secret for role in ("installer", "laboratory", "manufacturer")))
    chips.tell("set", BL, "gain_error", 0.01)
    step = channel("full load", BL)
    with pytest.raises(UsageError, match="expected --keys"):
        calibrate(chips, meter, step)
    fitter = keys.hand_out(tmp_path / "fitter.keys", "battery staple", "installer", ["TN-000001"])
    with pytest.raises(UsageError, match="this is the installer's"):
        calibrate(chips, meter, step, keys=fitter)
    with Privileged(meter, keys.key("installer", "TN-000001")):
        with refused(codes.NOT_ALLOWED):
            meter.set_parameter(parameters.CALIBRATION, 1, 0)
        meter.close_seal()
        with refused(codes.SEALED):
            meter.set_parameter(parameters.CALIBRATION, 1, 0)
    laboratory = keys.hand_out(tmp_path / "laboratory.keys", "staple", "laboratory", ["TN-000001"])
    with pytest.raises(UsageError, match=r"is sealed \(broken 0 times\).*--break-seal"):
        calibrate(chips, meter, step, keys=laboratory)
    assert meter.trust().sealed and meter.trust().seal_counter == 0
    calibrate(chips, meter, step, keys=laboratory, break_seal=True, idle=1200)
    assert (meter.trust().sealed, meter.trust().seal_counter) == (0, 1)
    found = [(e.name, e.by) for e in events.read(meter, kinds.LEGAL)][-2:]
    assert found == [("seal opened", "laboratory"), ("configuration", "laboratory")]


# The plan and the command


PLAN = """
command = ["{bench}"]
settle_s = 0

[[steps]]
name = "ice point"
input = 1
adjust = "offset"
limit = 10
plausible = 500
"""


def test_a_plan_is_read_and_what_is_wrong_in_it_named(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"

    def read(text: str) -> Plan:
        path.write_text(text)
        return load(path)

    step = "[[steps]]\nname = 'a'\nchannel = 0\nlimit_ppm = 1000\n"
    head = "command = 'bench'\n"
    assert read(head + step).steps[0] == Step("a", "", 1000, 50_000, 0)
    assert read(head + step + "element = 'C'\n").steps[0].number == parameters.CALIBRATION + 2
    for text, expected in (
        ("command = ", "is no TOML"),
        (step, "expected command"),
        (head, r"one \[\[steps\]\]"),
        (head + step + step, "steps of different names"),
        (head + step.replace("channel = 0", "channel = 4"), "step a: expected channel 0 to 3, got 4"),
        (head + step.replace("channel = 0", ""), "either channel or input"),
        (head + step + "gian = 3\n", "expected keys of .*, got 'gian'"),
        (head + step + "adjust = 'offset'\n", "one of gain, delay, got 'offset'"),
        (head + step + "adjust = 'delay'\n", "power_factor above 0, for a delay at most 0.95"),
        (head + step + "plausible_ppm = 10\n", "plausible_ppm not below limit_ppm"),
        (head + step.replace("1000", "0"), "limit_ppm above 0"),
        (head + step.replace("1000", "true"), "another kind of value for limit_ppm"),
        (head + "[[steps]]\nname = 'p'\ninput = 0\nlimit = 5\n", "plausible, the largest error"),
        (head + "settle_s = 'x'\n" + step, "seconds in settle_s"),
    ):
        with pytest.raises(DataError, match=expected):
            read(text)
    with pytest.raises(UsageError, match="cannot read"):
        load(tmp_path / "missing.toml")


def test_a_bench_that_fails_is_one_line(tmp_path: Path) -> None:
    script = tmp_path / "bench"
    script.write_text("#!/bin/sh\necho 'source off' >&2\nexit 3\n")
    script.chmod(0o755)
    with pytest.raises(CalibrationError, match=r"step: expected a number from .*bench, got exit code 3: source off"):
        bench_command((str(script),), "p")("TN-1", "step")
    script.write_text("#!/bin/sh\necho warming up\necho 10000.25\n")
    assert bench_command((str(script),), "p")("TN-1", "step") == Fraction(40001, 4)
    with pytest.raises(CalibrationError, match=r"cannot run .*nothing"):
        bench_command((str(tmp_path / "nothing"),), "p")("TN-1", "step")


def test_tonne_calibrate_leaves_records_and_one_bad_meter_does_not_stop_the_other(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    meters = [ChipMeter(folder) for folder in folders]
    bench = tmp_path / "bench"
    bench.write_text("#!/bin/sh\necho 100120\n")
    bench.chmod(0o755)
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN.format(bench=bench))
    ledger = Ledger(tmp_path / "units.sqlite")
    ledger.begin("aa", meters[0].url, "TN-000001")
    try:
        common = ("--plan", plan, "--out", tmp_path / "records", "--records", tmp_path / "units.sqlite")
        done = tonne("calibrate", *common, "--port", meters[0].url)
        assert done.returncode == 0, done.stderr
        record = json.loads((tmp_path / "records/TN-000001.json").read_text())
        assert record["passed"] and record["steps"][0]["before"] == -120 and record["steps"][0]["after"] == 0
        unit = ledger.unit("TN-000001")
        assert unit and unit.detail["calibration"] == record["steps"]
        meters[0].tell("input", 1, 90_000)
        done = tonne("calibrate", *common, "--port", meters[0].url, "--port", meters[1].url)
        assert done.returncode == 5 and "1 of 2 meters failed" in done.stderr and "plausible" in done.stderr
        assert done.stderr.count("\n") == 1
    finally:
        for each in meters:
            each.close()
        ledger.close()
    assert tonne("calibrate", "--plan", plan, "--port", "/dev/ttyACM99").returncode == 3
