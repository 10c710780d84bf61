"""Keeps every byte of a run, item by item, so that the verdicts can be made again from them."""

from pathlib import Path


class Recorder:
    """`tap` for lines; what passes between `begin(item)` and `end()` is the item's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def tap(self, direction: str, data: bytes) -> None:
        """Take `data` down."""

    def begin(self, item: str) -> None:
        """From here on bytes belong to `item`."""

    def end(self) -> None:
        """The item is over."""

    def close(self) -> None:
        """The run is over."""
