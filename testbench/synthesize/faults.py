"""Faults to order. Each is planted in a meter of its own, so that every finding has one cause."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from hostlink.errors import UsageError
from testbench.synthesize.meter import PER_FRAME, Meter, link, step_clock

ALTERED = ("increment0", "index0", "register0", "status", "link")
FOUND_AS = {
    "gap": ("gap",),
    "tail": ("tail",),
    "duplicate": ("duplicate",),
    "clock": ("clock",),
    "swap": ("meter",),
    "tamper": ("chain", "index", "register"),
}
"""Kinds of faults, and the kinds of findings that tell of each."""
METERS = dict.fromkeys(FOUND_AS, 1) | {"swap": 2}


class Planted(NamedTuple):
    """A fault: records `first` to `last` of a meter; `detail` says what was done."""

    kind: str
    meter: str
    first: int
    last: int
    detail: str


def parse(text: str, meters: int) -> dict[str, int]:
    """How many of each kind: `all` for one in a hundred meters of each, `none`, or `gap=3,tamper=2`. Raises UsageError."""
    if text == "none":
        return {}
    if text == "all":
        wanted = dict.fromkeys(FOUND_AS, max(1, meters // 100))
    else:
        wanted = {}
        for part in text.split(","):
            kind, _, count = part.partition("=")
            if kind not in FOUND_AS or not (count or "1").isdigit():
                raise UsageError(f"--faults: expected all, none or {','.join(FOUND_AS)} with =COUNT, got {part!r}")
            wanted[kind] = int(count or 1)
    needed = sum(METERS[kind] * count for kind, count in wanted.items())
    if needed > meters:
        raise UsageError(f"--faults: expected at least {needed} meters, one for each fault, got {meters}")
    return wanted


def plant(kind: str, meter: Meter, random: np.random.Generator) -> Planted:
    """Plant a fault other than a swap in `meter`, whose chain is not linked yet, and link it."""
    count = len(meter.rows)
    first = int(random.integers(2, count - 2))
    last = first
    detail = ""
    if kind == "clock":
        seconds = int(random.choice((-7200, -60, 45, 3600)))
        step_clock(meter, first, seconds)
        detail = f"{seconds:+} s"
    link(meter)
    if kind == "gap":
        last = min(first + int(random.integers(0, 100)), count - 2)
        meter.read = [n for n in meter.read if not first <= n <= last]
        detail = "not read"
    elif kind == "tail":
        meter.read = meter.read[:first]
        last = count - 1
        detail = "not read"
    elif kind == "duplicate":
        last = min(first + int(random.integers(0, 2 * PER_FRAME)), count - 1)
        meter.read = meter.read[: last + 1] + list(range(first, last + 1)) + meter.read[last + 1 :]
        detail = "read twice"
    elif kind == "tamper":
        detail = str(random.choice(ALTERED))
        _alter(meter.rows, first, detail)
    return Planted(kind, meter.serial, first, last, detail)


def _alter(rows: Any, at: int, field: str) -> None:
    if field == "register0":
        rows[field]["whole"][at] += 1
    elif field == "link":
        rows[field][at] = np.void(bytes(byte ^ 0x55 for byte in rows[field][at].tobytes()))
    elif field == "status":
        rows[field][at] ^= 0x0200
    else:
        rows[field][at] += 1


def compare(
    planted: Iterable[Planted], findings: Iterable[dict[str, Any]]
) -> tuple[list[Planted], list[dict[str, Any]]]:
    """Planted faults that no finding tells of, and findings that no planted fault explains."""
    told = list(findings)
    missed = []
    explained: set[int] = set()
    for fault in planted:
        fitting = [n for n, finding in enumerate(told) if _tells(finding, fault)]
        explained.update(fitting)
        if not fitting:
            missed.append(fault)
    return missed, [finding for n, finding in enumerate(told) if n not in explained]


def _tells(finding: dict[str, Any], fault: Planted) -> bool:
    if finding["kind"] not in FOUND_AS[fault.kind] or finding["meter"] != fault.meter:
        return False
    return fault.kind == "swap" or (finding["first"], finding["last"]) == (fault.first, fault.last)
