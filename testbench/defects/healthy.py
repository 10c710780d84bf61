"""`python -m testbench.defects.healthy [RUNS]`: the suites on a healthy meter under many seeds: how often it is accused."""

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from testbench.conformance import plan as plans
from testbench.conformance.runner import DeviceRun, run

PLAN = "defects"


def alarms(seed: int) -> list[str]:
    """What a healthy meter is accused of in a run with `seed`."""
    with tempfile.TemporaryDirectory(prefix="tonne-healthy-") as folder:
        text = plans.find(PLAN).read_text(encoding="utf-8")
        before = plans.read(PLAN).seed
        path = Path(folder) / "plan.toml"
        path.write_text(text.replace(f"seed = {before}", f"seed = {seed}"), encoding="utf-8")
        device = DeviceRun("unix", Path(folder) / "run")
        run(str(path), [device], lambda *_: None)
        found = [p["id"] for p in device.result.get("points", []) if p["verdict"] != "pass"]
        return found or ([] if device.verdict == "pass" else [f"{device.verdict}: {device.reason}"])


def main() -> int:
    """Print a line for each seed that raised an alarm, and how many did; 0 only if none."""
    parser = argparse.ArgumentParser(
        prog="python -m testbench.defects.healthy", description="false alarms on a healthy meter"
    )
    parser.add_argument("runs", nargs="?", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    with ThreadPoolExecutor(arguments.jobs) as pool:
        results = list(pool.map(alarms, range(1, arguments.runs + 1)))
    for seed, found in enumerate(results, 1):
        if found:
            print(f"seed {seed}: {', '.join(found)}")
    false = sum(map(bool, results))
    print(f"{len(results)} seeded runs on a healthy meter, {false} with a false alarm")
    return 1 if false else 0


if __name__ == "__main__":
    sys.exit(main())
