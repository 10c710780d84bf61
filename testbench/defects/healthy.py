"""`python -m testbench.defects.healthy [RUNS]`: the suites on a healthy meter under many seeds: how often it is accused.

Seeds that were run at the present state of suites and firmware are not run again: a count that was interrupted goes on.
"""

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from testbench.conformance import plan as plans
from testbench.conformance.decision import PASS
from testbench.conformance.runner import DeviceRun, run
from testbench.defects.ledger import PLAN, Ledger


def measure(seed: int) -> dict[str, Any]:
    """A run with `seed`: its verdict, how many points it has, and `alarms`, what the meter is accused of."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tonne-healthy-") as folder:
        text = re.sub(r"(?m)^seed = .*$", f"seed = {seed}", plans.find(PLAN).read_text(encoding="utf-8"))
        path = Path(folder) / "plan.toml"
        path.write_text(text, encoding="utf-8")
        device = DeviceRun("unix", Path(folder) / "run")
        run(str(path), [device], lambda *_: None)
    points = device.result.get("points", [])
    alarms = [p["id"] for p in points if p["verdict"] != PASS]
    if device.verdict != PASS and not alarms:
        alarms = [f"{device.verdict}: {device.reason}"]
    seconds = round(time.monotonic() - began, 1)
    return {"verdict": device.verdict, "points": len(points), "alarms": alarms, "seconds": seconds}


def main() -> int:
    """Print a line for each seed that raised an alarm, and how many did; 0 only if all were run and none did."""
    parser = argparse.ArgumentParser(prog="python -m testbench.defects.healthy", description=__doc__)
    parser.add_argument("runs", nargs="?", type=int, default=100)
    parser.add_argument("--first", type=int, default=1, help="seed of the first run")
    parser.add_argument("--ledger", type=Path, default=Path("out/healthy.jsonl"), help="what has been run, and is kept")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no other run after so long")
    arguments = parser.parse_args()
    ledger = Ledger(arguments.ledger, ("suite", "firmware"))
    end = time.monotonic() + arguments.seconds
    seeds = [str(seed) for seed in range(arguments.first, arguments.first + arguments.runs)]
    for seed in seeds:
        if seed not in ledger.rows and time.monotonic() < end:
            ledger.add(seed, measure(int(seed)))
    rows = [ledger.rows[seed] for seed in seeds if seed in ledger.rows]
    false = [row for row in rows if row["alarms"]]
    for row in false:
        print(f"seed {row['name']}: {', '.join(row['alarms'])}")
    points, seconds = (sum(row[key] for row in rows) for key in ("points", "seconds"))
    state = ", ".join(f"{name} {digest}" for name, digest in ledger.state.items())
    print(
        f"{len(rows)} of {len(seeds)} seeded runs on a healthy meter ({state}): {len(false)} with a false alarm, ",
        end="",
    )
    print(f"{points} points, {seconds:.0f} s")
    return 0 if len(rows) == len(seeds) and not false else 1


if __name__ == "__main__":
    sys.exit(main())
