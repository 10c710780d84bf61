"""Edges of a pulse output: regular or jittered, with or without contact bounce."""

from __future__ import annotations

import random
from collections.abc import Iterator

Edge = tuple[float, bool]
"""Seconds from the start of the train, and the level from then on."""


def pulse_train(
    count: int,
    hertz: float,
    *,
    low: float = 0.5,
    jitter: float = 0.0,
    bounce_s: float = 0.0,
    bounces: int = 0,
    random_: random.Random | None = None,
) -> Iterator[Edge]:
    """`count` active-low pulses at `hertz`, low for the share `low` of a period.

    jitter: share of a period by which a pulse comes early or late, uniform; below (1 - low) / 2 pulses stay apart.
    bounce_s, bounces: each contact edge is followed by `bounces` glitches (there and back) within `bounce_s` seconds.
    random_: the source of jitter and bounce; the same seed gives the same train.
    """
    source = random_ or random.Random(0)
    period = 1.0 / hertz
    for number in range(count):
        start = (number + 0.5) * period + source.uniform(-jitter, jitter) * period
        for moment, level in ((start, False), (start + low * period, True)):
            yield moment, level
            shaking = sorted(source.uniform(0.0, bounce_s) for _ in range(2 * bounces))
            for index, after in enumerate(shaking):
                yield moment + after, level if index % 2 else not level
