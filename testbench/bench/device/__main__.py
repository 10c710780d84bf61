"""`python -m testbench.bench.device [--accept]`: measure, print, and end 1 if anything got worse; --accept keeps the counts."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console
from rich.table import Table

from testbench.bench.device import baseline
from testbench.bench.device.measure import measure
from testbench.errors import TestbenchError


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-device", description=__doc__)
    parser.add_argument("--accept", action="store_true", help="write what was measured as the new baseline")
    asked = parser.parse_args()
    console = Console(width=120)
    try:
        found = list(measure())
    except TestbenchError as error:
        console.print(f"bench-device: {error}", style="red", markup=False)
        return 1
    if asked.accept:
        baseline.write(found)
    accepted = baseline.read()
    table = Table("a sample on Cortex-M3", box=None)
    for title in ("instructions", "of the C loop", "heap, bytes", "limit", "baseline"):
        table.add_column(title, justify="right")
    loop = found[0].instructions
    for m in found:
        before = accepted.get(m.name)
        change = "" if before is None else f"{before:.0f} ({m.instructions / before - 1:+.1%})"
        row = (f"{m.instructions:.0f}", f"{m.instructions / loop:.1f}", str(m.allocated), str(m.limit or ""), change)
        table.add_row(m.name, *row, style="dim" if m.peer else "")
    console.print(table)
    worse = list(baseline.findings(found, accepted))
    for line in worse:
        console.print(line, style="red", markup=False)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
