"""Sums of 64- and 128-bit columns without wrapping: NumPy, pyarrow and Polars all wrap silently at 2**64, DuckDB does not."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

HALF = np.uint64(32)
LOW = np.uint64(0xFFFFFFFF)
CHUNK = 1 << 31
"""Values summed at once: the sum of so many 32-bit halves fits 64 bits."""


def total(column: NDArray[Any]) -> int:
    """The sum of a column of unsigned integers, exactly."""
    found = 0
    for at in range(0, len(column), CHUNK):
        part = column[at : at + CHUNK].astype("u8", copy=False)
        found += int((part & LOW).sum(dtype="u8")) + (int((part >> HALF).sum(dtype="u8")) << 32)
    return found


def total128(whole: NDArray[Any], fraction: NDArray[Any]) -> int:
    """The sum of a column of accumulators, in 2**-64 units, exactly."""
    return (total(whole) << 64) + total(fraction)
