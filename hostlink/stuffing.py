"""COBS of many frames at once: the runs of bytes between zeros, decoded and un-whitened. In NumPy; compiled where numba is.

In NumPy:

1. Zero bytes bound the runs. Eight comparisons are looked at in one word.
2. The COBS codes of all runs are followed at once: as many steps as the run with most codes has, of which whitening leaves
   few.
3. What each code stands for is copied as one item of 256 bytes, all in one call and in order, so that the next copy
   overwrites what was too much. Zeros are put where codes stand for them, and all is un-whitened.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from protocol import frame

LONG = 255
"""Code of 254 bytes that no zero follows."""
STEPS = (24, frame.MAX_ENCODED)
"""Codes followed in one go: whitening leaves few runs with more than the first, and no run has more than the last. What is
decoded in a second go lies behind the rest."""
PIECE = 256
PIECES = 2048
"""Bytes copied for each code: more than the 254 it may stand for, what is too much is overwritten by the next."""
WORTH = 1 << 30
"""Bytes seen by this process from which on numba is worth while: it takes over a second to load, and saves half a microsecond
for each KiB."""
Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Scanned(NamedTuple):
    """Runs of bytes between zeros, in order: where each begins, its size, and what it decodes to, `plain[at : at + decoded]`.

    A run of more than `frame.MAX_ENCODED` bytes is not decoded. `fits` is false where a run's codes do not end with it.
    """

    begin: Numbers
    size: Numbers
    plain: Bytes
    at: Numbers
    decoded: Numbers
    fits: Flags


Scan = Callable[[Bytes, int], Scanned]
"""Takes bytes and how many of them count; at least PIECE more must be there."""


class Choice:
    """Which of the two this process uses: `scanner` is told how much there is to do."""

    def __init__(self) -> None:
        self.seen = 0
        self._compiled: Scan | None = None
        self._is_missing = False

    def scanner(self, size: int) -> Scan:
        """How to scan a stream of `size` bytes: compiled once there was enough, if numba is installed."""
        self.seen += size
        if self._compiled is None and not self._is_missing and self.seen >= WORTH:
            try:
                from hostlink.stuffing_compiled import scan as compiled
            except (ImportError, RuntimeError):  # not installed, or no place to keep what is compiled
                self._is_missing = True
            else:
                self._compiled = compiled
        return self._compiled or scan


def scan(work: Bytes, used: int) -> Scanned:
    """The runs in `work[:used]`, in NumPy."""
    begin, size = _runs(work[:used])
    at, decoded = np.zeros((2, len(begin)), "i8")
    fits = np.ones(len(begin), bool)
    tried = np.flatnonzero(size <= frame.MAX_ENCODED)
    plain, at[tried], decoded[tried], wrong = _unstuff(work, begin[tried], size[tried])
    fits[tried[wrong]] = False
    return Scanned(begin, size, plain, at, decoded, fits)


def sliding(buffer: Bytes, kind: str) -> NDArray[Any]:
    """`buffer` as one item of `kind` at each offset, overlapping: to copy many items from or to anywhere, in order."""
    item = np.dtype(kind)
    return np.ndarray((max(len(buffer) - item.itemsize + 1, 0),), item, buffer, strides=(1,))


def _runs(work: Bytes) -> tuple[Numbers, Numbers]:
    """Start and size of each run of bytes between zeros; the end counts as a zero."""
    size = len(work)
    is_zero = np.empty((size + 8) // 8 * 8, bool)
    is_zero[size:] = True
    np.equal(work, 0, out=is_zero[:size])
    words = is_zero.view("u8")
    found = np.flatnonzero(words != 0)
    byte = np.flatnonzero(words[found].view(bool))
    zeros = found[byte >> 3] * 8 + (byte & 7)
    begin = np.concatenate(([0], zeros[:-1] + 1))
    filled = np.flatnonzero(zeros > begin)
    begin = begin[filled]
    return begin, zeros[filled] - begin


def _unstuff(work: Bytes, begin: Numbers, size: Numbers) -> tuple[Bytes, Numbers, Numbers, Flags]:
    """Runs decoded: the bytes, where each run's begin in them, their number, and which runs have codes that do not fit."""
    plain = np.empty(int(size.sum()) + PIECE, "u1")
    source, target = sliding(work, f"V{PIECE}"), sliding(plain, f"V{PIECE}")
    zeros: list[Numbers] = []
    at, decoded = np.empty((2, len(begin)), "i8")
    wrong = np.zeros(len(begin), bool)
    left = np.arange(len(begin))
    filled = 0
    for steps in STEPS:
        if not len(left):
            break
        end = begin[left] + size[left]
        codes = _codes(work, begin[left], end, steps)
        done = codes[:, -1] == end
        runs, left = left[done], left[~done]
        if len(left):
            codes, end = codes[done], end[done]
        if not len(runs):
            continue
        each = codes.reshape(-1)
        live = np.flatnonzero(codes < end[:, None])
        here, following = each[live], each[live + 1]
        length = following - here
        is_last = np.diff(live, append=-1) != 1
        gives_zero = ~(is_last | (length == LONG))
        ends = np.cumsum(length - 1 + gives_zero)
        ends += filled
        last = np.flatnonzero(is_last)
        run_ends = ends[last]
        wrong[runs] = work[here[last]] != length[last]
        decoded[runs] = np.diff(run_ends, prepend=filled)
        at[runs] = run_ends - decoded[runs]
        begins = np.concatenate(([filled], ends[:-1]))
        places = here + 1
        for n in range(0, len(begins), PIECES):
            target[begins[n : n + PIECES]] = source[places[n : n + PIECES]]
        zeros.append(ends[gives_zero] - 1)
        filled = int(ends[-1])
    plain[np.concatenate(zeros or [left])] = 0
    plain ^= np.uint8(frame.WHITENER)
    return plain, at, decoded, wrong


def _codes(work: Bytes, begin: Numbers, end: Numbers, steps: int) -> Numbers:
    """Follow the codes of all runs, at most so many steps: where each is, by run and step; at the run's end, or beyond, the
    end."""
    at = begin
    codes = [at]
    for step in range(1, steps + 1):
        at = at + work[at]
        np.minimum(at, end, out=at)
        codes.append(at)
        if step & 3 == 2 and np.array_equal(at, end):
            break
    return np.stack(codes, axis=1)



choice = Choice()
