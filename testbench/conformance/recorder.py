"""Keeps every byte of a run, item by item, in a capture (`hostlink.capture`), so that the verdicts can be made again from it.

A NOTE entry with an item's name begins what passed in that item; one that begins with READING is what the bench's reference
measured, one that ends with WITHHELD stands for a frame with keys. Where an item was begun twice, the last time counts.
"""

import hashlib
from pathlib import Path

from hostlink import capture
from testbench.conformance import line
from testbench.conformance.line import Script
from testbench.conformance.section import PlanError

CAPTURE = "capture.bin"
READING = "reference "
DIRECTIONS = {capture.TX: "tx", capture.RX: "rx"}


class Recorder:
    """`tap` for lines; what passes after `begin(item)` is the item's. Raises UsageError if the disk does not take it."""

    def __init__(self, folder: Path, port: str) -> None:
        self._writer = capture.Writer(folder / CAPTURE, port)
        self.tap = self._writer.tap
        self.item = ""

    def begin(self, item: str) -> None:
        """From here on bytes belong to `item`."""
        self.item = item
        self._writer.write(capture.NOTE, item.encode())

    def reading(self, amount: str) -> None:
        """What the reference measured, at this place of the item."""
        self._writer.write(capture.NOTE, (READING + amount).encode())

    def digest(self) -> str:
        """SHA-256 of the capture as it stands."""
        return file_digest(self._writer.path)

    def close(self) -> None:
        """The run is over."""
        self._writer.close()


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def scripts(path: Path) -> dict[str, Script]:
    """What passed in each item of a run's capture. Raises PlanError for a capture of something else."""
    found: dict[str, list[tuple[str, bytes]]] = {}
    script: list[tuple[str, bytes]] = []
    loaded = capture.load(path)
    for entry in loaded.entries:
        if entry.kind == capture.NOTE:
            note = bytes(entry.data).decode()
            if note.startswith(READING):
                script.append((line.READING, note.removeprefix(READING).encode()))
            elif note.endswith(capture.WITHHELD):
                script.append((line.WITHHELD, note.partition(" ")[0].encode()))
            else:
                script = found[note] = []
        elif entry.kind in DIRECTIONS:
            script.append((DIRECTIONS[entry.kind], bytes(entry.data)))
    if loaded.refused:
        first = loaded.refused[0]
        raise PlanError(f"{path}: {first.size} bytes at {first.offset} are damaged ({first.reason}); it proves nothing")
    if not found:
        raise PlanError(f"{path}: expected the capture of a conformance run, it has no items")
    return {name: Script(entries) for name, entries in found.items()}
