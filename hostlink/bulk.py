"""Frames out of a long stream, all of a window at once: NumPy instead of a loop over bytes, one C call a frame for its CRC.

The same frames and the same refusals as `protocol.deframer`, with offsets. `hostlink.stuffing` finds and decodes what is
between zeros; a frame with its own CRC behind it has a CRC that is always the same.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, pairwise, starmap
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hostlink.stuffing import PIECE, Bytes, Numbers, Scan, choice
from protocol import deframer, frame

try:
    from isal.isal_zlib import crc32
except ImportError:
    from zlib import crc32

WINDOW = 1 << 20
KEPT = 31 << 20
"""An array of this size, given back at once, makes glibc's allocator keep what a window frees instead of returning every page
to the system and faulting it in again for the next: half of the time."""
SOUGHT = 4096
"""Bytes looked through at once for the delimiter that ends a window."""
STRETCH = 8
"""Frames in a stretch of equal ones, on the average, from which on it pays to cut them by `struct`."""
RESIDUE = 0x2144DF1C
"""CRC-32 of anything followed by its own CRC-32."""
CUT = "cut"
"""The stream ends within the run."""
REASONS = (*deframer.REASONS, CUT)
SHORT, OVERSIZE, STUFFING, CRC, CUT_OFF = range(5)
GOOD = 255


class Refused(NamedTuple):
    """Runs of bytes that are no frame, in order: where in the stream, how many bytes, number in REASONS."""

    offset: Numbers
    size: Numbers
    reason: Bytes


class Frames(NamedTuple):
    """The good frames of a window, in order. Frame n is `plain[at[n] : at[n] + size[n]]`: address, control, sequence,
    message, body, without CRC. It was the `encoded[n]` bytes at `offset[n]` of the stream, delimiters apart."""

    plain: Bytes
    at: Numbers
    size: Numbers
    offset: Numbers
    encoded: Numbers
    refused: Refused

    def __len__(self) -> int:
        return len(self.at)

    def byte(self, index: int) -> Bytes:
        """Byte `index` of every frame."""
        return self.plain[self.at + index]


def frames(data: Any, window: int = WINDOW, scan: Scan | None = None) -> Iterator[Frames]:
    """The frames of the stream `data` (any buffer of bytes), some `window` bytes at a time.

    `scan` is `hostlink.stuffing.scan` or its compiled twin, if it is not left to choose.
    """
    np.empty(KEPT, "u1")
    stream = np.frombuffer(data, "u1")
    scan = scan or choice.scanner(len(stream))
    start = 0
    size = len(stream)
    while start < size:
        end = _end(stream, start, window)
        yield _window(stream, start, end, scan, last=end == size)
        start = end


def _end(stream: Bytes, start: int, window: int) -> int:
    """Just behind a zero byte near `start + window`, or the end of the stream."""
    at = start + window
    while at < len(stream):
        zero = stream[at : at + SOUGHT].tobytes().find(0)
        if zero >= 0:
            return at + zero + 1
        at += SOUGHT
    return len(stream)


def _window(stream: Bytes, start: int, end: int, scan: Scan, last: bool) -> Frames:
    used = end - start
    work = stream[start:]
    if len(work) < used + PIECE:
        work = np.zeros(used + PIECE, "u1")
        work[:used] = stream[start:end]
    begin, size, plain, at, decoded, fits = scan(work, used)
    reason = np.full(len(begin), GOOD, "u1")
    reason[decoded < frame.MIN_FRAME] = SHORT
    reason[~fits] = STUFFING
    reason[size > frame.MAX_ENCODED] = OVERSIZE
    if last and len(begin) and begin[-1] + size[-1] == used:
        reason[-1] = CUT_OFF
    whole = np.flatnonzero(reason == GOOD)
    reason[whole[_crcs(plain, at[whole], decoded[whole]) != RESIDUE]] = CRC
    good = reason == GOOD
    bad = ~good
    refused = Refused(begin[bad] + start, size[bad], reason[bad])
    return Frames(plain, at[good], decoded[good] - frame.CRC_SIZE, begin[good] + start, size[good], refused)


def _crcs(plain: Bytes, at: Numbers, size: Numbers) -> NDArray[np.uint32]:
    """The CRC of each run. Where many of one size lie one behind the other, they are cut by `struct`."""
    found: list[Iterable[int]] = []
    edges = np.flatnonzero((np.diff(size) != 0) | (np.diff(at) != size[:-1])) + 1
    if STRETCH * len(edges) > len(at):
        view = memoryview(plain.data)
        found.append(
            map(crc32, map(view.__getitem__, starmap(slice, zip(at.tolist(), (at + size).tolist(), strict=True))))
        )
    elif len(at):
        for first, last in pairwise([0, *edges.tolist(), len(at)]):
            begin, length = int(at[first]), int(size[first])
            whole = plain[begin : begin + length * (last - first)]
            found.append(starmap(crc32, Struct(f"{length}s").iter_unpack(whole.data)))
    return np.fromiter(chain.from_iterable(found), "u4", len(at))
