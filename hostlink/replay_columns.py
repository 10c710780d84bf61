"""Replay of many records at once, for profiles whose terms are constants: every register's gain in 128-bit integers.

An accumulator is a pair of u64 arrays `(whole, fraction)`. For a profile with live conditions or tables see
`hostlink.replay_live`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocol import image as layout

Words = NDArray[np.uint64]
Wide = tuple[Words, Words]
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def is_constant(image: layout.Image) -> bool:
    """Whether every term of the profile is a constant times a count."""
    return all(factor == layout.NO_FACTOR for term in image.terms for factor in term[5:])


def expected_gains(image: layout.Image, counts: list[Words]) -> list[Wide]:
    """What each register gains by `counts[n]` quanta (below 2**32) of channel n."""
    size = len(counts[0])
    gains = [(np.zeros(size, "u8"), np.zeros(size, "u8")) for _ in image.registers]
    for channel, register, _, shift, constant, *_ in image.terms:
        gains[register] = add(gains[register], _product(constant, counts[channel], shift))
    return gains


def add(a: Wide, b: Wide) -> Wide:
    """a + b, modulo 2**128."""
    fraction = a[1] + b[1]
    return a[0] + b[0] + (fraction < b[1]), fraction


def subtract(a: Wide, b: Wide) -> Wide:
    """a - b, modulo 2**128."""
    return a[0] - b[0] - (a[1] < b[1]), a[1] - b[1]


def times(a: Wide, b: Words) -> Wide:
    """a * b, modulo 2**128."""
    low, high = b & _LOW, b >> _HALF
    least, more = a[1] & _LOW, a[1] >> _HALF
    lowest, left, right = least * low, least * high, more * low
    middle = (lowest >> _HALF) + (left & _LOW) + (right & _LOW)
    whole = a[0] * b + more * high + (left >> _HALF) + (right >> _HALF) + (middle >> _HALF)
    return whole, (lowest & _LOW) | (middle << _HALF)


def less(a: Wide, b: Wide) -> NDArray[np.bool_]:
    """a < b."""
    return (a[0] < b[0]) | ((a[0] == b[0]) & (a[1] < b[1]))


def differ(a: Wide, b: Wide) -> NDArray[np.bool_]:
    """a != b."""
    return (a[0] != b[0]) | (a[1] != b[1])


def halves(rows: NDArray[Any], register: int) -> Wide:
    """An accumulator of interval records."""
    column = rows[f"register{register}"]
    return np.ascontiguousarray(column["whole"]), np.ascontiguousarray(column["fraction"])


def _product(constant: int, count: Words, shift: int) -> Wide:
    """constant * count * 2**(32 * shift), the constant below 2**64, the count below 2**32."""
    low = np.uint64(constant & 0xFFFFFFFF) * count
    high = np.uint64(constant >> 32) * count
    fraction = low + (high << _HALF)
    whole = (high >> _HALF) + (fraction < low)
    if shift:
        whole, fraction = (whole << _HALF) | (fraction >> _HALF), fraction << _HALF
    return whole, fraction
