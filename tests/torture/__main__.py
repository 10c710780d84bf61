"""`make torture`: every stop of every flash operation of the workload, on all processors; ends 1 if anything was lost."""

import argparse
import os
import sys
import time

from tests.torture.run import run

STEPS = 2500


def main() -> int:
    """Run and print what was tried and lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of the workload")
    parser.add_argument("--stops", type=int, default=0, help="stops tried of each flash operation; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    started = time.monotonic()
    found = run(given.steps, given.stops, seed=given.seed, processes=given.processes)
    print(f"operations of the workload   {given.steps:>9,}")
    print(f"flash programs cut           {found['programs']:>9,}")
    print(f"sector erases cut            {found['erases']:>9,}")
    print(f"cut points tried             {found['cuts']:>9,}")
    print(f"cut again while booting      {found['nested']:>9,}")
    print(f"went on and cut once more    {found['went on']:>9,}")
    print(f"losses                       {len(found['losses']):>9,}")
    print(f"took {time.monotonic() - started:,.0f} s")
    for loss in found["losses"][:20]:
        print(f"lost: {loss}")
    return 1 if found["losses"] else 0


if __name__ == "__main__":
    sys.exit(main())
