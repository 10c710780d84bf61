"""Every console command started as a user would: its output, its exit code, one line for a mistake, never a traceback."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import typer

from testbench.rigs.unix import UnixRig
from tests.firmware.test_terms import START, every_kind

TONNE = Path(sysconfig.get_path("scripts")) / "tonne"


def tonne(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command; a traceback is a failure whatever the test expects."""
    environment = os.environ | {"COLUMNS": "160", "NO_COLOR": "1"}
    done = subprocess.run(
        [str(TONNE), *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False, env=environment, **options,  # type: ignore[call-overload]
    )  # fmt: skip
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done


@pytest.fixture(scope="module")
def rig() -> Iterator[UnixRig]:
    with UnixRig(bytes(every_kind(1).data), serial="CMD-1", time=START) as meter:
        meter.pulses(1, 1234)
        meter.advance(1000)
        meter.settle()
        yield meter


def test_every_command_is_there_and_explains_itself() -> None:
    names = sorted(entry.name for entry in entry_points(group="tonne.commands"))
    shown = tonne("--help")
    assert shown.returncode == 0
    assert all(re.search(rf"\b{name}\b", shown.stdout) for name in names)


def test_every_command_that_opens_a_port_can_capture_it() -> None:
    """`conformance`, `demo` and `simulate` open none by --port: the first two keep captures in their folder."""
    without = []
    for entry in entry_points(group="tonne.commands"):
        found = entry.load()
        app = found if isinstance(found, typer.Typer) else typer.Typer()
        if app is not found:
            app.command(entry.name)(found)
        command = typer.main.get_command(app)
        for each in getattr(command, "commands", {entry.name: command}).values():
            options = {option for parameter in each.params for option in parameter.opts}
            if "--port" in options and not options & {"--capture", "--captures"}:
                without.append(f"{entry.name} {each.name}")
    assert not without


@pytest.mark.parametrize("name", sorted(entry.name for entry in entry_points(group="tonne.commands")))
def test_a_command_starts(name: str) -> None:
    done = tonne(name, "--help")
    assert done.returncode == 0 and "Usage" in done.stdout


def test_a_package_that_is_not_installed_is_one_line_and_no_other_command_needs_it() -> None:
    def without(package: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = f"import sys; sys.modules[{package!r}] = None; from hostlink.cli import main; main()"
        command = [sys.executable, "-c", program, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    lacking = without("pyarrow", "demo", "--out", os.devnull)
    assert (lacking.returncode, lacking.stderr.count("\n")) == (2, 1) and "the package pyarrow" in lacking.stderr
    assert without("pyarrow", "ports").returncode == 0
    assert without("rich.progress", "--help").returncode == 0


def test_no_command_is_help_and_a_wrong_one_a_usage_error() -> None:
    assert "Usage" in (shown := tonne()).stdout + shown.stderr
    assert tonne("no-such-command").returncode == 2
    assert tonne("read").returncode == 2


def test_read_prints_identity_registers_and_status(rig: UnixRig) -> None:
    done = tonne("read", "--port", rig.url)
    assert done.returncode == 0, done.stderr
    for word in ("CMD-1", "firmware", "CO2 emitted", "1,234", "Wh", "2026-01-01 00:00:01Z", "profile", "software"):
        assert word in done.stdout


def test_read_as_json_has_exact_values(rig: UnixRig) -> None:
    done = tonne("read", "--port", rig.url, "--json")
    found = json.loads(done.stdout)
    assert (found["serial"], found["clock_valid"], found["time"]) == ("CMD-1", True, "2026-01-01T00:00:01Z")
    energy = found["registers"][1]
    assert (Decimal(energy["value"]), energy["unit"]) == (1234, "Wh")
    assert all(isinstance(register["value"], str) for register in found["registers"])


def start(*arguments: object) -> subprocess.Popen[str]:
    """A command that goes on until Ctrl-C, which it hears even where this test's own shell ignores it."""
    return subprocess.Popen(
        [str(TONNE), *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def wait_for(file: Path) -> str:
    """The content of `file` once there is any."""
    deadline = time.monotonic() + 60
    while not (file.exists() and file.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    return file.read_bytes().decode(errors="replace")


def test_watch_reads_so_many_times_and_can_be_interrupted(rig: UnixRig, tmp_path: Path) -> None:
    assert "CMD-1" in tonne("watch", "--port", rig.url, "--every", "0", "--count", "2").stdout
    process = start("watch", "--port", rig.url, "--every", "0.05", "--capture", tmp_path / "capture")
    wait_for(tmp_path / "capture")
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in output + errors


def test_ports_lists_ports_or_says_there_are_none() -> None:
    done = tonne("ports")
    assert done.returncode == 0 and done.stdout.strip()


def test_a_silent_port_is_one_line_and_exit_3() -> None:
    master, slave = pty.openpty()
    done = tonne("read", "--port", os.ttyname(slave), "--timeout", "0.05")
    os.close(master)
    os.close(slave)
    assert (done.returncode, done.stdout) == (3, "")
    assert re.fullmatch(r"tonne: expected a reply from any meter on /dev/pts/\d+ .*silence; check power.*\n", done.stderr)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("read", "--port", "/dev/no-such-port"), 3, "there is no such port"),
        (("read", "--port", "loop://", "--timeout", "0.05"), 3, "only our own request came back"),
        (("read", "--port", "nonsense://"), 3, "expected to open nonsense://"),
        (("read", "--port", "loop://", "--address", "256"), 2, "--address"),
        (("read", "--port", "loop://", "--baud", "5"), 2, "--baud"),
        (("read", "--port", "loop://", "--timeout", "0"), 2, "--timeout"),
        (("watch", "--port", "loop://", "--every", "-1"), 2, "--every"),
        (("watch", "--port", "/dev/no-such-port"), 3, "there is no such port"),
        (("simulate", "--speed", "0"), 2, "--speed"),
        (("simulate", "--rig", "esp32"), 2, "expected unix or pico, got 'esp32'"),
        (("simulate", "--rig", "pico", "--speed", "5"), 2, "leave out --speed"),
        (("demo", "--pulse", "many"), 2, "--pulse"),
        (("demo", "--pulse", "0"), 2, "--pulse"),
        (("demo", "--pulse", "NaN"), 2, "--pulse"),
        (("demo", "--series", "/no/such/file.csv"), 2, "expected a series of measurements"),
    ],
)
def test_a_mistake_is_said_with_its_exit_code(arguments: tuple, code: int, said: str) -> None:
    done = tonne(*arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert done.stdout == ""
    if code == 3:
        assert done.stderr.startswith("tonne: ") and done.stderr.count("\n") == 1


def test_a_demo_that_cannot_write_says_so() -> None:
    done = tonne("demo", "--out", "/proc/none")
    assert done.returncode == 2 and "give another with --out" in done.stderr and done.stderr.count("\n") == 1


def test_a_busy_port_is_one_line_and_exit_3(rig: UnixRig) -> None:
    import serial

    with serial.Serial(rig.url, exclusive=True):
        done = tonne("read", "--port", rig.url)
    assert done.returncode == 3 and "another program holds it" in done.stderr and done.stderr.count("\n") == 1


def test_simulate_prints_a_port_that_read_and_watch_can_use(tmp_path: Path) -> None:
    """The issue's show: `tonne read --port …` against the meter that `tonne simulate` started; Ctrl-C ends it and all of it."""
    name = tmp_path / "port"
    process = start("simulate", "--speed", "5000", "--port-file", name)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        port = re.match(r"serving on (/dev/pts/\d+) ", line)
        assert port, line
        assert wait_for(name) == port[1]
        time.sleep(1)
        first, second = (json.loads(tonne("read", "--port", port[1], "--json").stdout) for _ in range(2))
        assert first["serial"] == "TONNE-0001"
        assert second["time"] > first["time"]
        assert Decimal(second["registers"][1]["value"]) >= Decimal(first["registers"][1]["value"])
    finally:
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode in (0, 130)
    assert "Traceback" not in output + errors
    assert tonne("read", "--port", port[1], "--timeout", "0.1").returncode == 3


def test_simulate_ends_by_itself_when_told() -> None:
    assert tonne("simulate", "--seconds", "0.3").returncode == 0
