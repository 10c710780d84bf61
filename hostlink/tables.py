"""The host's readings of a field table (`protocol.layout`): a `construct` description and a NumPy dtype.

Device, construct and NumPy see the same text, and a test holds them to the same values.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import construct
import numpy as np

from hostlink.errors import DataError
from protocol.layout import Layout

FX128_MASK = (1 << 64) - 1


class Field(NamedTuple):
    """One field of a table: its name, type as written, and unit ("" if none is written)."""

    name: str
    kind: str
    unit: str


def fields(layout: Layout) -> Iterator[Field]:
    """The fields of `layout` in order."""
    for text in layout.text.split():
        name, kind, *unit = text.split("/", 2)
        yield Field(name, kind, unit[0] if unit else "")


_CONSTRUCT = {
    "u8": construct.Int8ul,
    "i8": construct.Int8sl,
    "u16": construct.Int16ul,
    "i16": construct.Int16sl,
    "u32": construct.Int32ul,
    "i32": construct.Int32sl,
    "u48": construct.BytesInteger(6, swapped=True),
    "u64": construct.Int64ul,
    "fx128": construct.BytesInteger(16, swapped=True),
}


@cache
def description(layout: Layout) -> construct.Struct:
    """The `construct.Struct` of `layout`: one body, with errors that name the field."""
    return construct.Struct(
        *(
            f.name / (construct.Bytes(int(f.kind[1:])) if f.kind[0] == "b" else _CONSTRUCT[f.kind])
            for f in fields(layout)
        )
    )


_DTYPE: dict[str, Any] = {
    "u8": "u1",
    "i8": "i1",
    "u16": "<u2",
    "i16": "<i2",
    "u32": "<u4",
    "i32": "<i4",
    "u48": np.dtype([("low", "<u4"), ("high", "<u2")]),
    "u64": "<u8",
    "fx128": np.dtype([("fraction", "<u8"), ("whole", "<u8")]),
}


@cache
def dtype(layout: Layout) -> np.dtype:
    """The packed NumPy dtype of `layout`. `u48` is `(low, high)`; `fx128` is `(fraction, whole)`, two u64 halves."""
    return np.dtype([(f.name, f"V{f.kind[1:]}" if f.kind[0] == "b" else _DTYPE[f.kind]) for f in fields(layout)])


def values(layout: Layout, data: bytes, at: int = 0) -> dict[str, Any]:
    """The fields of one body at `data[at:]` by name; `fx128` as an int of 2**-64 units."""
    found = {}
    for field, value in zip(fields(layout), layout.unpack_from(data, at), strict=True):
        found[field.name] = int.from_bytes(value, "little") if field.kind == "fx128" else value
    return found


def body_values(layout: Layout, body: bytes, what: str, rest: bool = False) -> dict[str, Any]:
    """The fields of a reply's whole body, or of its head if more may follow (`rest`). Raises DataError for another size."""
    if len(body) < layout.size or (len(body) > layout.size and not rest):
        raise DataError(
            f"expected {layout.size} bytes of {what}, got {len(body)}; is the meter's firmware newer than this host?"
        )
    return values(layout, body)
