"""Interval records, one at a time: bytes to typed values (`hostlink.bulk` does a million)."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache

from hostlink.errors import DataError
from hostlink.values import utc
from protocol import records
from protocol.layout import Layout


@dataclass(frozen=True)
class IntervalRecord:
    """What one interval counted. `registers` are raw, in 2**-64 units; `conditions` are (low, high), raw."""

    sequence: int
    start: datetime
    end: datetime
    duration: int
    status: int
    profile: bytes
    increments: tuple[int, ...]
    indices: tuple[int, ...]
    conditions: tuple[tuple[int, int], ...]
    registers: tuple[int, ...]
    link: bytes
    raw: bytes


@cache
def layout(channels: int, conditions: int, registers: int) -> Layout:
    """The field table of a record of this shape."""
    return Layout(records.text(channels, conditions, registers))


def decode(data: bytes, channels: int, conditions: int, registers: int) -> IntervalRecord:
    """One record of the given shape. Raises DataError if the size does not fit."""
    table = layout(channels, conditions, registers)
    if len(data) != table.size:
        raise DataError(
            f"expected an interval record of {table.size} bytes, got {len(data)}; is the profile the right one?"
        )
    sequence, start, duration, status, profile, *rest = table.unpack_from(data)
    split = 2 * channels
    ranges = rest[split : split + 2 * conditions]
    values = rest[split + 2 * conditions : -1]
    return IntervalRecord(
        sequence,
        utc(start),
        utc(start + duration),
        duration,
        status,
        profile,
        tuple(rest[0:split:2]),
        tuple(rest[1:split:2]),
        tuple(zip(ranges[::2], ranges[1::2], strict=True)),
        tuple(int.from_bytes(value, "little") for value in values),
        rest[-1],
        bytes(data),
    )
