"""What a capture says: interval records by meter, the profile images read, who answered, and every byte refused.

A record belongs to the meter that identified itself on the same address last before it (or first after it) in the same
session. Where none did, the meter is called `unidentified-ADDRESS`, or what the caller names it.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hostlink import bulk, capture, columns
from hostlink.columns import Shape
from hostlink.tables import values
from protocol import frame, messages
from protocol.image import Image, ImageError
from protocol.records import TAG_SIZE

SHAPE = "shape"
FILE_REASONS = ("cut", "no entry", "entry crc", "entry too large")
KEPT_WINDOWS = 64 << 20
"""Bytes up to which a stream's frames are kept while who sent them is found out; a longer one is read twice."""
_LOOKED_AT = (messages.IDENTIFY, messages.BLOB_READ, messages.STATEMENTS)
_REPLY = frame.CONTROL_REPLY | frame.VERSION


class Piece(NamedTuple):
    """Records of one meter and shape, in the order they came. `following`: the meter's next sequence number then."""

    meter: str
    shape: Shape
    rows: NDArray[Any]
    following: int


class Refused(NamedTuple):
    """Bytes that are no frame, no entry or not what their head says: where in the file, how many, why, and the bytes."""

    offset: int
    size: int
    reason: str
    data: bytes


class Extract:
    """One capture or plain byte log, looked through once for identities and images; then `pieces()` gives its records."""

    def __init__(self, found: capture.Capture, meter: str | None = None) -> None:
        self.name = found.name
        self.meter = meter
        self.refused: list[Refused] = []
        self.images: dict[bytes, bytes] = {}
        self.statements: list[bytes] = []
        self.frames = 0
        self._capture = found
        self._stream = found.stream(capture.RX)
        self._sessions = _sessions(found)
        self._identities: dict[tuple[int, int], tuple[list[int], list[str]]] = defaultdict(lambda: ([], []))
        self._blobs: dict[int, bytearray] = {}
        self._parts: dict[tuple[int, int], bytearray] = {}
        self._windows: list[bulk.Frames] = []
        self._refuse_entries()
        keep = len(self._stream.data) <= KEPT_WINDOWS
        for window in bulk.frames(self._stream.data):
            self._look_through(window)
            if keep:
                self._windows.append(window)

    @property
    def meters(self) -> list[str]:
        """Serial numbers of all meters that identified themselves."""
        return sorted({serial for _, serials in self._identities.values() for serial in serials})

    def pieces(self) -> Iterator[Piece]:
        """All records, window by window, in the order they came."""
        for window in self._windows or bulk.frames(self._stream.data):
            found = columns.records(window)[0]
            for shape in sorted({records.shape for records in found}):
                yield from self._by_meter(window, [records for records in found if records.shape == shape])

    def _by_meter(self, window: bulk.Frames, found: list[columns.Records]) -> Iterator[Piece]:
        frames = np.concatenate([records.frame for records in found])
        counts = np.concatenate([np.full(len(records.frame), records.per_frame) for records in found])
        rows = np.concatenate([records.rows for records in found])
        following = np.concatenate([records.following for records in found])
        addresses = np.concatenate([records.address for records in found])
        if len(found) > 1:
            rows = rows[np.argsort(np.repeat(frames, counts), kind="stable")]
            order = np.argsort(frames)
            frames, counts, following, addresses = frames[order], counts[order], following[order], addresses[order]
        names = [self._name(*of) for of in zip(addresses.tolist(), window.offset[frames].tolist(), strict=True)]
        ends = [0, *np.cumsum(counts).tolist()]
        edges = [0, *(n for n in range(1, len(names)) if names[n] != names[n - 1]), len(names)]
        for first, last in pairwise(edges):
            piece = rows[ends[first] : ends[last]]
            yield Piece(names[first], found[0].shape, piece, int(following[first:last].max()))

    def _name(self, address: int, offset: int) -> str:
        if self.meter:
            return self.meter
        offsets, serials = self._identities.get((self._session(offset), address), ([], []))
        if not offsets:
            return f"unidentified-{address}"
        return serials[max(bisect_right(offsets, offset) - 1, 0)]

    def _session(self, offset: int) -> int:
        return bisect_right(self._sessions, offset)

    def _look_through(self, window: bulk.Frames) -> None:
        self.frames += len(window)
        data = self._stream.data
        for offset, size, reason in zip(*(part.tolist() for part in window.refused), strict=True):
            at = self._stream.file_offset(offset)
            self.refused.append(Refused(at, size, bulk.REASONS[reason], bytes(data[offset : offset + size])))
        for number in columns.records(window)[1].tolist():
            offset, size = int(window.offset[number]), int(window.encoded[number])
            at = self._stream.file_offset(offset)
            self.refused.append(Refused(at, size, SHAPE, bytes(data[offset : offset + size])))
        control, code = window.byte(1), window.byte(3)
        for number in np.flatnonzero((control == _REPLY) & np.isin(code, _LOOKED_AT)):
            at, size = int(window.at[number]), int(window.size[number])
            body = window.plain[at + frame.HEADER_SIZE : at + size].tobytes()
            if code[number] == messages.IDENTIFY and len(body) == messages.IDENTITY.size:
                self._identify(int(window.plain[at]), int(window.offset[number]), body)
            elif code[number] == messages.BLOB_READ and len(body) > messages.BLOB_READ_REPLY.size:
                self._take_blob(int(window.plain[at]), body)
            elif code[number] == messages.STATEMENTS and len(body) > messages.STATEMENTS_REPLY.size:
                self._take_statement(int(window.plain[at]), body)

    def _identify(self, address: int, offset: int, body: bytes) -> None:
        serial = values(messages.IDENTITY, body)["serial"].rstrip(b"\0").decode(errors="replace")
        offsets, serials = self._identities[self._session(offset), address]
        offsets.append(offset)
        serials.append(file_name(serial))

    def _take_blob(self, address: int, body: bytes) -> None:
        size, offset = messages.BLOB_READ_REPLY.unpack_from(body)
        blob = self._blobs.setdefault(address, bytearray())
        if offset == 0:
            blob.clear()
        if offset == len(blob):
            blob += body[messages.BLOB_READ_REPLY.size :]
        if len(blob) == size:
            add_image(self.images, bytes(blob))

    def _take_statement(self, address: int, body: bytes) -> None:
        sequence, _, _, size, offset = messages.STATEMENTS_REPLY.unpack_from(body)
        parts = self._parts.setdefault((address, sequence), bytearray())
        if offset == 0:
            parts.clear()
        if offset == len(parts):
            parts += body[messages.STATEMENTS_REPLY.size :]
        if len(parts) == size and bytes(parts) not in self.statements:
            self.statements.append(bytes(parts))

    def _refuse_entries(self) -> None:
        self.refused += [Refused(at, size, reason, b"") for at, size, reason in self._capture.refused]


def load(path: Path, meter: str | None = None) -> Extract:
    """What the capture or plain byte log in `path` says. Raises UsageError, DataError."""
    return Extract(capture.load(path), meter)


def add_image(images: dict[bytes, bytes], data: bytes) -> Image | None:
    """Put a profile image under the tag that records carry; None if `data` is no profile image."""
    try:
        image = Image(data)
    except ImageError:
        return None
    images[image.fingerprint[:TAG_SIZE]] = data
    return image


def file_name(serial: str) -> str:
    """A serial number as a name that a file system takes."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in serial).strip(".") or "_"


def _sessions(found: capture.Capture) -> list[int]:
    """Offsets in the received stream at which a session begins."""
    offset = 0
    begins = []
    for entry in found.entries:
        if entry.kind == capture.OPEN:
            begins.append(offset)
        elif entry.kind == capture.RX:
            offset += len(entry.data)
    return begins
