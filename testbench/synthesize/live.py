"""Records of a meter under any profile: live conditions that move within each interval and are missing now and then.

Made by the plain replay (`hostlink.replay.Replay`), one step after the other.
"""

import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hostlink.columns import record_dtype
from hostlink.replay import Replay
from protocol.image import Image
from protocol.intensities import Intensities, pack
from protocol.records import TAG_SIZE
from protocol.registers import INTENSITY

INTERVAL = 900
STEPS = 4
"""Steps of conditions and counts in an interval."""
INPUTS = 16
MISSING = 0.01


def rows(image: Image, count: int, seed: int = 1) -> NDArray[Any]:
    """`count` records from the first day of the profile's validity on, not linked; in front of them one of zeros."""
    random_ = random.Random(seed)
    found = np.zeros(count + 1, record_dtype((len(image.channels), len(image.conditions), len(image.registers))))
    found["profile"] = np.void(image.fingerprint[:TAG_SIZE])
    start = image.header[14] + 86400
    dated = {
        n: _intensities(n, spec, start, count) for n, spec in enumerate(image.conditions) if spec[0] == INTENSITY
    }
    replay = Replay(image)
    for at in range(1, count + 1):
        row, time = found[at], start + INTERVAL * at
        replay.begin(time, True, dated)
        before = list(replay.indices)
        ranges: dict[int, tuple[int, int]] = {}
        near = [random_.randrange(spec[4], spec[5] + 1) for spec in image.conditions]
        for _ in range(STEPS):
            inputs: list[int | None] = [None] * INPUTS
            for n, spec in enumerate(image.conditions):
                if n not in dated and random_.random() >= MISSING:
                    inputs[spec[3]] = near[n] + random_.randrange(-40, 40)
            replay.step([random_.randrange(1, 100) for _ in image.channels], inputs)
            for n, value in enumerate(replay.used):
                low, high = ranges.get(n, (value, value))
                ranges[n] = min(low, value), max(high, value)
        row["sequence"], row["start"], row["duration"], row["status"] = at - 1, time, INTERVAL, replay.status
        for n, index in enumerate(replay.indices):
            row[f"increment{n}"], row[f"index{n}"] = index - before[n], index
        for n, (low, high) in ranges.items():
            row[f"low{n}"], row[f"high{n}"] = low, high
        for n, value in enumerate(replay.registers):
            row[f"register{n}"] = value & (1 << 64) - 1, value >> 64
    return found


def _intensities(number: int, spec: tuple, start: int, count: int) -> Intensities:
    values = [spec[4] + 7 * n % (spec[5] - spec[4] + 1) for n in range(count + 1)]
    return Intensities(pack(number, spec[1], spec[2], start, INTERVAL, values))
