"""One table, three readers: struct, `construct` and NumPy see the same values in random messages of every layout."""

from typing import Any

import construct
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostlink import tables
from protocol import image, intensities, messages, records
from protocol.layout import Layout

LAYOUTS = {
    f"{module.__name__.split('.')[-1]}.{name}": value
    for module in (image, intensities, messages, records)
    for name, value in vars(module).items()
    if isinstance(value, Layout)
}
LAYOUTS["record 2.3.8"] = Layout(records.text(2, 3, 8))
EDGES = {"u8": 8, "u16": 16, "u32": 32, "u48": 48, "u64": 64, "fx128": 128}


def values_of(kind: str) -> st.SearchStrategy:
    if kind[0] == "b":
        return st.binary(min_size=int(kind[1:]), max_size=int(kind[1:]))
    if kind[0] == "i":
        bits = int(kind[1:])
        return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)
    top = (1 << EDGES[kind]) - 1
    return st.integers(0, top) | st.sampled_from([0, top, top >> 1, (top >> 1) + 1])


def by_numpy(field: tables.Field, value: Any) -> Any:
    if field.kind == "u48":
        return int(value["low"]) | int(value["high"]) << 32
    if field.kind == "fx128":
        return int(value["fraction"]) | int(value["whole"]) << 64
    return value.tobytes() if field.kind[0] == "b" else int(value)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
@settings(max_examples=20)
@given(st.data())
def test_struct_construct_and_numpy_agree(name: str, data: st.DataObject) -> None:
    layout = LAYOUTS[name]
    fields = list(tables.fields(layout))
    given_values = {f.name: data.draw(values_of(f.kind), label=f.name) for f in fields}
    on_device = [
        value.to_bytes(16, "little") if f.kind == "fx128" else value
        for f, value in zip(fields, given_values.values(), strict=True)
    ]
    packed = layout.pack(*on_device)
    assert len(packed) == layout.size == tables.dtype(layout).itemsize == tables.description(layout).sizeof()
    assert list(layout.unpack_from(packed)) == on_device
    assert tables.values(layout, packed) == given_values
    assert tables.description(layout).build(given_values) == packed
    parsed = tables.description(layout).parse(packed)
    assert {f.name: parsed[f.name] for f in fields} == given_values
    if fields:
        (row,) = np.frombuffer(packed, tables.dtype(layout))
        assert {f.name: by_numpy(f, row[f.name]) for f in fields} == given_values


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_field_names_are_unique_and_types_known(name: str) -> None:
    names = [f.name for f in tables.fields(LAYOUTS[name])]
    assert len(set(names)) == len(names)


def test_construct_names_the_field_that_is_missing() -> None:
    with pytest.raises(construct.StreamError, match="status"):
        tables.description(messages.READING_REPLY).parse(b"\0\0\0\0\0")
