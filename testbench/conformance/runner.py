"""Runs the suites on one or several devices at once, each in a pytest process of its own, and tells how they get on."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from testbench.conformance.plan import read
from testbench.conformance.results import INCOMPLETE, RESULTS

SUITES = "testbench.conformance.suites"
Progress = Callable[["DeviceRun", dict[str, Any]], None]


@dataclass
class DeviceRun:
    """One device's run: where its files are, what has come of it so far."""

    rig: str
    folder: Path
    options: tuple[str, ...] = ()
    serial: str = ""
    planned: int = 0
    done: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    stopped: int = 0
    result: dict[str, Any] = field(default_factory=dict)
    exit_code: int = 0

    @property
    def verdict(self) -> str:
        """The run's verdict; incomplete as long as there is none."""
        return self.result.get("verdict", INCOMPLETE)

    @property
    def reason(self) -> str:
        """Why the run is incomplete, one line."""
        stopped = self.result.get("stopped", [])
        return self.result.get("reason") or (stopped[0]["reason"] if stopped else "")


def run(plan: str, devices: Sequence[DeviceRun], progress: Progress, answer: Callable[[str], str] = input) -> None:
    """Run `plan` on all devices, at the same time.

    `answer` asks the person at the bench and returns what they say; it raises EOFError if there is nobody.
    """
    there = {path.stem.removeprefix("test_") for path in Path(str(resources.files(SUITES))).glob("test_*.py")}
    suites = [name for name in read(plan).suites if name in there]
    one_at_a_time = threading.Lock()

    def ask(text: str) -> str:
        with one_at_a_time:
            return answer(text)

    threads = [
        threading.Thread(target=_run, args=(command(plan, device, suites), device, progress, ask)) for device in devices
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def command(plan: str, device: DeviceRun, suites: Sequence[str] = ()) -> list[str]:
    """The pytest call for one device; only the modules of `suites`, if given."""
    modules = [f"{SUITES}.test_{name}" for name in suites] or [SUITES]
    ini = resources.files("testbench.conformance") / "pytest.ini"
    return [
        sys.executable, "-m", "pytest", "-q", "-c", str(ini), "--rootdir", str(Path(str(ini)).parent), "--pyargs", *modules,
        "--tonne-plan", plan, "--tonne-rig", device.rig, "--tonne-out", str(device.folder), *device.options,
    ]  # fmt: skip


def _run(call: list[str], device: DeviceRun, progress: Progress, ask: Callable[[str], str]) -> None:
    device.folder.mkdir(parents=True, exist_ok=True)
    (device.folder / RESULTS).unlink(missing_ok=True)
    read_end, write_end = os.pipe()
    with (device.folder / "pytest.log").open("wb") as log:
        process = subprocess.Popen(
            [*call, "--tonne-events", str(write_end)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[write_end],
        )
        os.close(write_end)
        with os.fdopen(read_end) as events:
            for line in events:
                event = json.loads(line)
                if "prompt" in event:
                    _answer(process, event["prompt"], ask)
                    continue
                _take(device, event)
                progress(device, event)
        process.communicate()
    device.exit_code = process.returncode
    path = device.folder / RESULTS
    if path.exists():
        device.result = json.loads(path.read_text(encoding="utf-8"))
    progress(device, {})


def _answer(process: subprocess.Popen[bytes], prompt: str, ask: Callable[[str], str]) -> None:
    """Pass the person's answer on; with nobody there the end of input is passed on, for good."""
    assert process.stdin is not None
    if process.stdin.closed:
        return
    try:
        process.stdin.write((ask(prompt) + "\n").encode())
        process.stdin.flush()
    except EOFError:
        process.stdin.close()


def _take(device: DeviceRun, event: dict[str, Any]) -> None:
    device.serial = event.get("serial", device.serial)
    device.planned = event.get("planned", device.planned)
    device.done = event.get("done", device.done)
    if "item" in event:
        device.done += 1
        device.stopped += event["outcome"] != "done"
        for verdict in event["verdicts"]:
            device.verdicts[verdict] = device.verdicts.get(verdict, 0) + 1
