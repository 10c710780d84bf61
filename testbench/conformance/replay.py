"""An earlier run's verdicts again, from its captured bytes alone."""

import json
from pathlib import Path
from typing import Any

from testbench.conformance.recorder import CAPTURE, file_digest
from testbench.conformance.results import RESULTS
from testbench.conformance.section import PlanError

SAME = ("measured", "low", "high", "expanded", "verdict")


def earlier(folder: Path) -> dict[str, Any]:
    """The result in `folder`. Raises PlanError."""
    try:
        return json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PlanError(
            f"--replay {folder}: expected the folder of a conformance run with {RESULTS}: {error}"
        ) from None


def plan_of(folder: Path) -> Path:
    """The plan of the run in `folder`, written out anew from its result. Raises PlanError if capture and result part."""
    result = earlier(folder)
    capture = folder / CAPTURE
    if not capture.exists():
        raise PlanError(
            f"--replay {folder}: expected {CAPTURE} beside {RESULTS}; without the bytes nothing can be made again"
        )
    if file_digest(capture) != result["digests"].get("capture"):
        raise PlanError(f"--replay {folder}: {CAPTURE} is not the capture whose digest {RESULTS} names")
    path = folder / "replay" / f"{result['plan']['name']}.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(result["plan"]["text"], encoding="utf-8")
    return path


def compare(folder: Path, again: dict[str, Any]) -> tuple[list[str], int]:
    """What differs between the run in `folder` and `again`, and how many points are the same."""
    before = {p["id"]: p for p in earlier(folder)["points"]}
    now = {p["id"]: p for p in again.get("points", [])}
    differences = [f"{name}: only in one of the two" for name in sorted(before.keys() ^ now.keys())]
    same = 0
    for name in before.keys() & now.keys():
        parts = [f"{k} {before[name][k]} -> {now[name][k]}" for k in SAME if before[name][k] != now[name][k]]
        same += not parts
        if parts:
            differences.append(f"{name}: {', '.join(parts)}")
    return differences, same
