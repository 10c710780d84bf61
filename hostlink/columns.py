"""Interval records out of frames, a window of frames at a time: arrays of records, and their fields as columns."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hostlink.bulk import Frames
from hostlink.records import layout
from hostlink.stuffing import Bytes, Numbers, sliding
from hostlink.tables import dtype
from protocol import frame, messages

Shape = tuple[int, int, int]
"""Channels, conditions and registers of a record."""
COPIED = 8192
"""Rows whose fields are copied before the next rows: so many stay in a core's cache."""
_HEAD = messages.RECORDS_REPLY.size
_FOLLOWING_AT = frame.HEADER_SIZE + 8
_KEY_AT = frame.HEADER_SIZE + _HEAD - 4
_IS_RECORDS = (frame.CONTROL_REPLY | frame.VERSION) << 8 | messages.RECORDS << 24
_KIND_MASK = (frame.CONTROL_REPLY | frame.CONTROL_REFUSED | frame.CONTROL_VERSION_MASK) << 8 | 0xFF << 24


class Records(NamedTuple):
    """All records of the RECORDS replies of one size in a window: `rows` of `dtype(layout(*shape))`, `per_frame` a frame.
    `frame` numbers the frames they came in, in `Frames`; `address` is who sent each frame,
    and `following` the sequence number that its next record was to have."""

    shape: Shape
    per_frame: int
    rows: NDArray[Any]
    frame: Numbers
    address: Bytes
    following: NDArray[np.uint32]


def records(frames: Frames) -> tuple[list[Records], Numbers]:
    """The records of all good RECORDS replies in `frames`, by size, and the numbers of the replies that are not what their
    head says."""
    words = sliding(frames.plain, "<u4")
    replies = np.flatnonzero(words[frames.at] & _KIND_MASK == _IS_RECORDS)
    sizes = frames.size[replies] - frame.HEADER_SIZE
    short = sizes < _HEAD
    wrong = [replies[short]]
    replies, sizes = replies[~short], sizes[~short]
    keys = words[frames.at[replies] + _KEY_AT]
    found = []
    for key in np.unique(keys).tolist():
        count, *rest = key.to_bytes(4, "little")
        shape = (rest[0], rest[1], rest[2])
        size = count * record_dtype(shape).itemsize
        same = keys == key
        fits = same & (sizes == _HEAD + size) & (count > 0)
        wrong.append(replies[same & ~fits])
        chosen = replies[fits]
        if len(chosen):
            at = frames.at[chosen]
            rows = sliding(frames.plain, f"V{size}")[at + (frame.HEADER_SIZE + _HEAD)].view(record_dtype(shape))
            found.append(Records(shape, count, rows, chosen, frames.plain[at], words[at + _FOLLOWING_AT]))
    return found, np.sort(np.concatenate(wrong))


@cache
def record_dtype(shape: Shape) -> np.dtype:
    """The packed dtype of a record: the fields of `protocol.records.text`, accumulators as (fraction, whole)."""
    return dtype(layout(*shape))


def columns(rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Each field of `rows` as an array of its own; an accumulator as two, `registerN_whole` and `registerN_fraction`; raw
    bytes as an integer of their size."""
    found: dict[str, NDArray[Any]] = {}
    copies: list[tuple[NDArray[Any], NDArray[Any]]] = []
    for name, (kind, *_) in (rows.dtype.fields or {}).items():
        halves = {f"{name}_{half}": rows[name][half] for half in reversed(kind.names or ())}
        for column, source in (halves or {name: rows[name]}).items():
            plain = source.view(f"<u{kind.itemsize}") if kind.kind == "V" and not halves else source
            found[column] = np.empty(len(rows), plain.dtype)
            copies.append((found[column], plain))
    for at in range(0, len(rows), COPIED):
        for target, plain in copies:
            target[at : at + COPIED] = plain[at : at + COPIED]
    return found
