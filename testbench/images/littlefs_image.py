"""The Pico's filesystem as bytes of its flash: littlefs 2.0 as MicroPython 1.25 mounts it on `rp2.Flash()`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from littlefs import LittleFS, UserContext

START = 640 * 1024  # RPI_PICO: the last 1408 KiB of 2 MiB
BLOCK = 4096
BLOCKS = 352
_DISK_VERSION = 0x00020000  # what MicroPython 1.25's littlefs writes, and all later ones read


def build(files: Mapping[str, bytes], blocks: int = BLOCKS) -> bytes:
    """A filesystem of `files` by path (`main.py`, `firmware/clock.mpy`): BLOCK * blocks bytes.

    All BLOCKS of them are for flash offset START. A file of at most 512 bytes lies in its directory's own two
    blocks, as in MicroPython's filesystems.
    """
    context = UserContext(BLOCK * blocks)
    filesystem = LittleFS(
        context,
        block_size=BLOCK, block_count=blocks, read_size=32, prog_size=256, cache_size=1024,
        disk_version=_DISK_VERSION,
    )
    for path, data in files.items():
        parent = PurePosixPath(path).parent
        if str(parent) not in (".", "/"):
            filesystem.makedirs(str(parent), exist_ok=True)
        with filesystem.open(path, "wb") as file:
            file.write(data)
    filesystem.unmount()
    return bytes(context.buffer)


def read(image: bytes) -> dict[str, bytes]:
    """The files of a filesystem by path. Raises littlefs.LittleFSError if it cannot be mounted."""
    context = UserContext(buffer=bytearray(image))
    filesystem = LittleFS(context, mount=False, block_size=BLOCK, block_count=len(image) // BLOCK, prog_size=256)
    filesystem.mount()
    files = {}
    for folder, _, names in filesystem.walk("/"):
        for name in names:
            path = str(PurePosixPath(folder) / name)
            with filesystem.open(path, "rb") as file:
                files[path.lstrip("/")] = file.read()
    return files
