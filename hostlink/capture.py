"""Captures: every byte of a session with its direction and time, in a file that is only ever appended to.

    (ENTRY | data | crc32 u32) *

An entry stands by itself: its magic and its CRC (over ENTRY and data) find the next good one behind a torn write, captures can
be joined with `cat`, and a file cut anywhere keeps all whole entries. A session begins with an OPEN entry, whose data is JSON:
`port`, `baud`, `tonne`. A file without any magic is read as a plain log of bytes, of which no time and direction is known.
"""

import json
import mmap
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, NamedTuple
from zlib import crc32

from hostlink.errors import DataError, UsageError
from hostlink.transport import Tap
from protocol import messages
from protocol.deframer import Deframer
from protocol.layout import Layout

MAGIC = b"TnC\xf5"
VERSION = 1
ENTRY = Layout("magic/b4 version/u8 kind/u8 reserved/u16 size/u32 monotonic/u64/ns utc/u64/ns")
CRC = Layout("crc/u32")
MAX_DATA = 1 << 20

OPEN = 1
TX = 2
RX = 3
NOTE = 4
KINDS = {OPEN: "open", TX: "tx", RX: "rx", NOTE: "note"}
DIRECTIONS = {"tx": TX, "rx": RX}
WITHHELD = "bytes sent, withheld: they provision keys"
"""What a NOTE says, behind their number, in the place of bytes that are secret."""


class Entry(NamedTuple):
    """One entry: where its data begins in the file, what it is, when it came (ns; 0 in a plain log)."""

    offset: int
    kind: int
    monotonic: int
    utc: int
    data: memoryview | bytes


class Refusal(NamedTuple):
    """Bytes of a file that are no entry: where, how many, why."""

    offset: int
    size: int
    reason: str


@dataclass
class Capture:
    """The entries of one file, and what in it was none. `plain` if the file has no entries and is a log of bytes."""

    name: str
    entries: list[Entry] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    plain: bool = False

    def stream(self, kind: int) -> "Stream":
        """All bytes of a direction (TX or RX) one after the other; a plain log is all RX."""
        return Stream([entry for entry in self.entries if entry.kind == kind])

    @property
    def ports(self) -> list[str]:
        """The ports that the file's sessions were held on, in order."""
        return [json.loads(bytes(entry.data)).get("port", "") for entry in self.entries if entry.kind == OPEN]


class Stream:
    """One direction of a capture: `data`, and for an offset in it the entry that brought that byte."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries
        self._ends = list(accumulate(len(entry.data) for entry in entries))
        self.data = entries[0].data if len(entries) == 1 else b"".join(entry.data for entry in entries)

    def entry(self, offset: int) -> Entry:
        """The entry that brought the byte at `offset` of `data`."""
        return self._entries[self._number(offset)]

    def file_offset(self, offset: int) -> int:
        """Where in the file the byte at `offset` of `data` stands."""
        number = self._number(offset)
        entry = self._entries[number]
        return entry.offset + offset - (self._ends[number] - len(entry.data))

    def _number(self, offset: int) -> int:
        return min(bisect_right(self._ends, offset), len(self._entries) - 1)


class Writer:
    """Appends entries to a file; each is on its way to the disk when the call returns. Raises UsageError if it cannot."""

    def __init__(self, path: Path, port: str, baud: int = 0) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = path.open("ab", buffering=0)
        except OSError as error:
            raise self._unwritable(error) from None
        about = {"port": port, "baud": baud, "tonne": version("tonne")}
        self.write(OPEN, json.dumps(about).encode())

    def write(self, kind: int, data: bytes, monotonic: int | None = None, utc: int | None = None) -> None:
        """Append one entry; times in ns, by default now."""
        entry = pack(
            kind,
            data,
            time.monotonic_ns() if monotonic is None else monotonic,
            time.time_ns() if utc is None else utc,
        )
        try:
            written = self._file.write(entry)
        except OSError as error:
            raise self._unwritable(error) from None
        if written != len(entry):
            raise self._unwritable(OSError(f"only {written} of {len(entry)} bytes fitted"))

    def tap(self, direction: str, data: bytes) -> None:
        """Take what passed a transport: `hostlink.transport.Tap`. A frame that carries keys in the clear is only noted."""
        if direction == "tx" and _has_keys(data):
            self.write(NOTE, f"{len(data)} {WITHHELD}".encode())
        else:
            self.write(DIRECTIONS[direction], data)

    def close(self) -> None:
        """End the session's capture."""
        self._file.close()

    def _unwritable(self, error: OSError) -> UsageError:
        return UsageError(
            f"expected to append to the capture {self.path}: {error.strerror or error}; choose another place"
        )


def pack(kind: int, data: bytes, monotonic: int, utc: int) -> bytes:
    """One entry as bytes; times in ns."""
    body = ENTRY.pack(MAGIC, VERSION, kind, 0, len(data), monotonic, utc) + data
    return body + CRC.pack(crc32(body))


def _has_keys(sent: bytes) -> bool:
    return any(view[3] == messages.KEYS_PROVISION for view in Deframer().feed(sent))


@contextmanager
def recording(path: Path | None, port: str, baud: int = 0, tap: Tap | None = None) -> Iterator[Tap | None]:
    """A tap that appends to the capture `path` and then calls `tap`; only `tap` if there is no path."""
    if path is None:
        yield tap
        return
    writer = Writer(path, port, baud)

    def both(direction: str, data: bytes) -> None:
        writer.tap(direction, data)
        if tap:
            tap(direction, data)

    try:
        yield both
    finally:
        writer.close()


def load(path: Path) -> Capture:
    """The capture or plain byte log in `path`. Raises UsageError if it cannot be read, DataError for a newer version."""
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                return Capture(path.name)
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise UsageError(f"expected a capture in {path}: {error.strerror or error}") from None
    return parse(data, path.name)


def parse(data: "bytes | mmap.mmap", name: str = "capture") -> Capture:
    """The entries of `data`. Raises DataError if they are of a version that this host does not know."""
    capture = Capture(name)
    view = memoryview(data)
    at = 0
    while at < len(data):
        if data[at : at + 4] == MAGIC:
            end, reason = _entry_end(view, at, name)
            if not reason:
                _, _, kind, _, _, monotonic, utc = ENTRY.unpack_from(view, at)
                start = at + ENTRY.size
                capture.entries.append(Entry(start, kind, monotonic, utc, view[start : end - CRC.size]))
                at = end
                continue
        else:
            reason = "no entry"
        following = data.find(MAGIC, at + 1)
        following = len(data) if following < 0 else following
        capture.refused.append(Refusal(at, following - at, reason))
        at = following
    if data and not capture.entries and data.find(MAGIC) < 0:
        return Capture(name, [Entry(0, RX, 0, 0, view)], plain=True)
    return capture


def _entry_end(view: memoryview, at: int, name: str) -> tuple[int, str]:
    if at + ENTRY.size > len(view):
        return 0, "cut"
    _, form, _, _, size, _, _ = ENTRY.unpack_from(view, at)
    end = at + ENTRY.size + size + CRC.size
    if size > MAX_DATA:
        return 0, "entry too large"
    if end > len(view):
        return 0, "cut"
    if CRC.unpack_from(view, end - CRC.size)[0] != crc32(view[at : end - CRC.size]):
        return 0, "entry crc"
    if form != VERSION:
        raise DataError(f"{name}: expected a capture of version {VERSION}, got version {form}; update this host")
    return end, ""
