"""Measuring: all candidates in turns, the best of several rounds each, so that a busy machine hurts all alike."""

import time
from collections.abc import Callable
from typing import NamedTuple

ROUNDS = 7


class Row(NamedTuple):
    """One line of the table: `rate` in `unit` a second; `target` is text for people, `met` None where there is none."""

    group: str
    name: str
    rate: float
    unit: str
    target: str = ""
    met: bool | None = None


def seconds(candidates: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """The least CPU time of this process that each candidate took, in seconds."""
    best = dict.fromkeys(candidates, float("inf"))
    for _ in range(rounds):
        for name, work in candidates.items():
            started = time.process_time()
            work()
            best[name] = min(best[name], time.process_time() - started)
    return best
