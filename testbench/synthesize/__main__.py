"""Compare what was planted with what `tonne verify --json` found: `python -m testbench.synthesize FLEET RESULT.json`."""

import json
import sys
from pathlib import Path

from testbench.synthesize.faults import Planted, compare
from testbench.synthesize.fleet import PLANTED

folder, result = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
planted = [Planted(**fault) for fault in json.loads((folder / PLANTED).read_text())]
missed, unexplained = compare(planted, result["findings"])
print(f"{len(planted)} faults planted in {result['meters']} meters, {result['records']} records")
print(
    f"{len(planted) - len(missed)} found, {len(missed)} missed, {len(unexplained)} findings that nothing planted explains"
)
for fault in missed:
    print(f"missed: {fault}")
for finding in unexplained:
    print(f"unexplained: {finding}")
sys.exit(bool(missed or unexplained))
