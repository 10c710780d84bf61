"""`tonne decode`: each input once, to shards that are whole or not there.

What was done is written last, to `_inputs/NAME.json`, NAME being the input's SHA-256: the shards, how many records, and every
run of bytes refused with offset and reason. Profile images that were read are in `_profiles`. A shard comes to its name by a
rename. So a killed run leaves temporary files that the next one overwrites, and an input with its JSON is not read again.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hostlink import extract, shards
from hostlink.columns import Shape
from hostlink.errors import UsageError
from protocol.image import Image
from protocol.records import TAG_SIZE

DONE = "_inputs"
PROFILES = "_profiles"
TEMPORARY = ".part"
SCHEMA = 1
Key = tuple[str, str, Shape]


class Done(NamedTuple):
    """What came of one input: records written, runs of bytes refused, and whether that was so before."""

    records: int
    refused: int
    was_done: bool


def inputs(paths: Iterable[Path]) -> list[Path]:
    """The files named, and those in the folders named, in order. Raises UsageError for a path that does not exist."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(each for each in path.rglob("*") if each.is_file() and not each.name.startswith("."))
        elif path.exists():
            found.append(path)
        else:
            raise UsageError(f"expected a capture in {path}: there is no such file")
    return found


def decode_file(path: Path, out: Path, form: str = "parquet", meter: str | None = None, memory: int = 1 << 30) -> Done:
    """Decode one capture into `out`, unless that was done. Raises UsageError if it cannot be read or written, DataError."""
    digest = file_digest(path)
    ledger = out / DONE / f"{digest[:32]}.{form}.json"
    if ledger.exists():
        was = json.loads(ledger.read_text())
        return Done(was["records"], len(was["refused"]), True)
    source = extract.load(path, meter)
    try:
        written = _Shards(out, digest[:16], form, source, memory)
        for piece in source.pieces():
            written.take(piece)
        names = written.finish()
        for tag, image in source.images.items():
            write_whole(out / PROFILES / f"{tag.hex()}.bin", image)
        about = {
            "schema": SCHEMA,
            "input": path.name,
            "sha256": digest,
            "meters": source.meters,
            "frames": source.frames,
            "records": written.records,
            "shards": names,
            "refused": [{**each._asdict(), "data": each.data.hex()} for each in source.refused],
        }
        write_whole(ledger, (json.dumps(about, indent=1) + "\n").encode())
    except OSError as error:
        raise UsageError(
            f"expected to write to {out}: {error.strerror or error}; what is whole stays, start again"
        ) from None
    return Done(written.records, len(source.refused), False)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal. Raises UsageError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"expected to read {path}: {error.strerror or error}") from None


def write_whole(path: Path, data: bytes) -> None:
    """A file that has all of `data` or does not exist."""
    part = path.with_name(path.name + TEMPORARY)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise


class _Shards:
    """The shards of one input. Rows wait until their shard is large enough for a row group, or all rows for `memory` bytes."""

    GROUP = 1 << 17
    """Rows of a group in Parquet."""

    def __init__(self, out: Path, name: str, form: str, source: extract.Extract, memory: int) -> None:
        self._out = out
        self._name = name
        self._form = form
        self._images = source.images
        self._limit = memory
        self._rows: dict[Key, list[NDArray[Any]]] = {}
        self._writers: dict[Key, Any] = {}
        self._held = 0
        self.records = 0

    def take(self, piece: extract.Piece) -> None:
        """Add the records of a piece to their shards."""
        self.records += len(piece.rows)
        for month, rows in shards.months(piece.rows):
            key = (piece.meter, month, piece.shape)
            waiting = self._rows.setdefault(key, [])
            waiting.append(rows)
            self._held += rows.nbytes
            if self._form == "parquet" and sum(map(len, waiting)) >= self.GROUP:
                self._write_group(key)
        while self._form == "parquet" and self._held > self._limit:
            self._write_group(max(self._rows, key=lambda k: (sum(r.nbytes for r in self._rows[k]), k)))

    def finish(self) -> list[str]:
        """Write what waits and give every shard its name; returns the names."""
        for key in [key for key, rows in self._rows.items() if rows]:
            self._write_group(key)
        for writer in self._writers.values():
            if writer is not None:
                writer.close()
        names = []
        for key in sorted(self._writers):
            path = self._path(key)
            path.with_name(path.name + TEMPORARY).replace(path)
            names.append(path.relative_to(self._out).as_posix())
        return names

    def _write_group(self, key: Key) -> None:
        rows = np.concatenate(self._rows.pop(key))
        self._held -= rows.nbytes
        part = self._path(key).with_name(self._path(key).name + TEMPORARY)
        part.parent.mkdir(parents=True, exist_ok=True)
        wanted = shards.schema(key[2], key[0], self._image(rows))
        if self._form != "parquet":
            shards.write_text(shards.table(rows, wanted), part, self._form, more=key in self._writers)
            self._writers[key] = None
            return
        if key not in self._writers:
            self._writers[key] = shards.parquet_writer(part, wanted)
        writer = self._writers[key]
        writer.write_table(shards.table(rows, writer.schema))

    def _image(self, rows: NDArray[Any]) -> Image | None:
        tags = np.unique(rows["profile"].view(f"V{TAG_SIZE}"))
        data = self._images.get(tags[0].tobytes()) if len(tags) == 1 else None
        return Image(data) if data else None

    def _path(self, key: Key) -> Path:
        meter, month, shape = key
        name = f"{self._name}-{'x'.join(map(str, shape))}.{self._form}"
        return self._out / f"meter={meter}" / f"month={month}" / name
