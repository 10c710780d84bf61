"""A whole fleet as an archive: `captures/SERIAL.tonne`, the profile, `planted.json`, the manifest."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from hostlink import archive
from testbench.synthesize import faults
from testbench.synthesize.meter import link, make, profile, session

START = 1_767_225_600
"""2026-01-01T00:00:00Z"""
CAPTURES = "captures"
PLANTED = "planted.json"
PROFILE = "profile.bin"
BATCH = 16


@dataclass(frozen=True)
class Order:
    """What a fleet is made of; the same order makes the same bytes."""

    meters: int
    days: int
    seed: int
    faults: dict[str, int]


def serial(number: int) -> str:
    """The serial number of meter `number`."""
    return f"SYN-{number:07}"


def synthesize(order: Order, out: Path, progress: Callable[[int], None], workers: int = 1) -> list[faults.Planted]:
    """Write the archive of the fleet; returns what was planted. `progress(count)` counts meters."""
    out.mkdir(parents=True, exist_ok=True)
    (out / CAPTURES).mkdir(exist_ok=True)
    kinds, swaps = _deal(order)
    batches = [range(n, min(n + BATCH, order.meters)) for n in range(0, order.meters, BATCH)]
    planted = []
    work = [(order, out, [(n, kinds.get(n, "")) for n in batch], swaps) for batch in batches]
    for found, batch in zip(_map(work, workers), batches, strict=True):
        planted += found
        progress(len(batch))
    for a, b in sorted(swaps.items()):
        planted.append(faults.Planted("swap", serial(a), 0, 0, f"its capture is that of {serial(b)}"))
    (out / PROFILE).write_bytes(bytes(profile().data))
    (out / PLANTED).write_text(json.dumps([fault._asdict() for fault in planted], indent=1) + "\n")
    entries = [archive.Entry(_name(n), archive.CAPTURE, serial(n)) for n in range(order.meters)]
    entries += [archive.Entry(PROFILE, archive.PROFILE), archive.Entry(PLANTED, archive.OTHER)]
    archive.seal(
        out, entries, {"made by": "tonne synthesize", "meters": order.meters, "days": order.days, "seed": order.seed}
    )
    return planted


def _deal(order: Order) -> tuple[dict[int, str], dict[int, int]]:
    """Which meter has which fault, and which meter's capture is whose."""
    numbers = iter(np.random.default_rng([order.seed, 0]).permutation(order.meters).tolist())
    kinds: dict[int, str] = {}
    swaps: dict[int, int] = {}
    for kind, count in order.faults.items():
        for _ in range(count):
            if kind == "swap":
                a, b = next(numbers), next(numbers)
                swaps[a], swaps[b] = b, a
            else:
                kinds[next(numbers)] = kind
    return kinds, swaps


def _map(work: list[tuple], workers: int) -> Iterator[list[faults.Planted]]:
    if workers == 1:
        yield from map(_write, work)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_write, work)


def _write(work: tuple[Order, Path, list[tuple[int, str]], dict[int, int]]) -> list[faults.Planted]:
    order, out, numbers, swaps = work
    planted = []
    for number, kind in numbers:
        random = np.random.default_rng([order.seed, 1, number])
        meter = make(serial(number), order.days, START, random)
        if kind:
            planted.append(faults.plant(kind, meter, random))
        else:
            link(meter)
        data = session(meter, START + 86400 * order.days + 600)
        (out / _name(swaps.get(number, number))).write_bytes(data)
    return planted


def _name(number: int) -> str:
    return f"{CAPTURES}/{serial(number)}.tonne"
