"""Compiled packages (`hostlink.flash.compile`) as a ROMFS image, MicroPython's read-only filesystem."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from mpremote.romfs import VfsRomWriter


def romfs(files: Mapping[str, bytes]) -> bytes:
    """A ROMFS image (MicroPython's read-only filesystem) of `files` by path."""
    tree: dict[str, list[tuple[str, bytes]]] = {}
    for path, data in sorted(files.items()):
        folder = PurePosixPath(path).parent
        while folder != PurePosixPath("."):
            tree.setdefault(str(folder), [])
            folder = folder.parent
        tree.setdefault(str(PurePosixPath(path).parent), []).append((PurePosixPath(path).name, data))
    writer = VfsRomWriter()
    _write_folder(writer, tree, PurePosixPath("."))
    return bytes(writer.finalise())


def _write_folder(writer: VfsRomWriter, tree: Mapping[str, list[tuple[str, bytes]]], folder: PurePosixPath) -> None:
    for name, data in tree.get(str(folder), []):
        writer.mkfile(name, data)
    for path in map(PurePosixPath, tree):
        if path.parent == folder and path != folder:
            writer.opendir(path.name)
            _write_folder(writer, tree, path)
            writer.closedir()
