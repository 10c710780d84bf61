"""A bench with hands: a device on a serial URL, and a person who gives what the suites ask for."""

import re
from pathlib import Path

from testbench.conformance import profiles, runner
from testbench.conformance.bench import START
from testbench.rigs.unix import UnixRig
from tests.testbench.plant import Plant

PLAN = """
seed = 1
profile = "electricity"
pulse = "10 Wh"
suites = ["identity", "registers", "protocol"]
items = ["identity.identity", "registers.resolution", "registers.units", "protocol.crc"]
registers = { quanta = 3 }
"""


def test_prompts_reach_the_person_and_what_they_do_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "hands.toml"
    path.write_text(PLAN)
    asked: list[str] = []
    with UnixRig(profiles.named("electricity", "10 Wh").image, time=START, serial="BENCH-7") as rig:

        def answer(text: str) -> str:
            asked.append(text)
            found = re.search(r"exactly (\d+) pulses on channel (\d+)", text)
            assert found
            rig.stimulus.pulses(int(found[2]), int(found[1]))
            rig.clock.settle()
            return "done"

        device = runner.DeviceRun(f"serial:{rig.url}", tmp_path / "run")
        runner.run(str(path), [device], lambda *_: None, answer)
    assert asked == ["Give exactly 1 pulses on channel 0, then press Enter."] * 3
    assert device.result["item"]["serial"] == "BENCH-7" and device.result["rig"] == "serial"
    checks = {p["check"]: p["verdict"] for p in device.result["points"]}
    assert checks["registers.resolution"] == checks["protocol.crc"] == "pass"
    assert checks["registers.applicable"] == "inapplicable"  # a profile that this device does not run
    assert device.verdict == "pass", device.reason


def test_a_device_with_another_profile_than_the_plan_says_is_not_tested(tmp_path: Path) -> None:
    path = tmp_path / "hands.toml"
    path.write_text(PLAN)
    with UnixRig(profiles.named("electricity").image, time=START) as rig:
        device = runner.DeviceRun(f"serial:{rig.url}", tmp_path / "run")
        runner.run(str(path), [device], lambda *_: None)
    assert device.exit_code == 2 and device.verdict == "incomplete" and not device.result["points"]
    assert "the plan tests profile electricity, the device runs another" in device.reason


def test_a_bench_that_nobody_attends_leaves_an_incomplete_run(tmp_path: Path) -> None:
    path = tmp_path / "hands.toml"
    path.write_text(PLAN)

    def nobody(text: str) -> str:
        raise EOFError

    with UnixRig(profiles.named("electricity", "10 Wh").image, time=START) as rig:
        device = runner.DeviceRun(f"serial:{rig.url}", tmp_path / "run")
        runner.run(str(path), [device], lambda *_: None, nobody)
    assert device.verdict == "incomplete" and device.exit_code and device.result["missing"] == ["registers.resolution"]
    assert "nobody at the bench answered: Give exactly 1 pulses on channel 0" in device.reason
    assert device.result["summary"]["pass"] > 3


def test_a_stimulator_that_is_not_there_leaves_an_incomplete_run(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    path.write_text(PLAN + '[stimulator]\nport = "/dev/tty-nowhere"\nchannels = [2]\n')
    with UnixRig(profiles.named("electricity", "10 Wh").image, time=START) as rig:
        device = runner.DeviceRun(f"serial:{rig.url}", tmp_path / "run")
        runner.run(str(path), [device], lambda *_: None)
    assert device.exit_code and device.verdict == "incomplete" and "/dev/tty-nowhere" in device.reason


def test_a_bench_with_a_stimulator_asks_nobody(tmp_path: Path) -> None:
    """The stimulator's own program gives the pulses; one too many is found."""

    def nobody(text: str) -> str:
        raise AssertionError(text)

    for extra, verdict in ((0, "pass"), (1, "fail")):
        with UnixRig(profiles.named("electricity", "10 Wh").image, time=START) as rig:

            def pulses(pin: int, count: int, extra: int = extra, rig: UnixRig = rig) -> None:
                rig.stimulus.pulses({2: 0}[pin], count + extra)
                rig.clock.settle()

            plant = Plant(pulses)
            path = tmp_path / f"bench{extra}.toml"
            path.write_text(f'{PLAN}[stimulator]\nport = "{plant.url}"\nchannels = [2]\n')
            device = runner.DeviceRun(f"serial:{rig.url}", tmp_path / f"run{extra}")
            runner.run(str(path), [device], lambda *_: None, nobody)
            plant.close()
        checks = {p["check"]: p["verdict"] for p in device.result["points"]}
        assert checks["registers.resolution"] == device.verdict == verdict, (device.reason, checks)
        assert [line.split()[1:] for line in plant.asked if "pulses" in line] == [
            ["pulses", "2", "1", "5000", "5000"]
        ] * 3


def test_a_run_of_pulses_is_asked_for_at_once(tmp_path: Path) -> None:
    """Not in the sixty-four steps that a rig takes."""
    path = tmp_path / "hands.toml"
    load = 'class = "A"\nIst = 0.5\nImin = 25\nItr = 30\nImax = 6000\nprofile = "electricity"\n'
    path.write_text(
        f'seed = 1\nprofile = "electricity"\nsuites = ["load"]\nitems = ["load.error[25A,1]"]\n[load]\n{load}'
    )
    asked: list[str] = []
    with UnixRig(profiles.named("electricity").image, time=START) as rig:

        def answer(text: str) -> str:
            asked.append(text)
            found = re.search(r"exactly (\d+) pulses on channel 0, evenly over", text)
            assert found
            rig.stimulus.pulses(0, int(found[1]))
            rig.clock.settle()
            return "done"

        device = runner.DeviceRun(f"serial:{rig.url}", tmp_path / "run")
        runner.run(str(path), [device], lambda *_: None, answer)
    assert len(asked) == 3 and device.verdict == "pass", (asked, device.reason)


def test_nobody_there_and_no_port(tmp_path: Path) -> None:
    path = tmp_path / "hands.toml"
    path.write_text(PLAN)
    device = runner.DeviceRun("serial:/dev/tty-nowhere", tmp_path / "run")
    runner.run(str(path), [device], lambda *_: None)
    assert device.exit_code == 3 and device.verdict == "incomplete" and "no such port" in device.reason
