"""What the parts of a verification share: the shard, the runs it falls into, the result, and how findings are put in words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hostlink.columns import Shape
from hostlink.findings import Finding, Result
from protocol import status as flags
from protocol.image import Image

Rows = NDArray[Any]


@dataclass
class Shard:
    """All of one meter: `rows` by shape, in the order they came. `heads` are chain heads vouched for by signed statements,
    each the head behind the record of that number; `following` is the number the meter gave its next record when read."""

    meter: str
    rows: Mapping[Shape, Rows]
    images: Mapping[bytes, bytes]
    following: int = 0
    heads: Mapping[int, bytes] = field(default_factory=dict)


@dataclass
class Run:
    """Records of one shape and profile that follow each other in number; `image` is None if nobody has it."""

    shape: Shape
    rows: Rows
    image: Image | None


@dataclass
class Verification:
    """A shard under verification and what came of it so far."""

    shard: Shard
    result: Result

    def find(self, kind: str, first: int, text: str, last: int | None = None, severity: str = "fault") -> None:
        """Add a finding about records `first` to `last`."""
        end = first if last is None else last
        self.result.findings.append(Finding(kind, self.shard.meter, int(first), int(end), text, severity))


def stretches(numbers: NDArray[Any]) -> list[tuple[int, int]]:
    """First and last of each stretch of numbers that follow each other."""
    if not len(numbers):
        return []
    edges = np.flatnonzero(np.diff(numbers.astype("i8")) > 1)
    firsts = numbers[np.concatenate(([0], edges + 1))]
    lasts = numbers[np.concatenate((edges, [len(numbers) - 1]))]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def in_words(first: int, last: int) -> str:
    """`record 3`, `records 3 to 5`."""
    return f"record {first}" if first == last else f"records {first} to {last}"


def are(first: int, last: int) -> str:
    """The verb that goes with it."""
    return "is" if first == last else "are"


def flag_names(status: Any) -> str:
    """The flags of a status in words."""
    return ", ".join(flags.names(int(status)))
