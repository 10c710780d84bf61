"""The flash of a Raspberry Pi Pico beside MicroPython's image, by blocks of 4 KiB of `rp2.Flash()` (1,408 KiB from 640 KiB on).

    0, 1        a filesystem that holds nothing but boot.py (pico_boot.py): what the stock image mounts
    2 … 95      the filesystem that boot.py mounts instead: modules, board.json, profile.bin
    96 … 351    the store, raw: 1 MiB

A stock image formats what it cannot mount as a filesystem of all 352 blocks, so one of another size does not survive its first
boot. Here it finds one of that size, a file of at most 512 bytes and all in its first two blocks; nobody writes to it again.
An image that brings its own _boot.py (`make image`) mounts the same blocks, so a board may change from one to the other and
keeps its registers.
"""

import rp2
from micropython import const

from ..store.nor import Nor

BLOCK = const(4096)
PAGE = const(256)
STORE_FROM, STORE_TO = 96, 352
_ERASE = const(6)
_BLANK = b"\xff" * 256


class PicoNor(Nor):
    """The store's blocks. Erasing one takes 45 ms, programming a page 0.4 ms; meanwhile no interrupt is served."""

    def __init__(self):
        super().__init__((STORE_TO - STORE_FROM) * BLOCK, BLOCK, PAGE)
        self._blank = b""
        self._flash = rp2.Flash(start=STORE_FROM * BLOCK, len=self.size)
        self._memory = memoryview(self._flash)  # type: ignore[arg-type]
        self._page = bytearray(PAGE)
        self._view = memoryview(self._page)

    def read_into(self, at, buffer):
        """Copy flash from `at` on into the whole of `buffer`."""
        buffer[:] = self._memory[at : at + len(buffer)]

    def erase(self, sector):
        """Turn every bit of sector number `sector` into a one."""
        if not 0 <= sector < STORE_TO - STORE_FROM:
            raise ValueError(sector)
        self._flash.ioctl(_ERASE, sector)

    def _write(self, at, data):
        data = memoryview(data)
        done = 0
        while done < len(data):
            start = (at + done) % PAGE
            size = min(PAGE - start, len(data) - done)
            self._view[:] = _BLANK
            self._view[start : start + size] = data[done : done + size]
            page = (at + done) // PAGE * PAGE
            self._flash.writeblocks(page // BLOCK, self._page, page % BLOCK)
            done += size
