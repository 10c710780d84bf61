"""The scan of `hostlink.stuffing`, one pass over the bytes, compiled by numba. The same answers; a test holds the two together."""

import numba
import numpy as np

from hostlink.stuffing import PIECE, Bytes, Flags, Numbers, Scanned
from protocol import frame

_WHITENER = np.uint8(frame.WHITENER)
_MAX_ENCODED = frame.MAX_ENCODED
_SPACING = (16, 2)
"""Bytes from the begin of one run to that of the next, on the average: room is made for runs as they are, then for the most."""


def scan(work: Bytes, used: int) -> Scanned:
    """The runs in `work[:used]`."""
    plain = np.empty(used + PIECE, "u1")
    for spacing in _SPACING:
        begin, size, at, decoded = np.empty((4, used // spacing + 1), "i8")
        fits = np.empty(used // spacing + 1, "?")
        count = _scan(work, used, plain, begin, size, at, decoded, fits)
        if count >= 0:
            break
    return Scanned(begin[:count], size[:count], plain, at[:count], decoded[:count], fits[:count])


@numba.njit(cache=True)
def _scan(
    work: Bytes, used: int, plain: Bytes, begin: Numbers, size: Numbers, at: Numbers, decoded: Numbers, fits: Flags
) -> int:
    """The number of runs, or -1 if there are more than `begin` has room for."""
    count = here = filled = 0
    while here < used:
        if work[here] == 0:
            here += 1
            continue
        if count == len(begin):
            return -1
        first, to, whole = here, filled, True
        while here < used and work[here]:
            code = int(work[here])
            length = min(code - 1, used - here - 1)
            block = work[here + 1 : here + 1 + length]
            copied = plain[to : to + length]
            zeros = 0
            for n in range(length):
                copied[n] = block[n] ^ _WHITENER
                zeros += block[n] == 0
            if zeros or length < code - 1:
                whole = False
                while here < used and work[here]:
                    here += 1
                break
            to += length
            here += code
            if code < 255 and here < used and work[here]:
                plain[to] = _WHITENER
                to += 1
        begin[count], size[count], at[count], fits[count] = first, here - first, filled, whole
        if here - first > _MAX_ENCODED:
            to, fits[count] = filled, True
        decoded[count] = to - filled
        filled = to
        count += 1
    return count
