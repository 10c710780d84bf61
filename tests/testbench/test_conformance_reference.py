"""A bench whose reference standard is read: by a person, by the laboratory's program, and again from the capture."""

import re
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from testbench.conformance import profiles, replay, runner
from testbench.conformance.bench import START
from testbench.conformance.reference import Dose, ReferenceFailed, by_program
from testbench.rigs.unix import UnixRig
from tests.test_commands import tonne

PLAN = """
seed = 1
profile = "natural-gas"
repetitions = 3
suites = ["flow"]
items = ["flow.error[6]"]
[flow]
class = "1.5"
Qmin = 0.04
Qt = 0.6
Qmax = 6
[[instrument]]
name = "bell prover"
serial = "BP-1"
quantity = "volume"
expanded = 0.2
[reference]
"""
GAS = profiles.named("natural-gas")
ERROR = Fraction(7, 1000)


class Gas:
    """Gas through a reference and a meter that shows 0.7 % too much; the reference is read to ten digits."""

    def __init__(self, rig: UnixRig) -> None:
        self._rig = rig
        self._rest = Fraction(0)
        self.passed: list[Fraction] = []

    def dose(self, about: Fraction) -> str:
        """A little less than asked for: nobody closes a valve to the litre."""
        shown = f"{float(about * Fraction(997 + len(self.passed), 1000)):.10f}"
        self.passed.append(Fraction(shown))
        self._rest += Fraction(shown) / GAS.quantum * (1 + ERROR)
        count = int(self._rest)
        self._rest -= count
        self._rig.stimulus.pulses(0, count)
        self._rig.clock.settle()
        return shown


def write(folder: Path, reference: str) -> Path:
    path = folder / "bench.toml"
    path.write_text(PLAN + reference)
    return path


def test_what_a_person_reads_off_is_the_reference_and_is_in_the_capture(tmp_path: Path) -> None:
    asked: list[str] = []
    with UnixRig(GAS.image, time=START) as rig:
        gas = Gas(rig)

        def answer(text: str) -> str:
            asked.append(text)
            if len(asked) == 1:
                return "0,3"
            found = re.search(r"let about ([\d.]+) m³ \(", text)
            assert found
            return gas.dose(Fraction(found[1]))

        device = runner.DeviceRun(f"serial:{rig.url}", tmp_path / "run")
        runner.run(str(write(tmp_path, "")), [device], lambda *_: None, answer)
    assert len(asked) == 4 and all("Q = 6 m³/h" in text and "in m³." in text for text in asked)
    assert asked[1].startswith("Expected a number above 0 such as 0.3012, got '0,3'. ")
    points = {p["check"]: p for p in device.result["points"]}
    error = points["flow.error"]
    digit = 100 * GAS.quantum / min(gas.passed)
    assert abs(Fraction(error["measured"]) - 100 * ERROR) <= digit and error["verdict"] == "pass", error
    assert "reference volume: bell prover BP-1" in [line["input"] for line in error["budget"]]
    assert points["flow.pulses"]["verdict"] == "inapplicable" and "not pulses" in points["flow.pulses"]["note"]
    assert Decimal(points["flow.repeatability"]["measured"]) <= Decimal(float(2 * digit))

    again = runner.DeviceRun(f"replay:{tmp_path / 'run/capture.bin'}", tmp_path / "again")
    runner.run(str(replay.plan_of(tmp_path / "run")), [again], lambda *_: None)
    differences, same = replay.compare(tmp_path / "run", again.result)
    assert not differences and same == len(device.result["points"]) >= 3


def test_a_stimulus_that_is_exact_has_no_reference(tmp_path: Path) -> None:
    device = runner.DeviceRun("unix", tmp_path / "run")
    runner.run(str(write(tmp_path, "")), [device], lambda *_: None)
    assert device.exit_code == 2 and "[reference]: expected rig serial:URL, got unix" in device.reason
    done = tonne("conformance", "--plan", tmp_path / "bench.toml", "--out", tmp_path / "cli")
    assert done.returncode == 2
    assert "[reference]: expected rig serial:URL, got unix" in " ".join(done.stdout.split()), "brackets are text, not markup"


def test_a_program_gives_the_amount_or_the_reason(tmp_path: Path) -> None:
    dose = Dose("Q = 4 m³/h", Fraction(3, 10), "m³", Fraction(270))
    program = tmp_path / "bench.py"

    def measured(text: str) -> Fraction:
        program.write_text(text)
        return by_program([sys.executable, str(program)], "/dev/ttyUSB0")(dose)

    expected = ["/dev/ttyUSB0", "Q = 4 m³/h", "0.3", "m³", "270"]
    assert measured(f"import sys\nassert sys.argv[1:] == {expected}\nprint('warming up')\nprint(0.3012)") == Fraction(753, 2500)
    for text, said in (("print(0)", "expected an amount above 0"), ("raise SystemExit('valve stuck')", "valve stuck")):
        with pytest.raises(ReferenceFailed, match=f"Q = 4 m³/h: .*{said}"):
            measured(text)
