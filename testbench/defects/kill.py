"""Runs the suites against faulty meters and tells which were found, by what."""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from testbench.conformance.decision import FAIL
from testbench.conformance.requirements import table
from testbench.conformance.runner import DeviceRun, command
from testbench.defects import Defect, apply, copy_device
from testbench.defects.ledger import PLAN

SECONDS = 900


@dataclass(frozen=True)
class Outcome:
    """What became of a meter: checks that failed, each with its clause, whether the meter stopped, how long it took, and
    whether the whole suite was run."""

    failed: dict[str, str]
    stopped: str
    verdict: str
    seconds: float
    whole: bool

    def named(self, defect: Defect) -> list[str]:
        """Failed checks that name the defect's cause, the best name first."""
        return [check for check in defect.cause if check in self.failed]

    def row(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def kill(defect: Defect | None, own_only: bool = False) -> Outcome:
    """Run the defect's own items, and the whole suite if it survives them, unless `own_only`; None: the whole, on a good meter."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tonne-defect-") as folder:
        root = Path(folder) / "device"
        copy_device(root)
        outcome = None
        if defect:
            apply(defect, root)
            outcome = _run(root, Path(folder) / "first", defect.first, began)
            if own_only or outcome.named(defect):
                return outcome
        return _run(root, Path(folder) / "whole", (), began)


def _run(root: Path, folder: Path, items: Sequence[str], began: float) -> Outcome:
    options = ("--tonne-root", str(root), "--tonne-items", ",".join(items))
    call = command(PLAN, DeviceRun("unix", folder, options), sorted({item.split(".")[0] for item in items}))
    process = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    path = folder / "results.json"
    try:
        process.wait(SECONDS)
        result = json.loads(path.read_text(encoding="utf-8"))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # a meter that hangs goes with the suites
        process.wait()
        return Outcome({}, f"the suites did not end within {SECONDS} s", "none", time.monotonic() - began, not items)
    except FileNotFoundError:
        return Outcome({}, "no result", "none", time.monotonic() - began, not items)
    failed = {p["check"]: _place(p["requirement"]) for p in result["points"] if p["verdict"] == FAIL}
    stopped = result["stopped"][0]["reason"] if result["stopped"] else ""
    return Outcome(failed, stopped, result["verdict"], round(time.monotonic() - began, 1), not items)


def _place(requirement: str) -> str:
    found = table()[requirement]
    return f"{found.document}, {found.clause}"
