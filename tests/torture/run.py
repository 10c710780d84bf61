"""Runs the torture on real MicroPython processes and adds up what they say."""

import json
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hostlink.profile.image import Channel, Condition, ProfileImage, Register, Term
from protocol import registers as r
from testbench.micropython import interpreter

ROOT = Path(__file__).parents[2]
QUANTA = 20
"""Quanta that the profiles of the workload let go uncommitted, plus one."""

DEVICE = """
import json, sys
sys.path[:0] = [{root!r}, {tests!r}]
from torture import device
{sabotage}
torture = device.Torture([bytes.fromhex(image) for image in {images!r}], {seed}, {only}, {quanta})
torture.run({steps}, {first}, {every})
print(json.dumps(torture.summary()))
"""


def images(count: int = 12) -> list[bytes]:
    """Profiles to change between: three of one shape, then one register more."""
    found = []
    for n in range(count):
        registers = [
            Register(r.CO2, r.EMITTED, r.GRAM, -3),
            Register(r.ACTIVITY, r.CONSUMED, r.ONE, 0),
            Register(r.ACTIVITY, r.IN_ERROR, r.ONE, 0),
        ]
        if n >= 3:
            registers.append(Register(r.CH4, r.EMITTED, r.GRAM, -3))
        image = ProfileImage(
            f"torture {n}",
            [Channel(r.VOLUME, r.CUBIC_METRE, -2, 1, 2**20), Channel(r.ENERGY, r.WATT_HOUR, 0, 1, 2**20)],
            registers,
            [Term(0, 0, 0x1234_5678_9ABC + n, 1), Term(1, 1, 1, 0, (0,), 2), Term(1, 0, 77 + n, 0, (1,))],
            [
                Condition(r.PRESSURE, r.PASCAL, 0, 0, 80_000, 1_000_000, 101_325),
                Condition(r.INTENSITY, r.GRAM_PER_WATT_HOUR, -6, 0, 0, 2_000_000, 570_000),
            ],
            commit_quanta=QUANTA,
        )
        found.append(image.pack())
    return found


def run(
    steps: int, only: int, *, seed: int = 1, processes: int = 1, every: int = 1, sabotage: str = "", heap: str = "8m"
) -> dict:
    """Cut `only` stops (0: all) of each flash operation of every `every`-th of `steps` steps; counts and losses added up."""
    parts = [_code(steps, only, seed, first, max(every, processes), sabotage) for first in range(processes)]
    with ThreadPoolExecutor(processes) as pool:
        return add(list(pool.map(lambda code: _one(code, heap), parts)))


def add(parts: Sequence[dict]) -> dict:
    """Counts of several runs added up; losses in a row."""
    total = parts[0]
    for part in parts[1:]:
        total = {name: total[name] + value for name, value in part.items()}
    return total


def _code(steps: int, only: int, seed: int, first: int, every: int, sabotage: str) -> str:
    return DEVICE.format(
        root=str(ROOT),
        tests=str(ROOT / "tests"),
        images=[image.hex() for image in images()],
        quanta=QUANTA,
        steps=steps,
        only=only,
        seed=seed,
        first=first,
        every=every,
        sabotage=sabotage,
    )


def _one(code: str, heap: str) -> dict:
    command = list(interpreter())  # no star in the list: the package is compiled for the device whole
    command += ["-X", f"heapsize={heap}", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the torture ended with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])
