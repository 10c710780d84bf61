"""The committed counts, and what may not get worse."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from testbench.bench.device.measure import Measurement

FILE = Path(__file__).with_name("baseline.json")
TOLERANCE = 0.05


def read() -> dict[str, float]:
    """Instructions by name as last accepted."""
    return json.loads(FILE.read_text())


def write(measurements: Iterable[Measurement]) -> None:
    """Accept what was measured."""
    FILE.write_text(json.dumps({m.name: m.instructions for m in measurements}, indent=2) + "\n")


def findings(measurements: Iterable[Measurement], accepted: Mapping[str, float]) -> Iterator[str]:
    """What is worse than its limit, or than accepted by more than TOLERANCE; one line each. Peers are not judged."""
    for m in measurements:
        if m.peer:
            continue
        if m.name not in accepted:
            yield f"{m.name}: {m.instructions:.0f} instructions, and no baseline: accept it with --accept"
        elif m.instructions > accepted[m.name] * (1 + TOLERANCE):
            yield f"{m.name}: {m.instructions:.0f} instructions, {accepted[m.name]:.0f} in the baseline"
        if m.limit is not None and m.instructions > m.limit:
            yield f"{m.name}: {m.instructions:.0f} instructions, the limit is {m.limit}"
        if m.allocated:
            yield f"{m.name}: {m.allocated} bytes allocated, expected none"
