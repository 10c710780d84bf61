"""Interval records as files of columns: Parquet, CSV or JSON lines, a file a meter and month.

A shard is `meter=SERIAL/month=YYYY-MM/NAME-CxKxR.parquet`: NAME tells the input, `CxKxR` the shape (channels, conditions,
registers). The schema's metadata carry its version, the shape, and each column's unit. An accumulator is two columns of u64,
`registerN_whole` and `registerN_fraction` of 2**-64: no engine's sum of them is exact but DuckDB's HUGEINT and `hostlink.exact`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hostlink.columns import Shape, columns, record_dtype
from hostlink.errors import DataError
from protocol import registers
from protocol.image import Image

SCHEMA = 1
FORMATS = ("parquet", "csv", "jsonl")
_VERSION_KEY, _SHAPE_KEY, _METER_KEY = b"tonne.schema", b"tonne.shape", b"tonne.meter"
_RAW = {"profile": pa.binary(8), "link": pa.binary(4)}
_DICTIONARY = ("duration", "status", "profile")
_RANDOM = ("link",)


def schema(shape: Shape, meter: str, image: Image | None = None) -> pa.Schema:
    """The columns of records of this shape; with the profile's image also the units of its channels and registers."""
    fields = []
    for name, column in columns(np.empty(0, record_dtype(shape))).items():
        kind = pa.timestamp("s", "UTC") if name == "start" else _RAW.get(name) or pa.from_numpy_dtype(column.dtype)
        fields.append(pa.field(name, kind, nullable=False, metadata=_about(name, image)))
    about = {_VERSION_KEY: str(SCHEMA), _SHAPE_KEY: "x".join(map(str, shape)), _METER_KEY: meter}
    return pa.schema(fields, metadata=about)


def table(rows: NDArray[Any], wanted: pa.Schema) -> pa.Table:
    """Records as a table of `schema(...)`."""
    found = columns(rows)
    return pa.Table.from_arrays([_array(found[f.name], f.type) for f in wanted], schema=wanted)


def records(found: pa.Table) -> tuple[Shape, NDArray[Any]]:
    """The records of a table, byte for byte as the meter wrote them. Raises DataError for another schema version."""
    shape = check_schema(found.schema)
    rows = np.empty(len(found), record_dtype(shape))
    for name, column in columns(rows).items():
        if name not in found.column_names:
            raise DataError(f"expected the column {name} in a shard of shape {shape}, there is none")
        values = _plain(found.column(name).combine_chunks(), column.dtype)
        field, _, half = name.partition("_")
        if half:
            rows[field][half] = values
        elif rows.dtype[field].kind == "V":
            rows[field] = values.view(rows.dtype[field])
        else:
            rows[field] = values
    return shape, rows


def check_schema(found: pa.Schema) -> Shape:
    """The shape that a shard's schema names. Raises DataError if it is none of ours, or of another version."""
    about = found.metadata or {}
    version = about.get(_VERSION_KEY)
    if version != str(SCHEMA).encode():
        came = f"version {version.decode(errors='replace')}" if version else "none"
        raise DataError(
            f"expected interval records of schema version {SCHEMA}, got {came}; decode the captures with this host"
        )
    channels, conditions, count = (int(part) for part in about[_SHAPE_KEY].split(b"x"))
    return channels, conditions, count


def meter(found: pa.Schema) -> str:
    """The meter that a shard's schema names."""
    return (found.metadata or {}).get(_METER_KEY, b"").decode()


def write_text(found: pa.Table, path: Path, form: str, more: bool = False) -> None:
    """A shard in `form` csv or jsonl; `more` rows behind those that are there. Always the same bytes for the same table."""
    readable = _readable(found)
    with path.open("ab" if more else "wb") as file:
        if form == "csv":
            pyarrow.csv.write_csv(readable, file, pyarrow.csv.WriteOptions(include_header=not more))
        else:
            file.writelines(json.dumps(row).encode() + b"\n" for row in readable.to_pylist())


