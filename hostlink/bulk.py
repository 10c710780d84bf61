"""Frames out of a long stream, all of a window at once: NumPy instead of a loop over bytes, one C call a frame for its CRC.

The same frames and the same refusals as `protocol.deframer`, with offsets. How a window is done:

1. Zero bytes bound the runs. Eight comparisons are looked at in one word.
2. The COBS codes of all runs are followed at once: as many steps as the run with most codes has, of which whitening leaves
   few.
3. What each code stands for is copied as one item of 256 bytes, all in one call and in order, so that the next copy
   overwrites what was too much. Zeros are put where codes stand for them, and all is un-whitened.
4. A frame with its own CRC behind it has a CRC that is always the same.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, pairwise, starmap
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from protocol import deframer, frame

try:
    from isal.isal_zlib import crc32
except ImportError:
    from zlib import crc32

WINDOW = 3 << 20
KEPT = 31 << 20
"""An array of this size, given back at once, makes glibc's allocator keep what a window frees instead of returning every page
to the system and faulting it in again for the next: half of the time."""
LONG = 255
"""Code of 254 bytes that no zero follows."""
SOUGHT = 4096
"""Bytes looked through at once for the delimiter that ends a window."""
STEPS = (24, frame.MAX_ENCODED)
"""Codes followed in one go: whitening leaves few runs with more than the first, and no run has more than the last. What is
decoded in a second go lies behind the rest, so a window's frames are no longer one stretch for the CRC."""
PIECE = 256
PIECES = 2048
"""Bytes copied for each code: more than the 254 it may stand for, what is too much is overwritten by the next."""
STRETCH = 8
"""Frames in a stretch of equal ones, on the average, from which on it pays to cut them by `struct`."""
RESIDUE = 0x2144DF1C
"""CRC-32 of anything followed by its own CRC-32."""
CUT = "cut"
"""The stream ends within the run."""
REASONS = (*deframer.REASONS, CUT)
SHORT, OVERSIZE, STUFFING, CRC, CUT_OFF = range(5)
GOOD = 255
Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]


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


def sliding(buffer: Bytes, kind: str) -> NDArray[Any]:
    """`buffer` as one item of `kind` at each offset, overlapping: to copy many items from or to anywhere, in order."""
    item = np.dtype(kind)
    return np.ndarray((max(len(buffer) - item.itemsize + 1, 0),), item, buffer, strides=(1,))


def frames(data: Any, window: int = WINDOW) -> Iterator[Frames]:
    """The frames of the stream `data` (any buffer of bytes), some `window` bytes at a time."""
    np.empty(KEPT, "u1")
    stream = np.frombuffer(data, "u1")
    start = 0
    size = len(stream)
    scratch = np.empty(0, bool)
    while start < size:
        end = _end(stream, start, window)
        if len(scratch) < end - start:
            scratch = np.empty((end - start) // 8 * 8 + SOUGHT, bool)
        yield _window(stream, start, end, scratch, last=end == size)
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


def _window(stream: Bytes, start: int, end: int, scratch: NDArray[np.bool_], last: bool) -> Frames:
    used = end - start
    work = stream[start:]
    if len(work) < used + PIECE:
        work = np.zeros(used + PIECE, "u1")
        work[:used] = stream[start:end]
    begin, size = _runs(work[:used], scratch)
    reason = np.full(len(begin), GOOD, "u1")
    reason[size > frame.MAX_ENCODED] = OVERSIZE
    if last and len(begin) and begin[-1] + size[-1] == used:
        reason[-1] = CUT_OFF
    tried = np.flatnonzero(reason == GOOD)
    plain, at, decoded, stuffing = _unstuff(work, begin[tried], size[tried])
    why = reason[tried]
    why[decoded < frame.MIN_FRAME] = SHORT
    why[stuffing] = STUFFING
    whole = np.flatnonzero(why == GOOD)
    why[whole[_crcs(plain, at[whole], decoded[whole]) != RESIDUE]] = CRC
    reason[tried] = why
    good = why == GOOD
    kept = tried[good]
    bad = reason != GOOD
    refused = Refused(begin[bad] + start, size[bad], reason[bad])
    return Frames(plain, at[good], decoded[good] - frame.CRC_SIZE, begin[kept] + start, size[kept], refused)


def _runs(work: Bytes, scratch: NDArray[np.bool_]) -> tuple[Numbers, Numbers]:
    """Start and size of each run of bytes between zeros; the end counts as a zero."""
    size = len(work)
    is_zero = scratch[: (size + 8) // 8 * 8]
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


def _unstuff(work: Bytes, begin: Numbers, size: Numbers) -> tuple[Bytes, Numbers, Numbers, NDArray[np.bool_]]:
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
    """Follow the codes of all runs, so many steps: where each is, by run and step; at the run's end, or beyond, the end."""
    codes = np.empty((len(begin), steps + 1), "i8")
    codes[:, 0] = at = begin
    for step in range(1, steps + 1):
        at = at + work[at]
        np.minimum(at, end, out=at)
        codes[:, step] = at
        if step & 3 == 2 and np.array_equal(at, end):
            codes[:, step + 1 :] = end[:, None]
            break
    return codes


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
