"""Runs the suites against faulty meters and tells which were found, by what."""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from testbench.conformance.runner import DeviceRun, command
from testbench.defects import Defect, apply, copy_device

PLAN = "defects"
SECONDS = 900


@dataclass(frozen=True)
class Outcome:
    """What became of a defect: checks that failed, whether the meter stopped, how long it took, whether the whole suite was run."""

    defect: Defect
    failed: tuple[str, ...]
    stopped: str
    seconds: float
    whole: bool

    @property
    def named(self) -> tuple[str, ...]:
        """Failed checks that name the right cause."""
        return tuple(check for check in self.failed if check in self.defect.cause)

    @property
    def killed(self) -> bool:
        """Whether the suites found the defect and named its cause."""
        return bool(self.named)


def kill(defect: Defect, plan: str = PLAN, own_only: bool = False) -> Outcome:
    """Run the defect's own items, and the whole suite if it survives them, unless `own_only`."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tonne-defect-") as folder:
        root = Path(folder) / "device"
        copy_device(root)
        apply(defect, root)
        failed, stopped = _run(plan, root, Path(folder) / "first", defect.first)
        outcome = Outcome(defect, failed, stopped, time.monotonic() - began, False)
        if not outcome.killed and not own_only:
            failed, stopped = _run(plan, root, Path(folder) / "whole", ())
            outcome = Outcome(defect, failed, stopped, time.monotonic() - began, True)
    return outcome


def kill_all(
    defects: Sequence[Defect], jobs: int, told: Callable[[Outcome], None], own_only: bool = False
) -> list[Outcome]:
    """`kill` for each, `jobs` at a time; `told` as they come."""

    def one(defect: Defect) -> Outcome:
        outcome = kill(defect, own_only=own_only)
        told(outcome)
        return outcome

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, defects))


def _run(plan: str, root: Path, folder: Path, items: Sequence[str]) -> tuple[tuple[str, ...], str]:
    options = ("--tonne-root", str(root), "--tonne-items", ",".join(items))
    call = command(plan, DeviceRun("unix", folder, options), sorted({item.split(".")[0] for item in items}))
    process = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # a meter that hangs goes with the suites
        process.wait()
        return (), f"the suites did not end within {SECONDS} s"
    path = folder / "results.json"
    if not path.exists():
        return (), "no result"
    result = json.loads(path.read_text(encoding="utf-8"))
    failed = tuple(dict.fromkeys(p["check"] for p in result["points"] if p["verdict"] == "fail"))
    return failed, result["stopped"][0]["reason"] if result["stopped"] else ""