def parquet_writer(path: Path, wanted: pa.Schema) -> pq.ParquetWriter:
    """A Parquet file with an encoding for each column: deltas for what counts up, raw bytes for what is random."""
    raw = [name for name in wanted.names if name in _RANDOM]
    encodings = {
        name: "PLAIN" if name in raw else "DELTA_BINARY_PACKED"
        for name in wanted.names
        if name not in _dictionary(wanted)
    }
    return pq.ParquetWriter(
        path,
        wanted,
        compression="zstd",
        compression_level=9,
        use_dictionary=_dictionary(wanted),
        column_encoding=encodings,
        write_statistics=True,
        version="2.6",
    )


def _dictionary(wanted: pa.Schema) -> list[str]:
    return [
        n
        for n in wanted.names
        if n in _DICTIONARY or n.endswith("_fraction") or n.startswith(("increment", "low", "high"))
    ]


def _array(column: NDArray[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_fixed_size_binary(kind):
        return pa.Array.from_buffers(kind, len(column), [None, pa.py_buffer(np.ascontiguousarray(column))])
    if pa.types.is_timestamp(kind):
        return pa.array(column.astype("i8")).cast(kind)
    return pa.array(column, kind)


def _plain(found: pa.Array, kind: np.dtype) -> NDArray[Any]:
    if pa.types.is_dictionary(found.type):
        found = found.dictionary_decode()
    if pa.types.is_fixed_size_binary(found.type):
        whole = np.frombuffer(found.buffers()[1], "u1")
        width = found.type.byte_width
        return whole[found.offset * width : (found.offset + len(found)) * width].view(kind)
    if pa.types.is_timestamp(found.type):
        found = found.cast(pa.timestamp("s", "UTC")).cast(pa.int64())
    return found.to_numpy(zero_copy_only=False).astype(kind)


def _readable(found: pa.Table) -> pa.Table:
    """For people: raw bytes as hexadecimal text, times as text in ISO 8601."""
    arrays = []
    for column in found.columns:
        if pa.types.is_fixed_size_binary(column.type):
            column = pa.array([value.hex() for value in column.to_pylist()], pa.string())
        elif pa.types.is_timestamp(column.type):
            column = pa.array([f"{value:%Y-%m-%dT%H:%M:%SZ}" for value in column.to_pylist()], pa.string())
        arrays.append(column)
    return pa.table(arrays, names=found.column_names)


def _about(name: str, image: Image | None) -> dict[str, str]:
    fixed = {"sequence": "1", "start": "s", "duration": "s", "status": "1"}
    if name in fixed:
        return {"unit": fixed[name]}
    if name.startswith(("increment", "index")):
        channel = int(name.removeprefix("increment").removeprefix("index"))
        if image is None or channel >= len(image.channels):
            return {"unit": "quantum"}
        quantity, direction, code, exponent, mantissa, _ = image.channels[channel]
        words = f"{mantissa}e{exponent} {registers.UNITS.get(code, code)}"
        return {"unit": words, **_names(quantity, direction)}
    if name.startswith("register"):
        number, _, half = name.removeprefix("register").partition("_")
        unit = "unit of the profile"
        names = {}
        if image is not None and int(number) < len(image.registers):
            quantity, direction, code, exponent = image.registers[int(number)]
            unit = f"1e{exponent} {registers.UNITS.get(code, code)}"
            names = _names(quantity, direction)
        return {"unit": unit if half == "whole" else f"2^-64 × {unit}", **names}
    if name.startswith(("low", "high")) and image is not None:
        condition = int(name.removeprefix("low").removeprefix("high"))
        if condition < len(image.conditions):
            quantity, code, exponent, *_ = image.conditions[condition]
            return {"unit": f"1e{exponent} {registers.UNITS.get(code, code)}", **_names(quantity, 0)}
    return {}


def _names(quantity: int, direction: int) -> dict[str, str]:
    in_error = " in error" if direction & registers.IN_ERROR else ""
    word = registers.DIRECTIONS.get(direction & ~registers.IN_ERROR, str(direction)) + in_error
    return {"quantity": registers.QUANTITIES.get(quantity, str(quantity)), "direction": word}


def months(rows: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """`rows` by the month (UTC) their intervals begin in, each in the order given."""
    month = rows["start"].astype("datetime64[s]").astype("datetime64[M]")
    for each in np.unique(month):
        yield str(each), rows[month == each]
