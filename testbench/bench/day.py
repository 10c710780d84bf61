"""The work of days on a 32-bit meter with keys, its clock driven fast, and what the heap then holds.

The linked application runs on the emulated Cortex-M3 from its image, as on a Pico from `make image`: the same objects of the same
size on the same heap, a 1 MiB flash beside it. A day is 288 samples that count, 96 interval records with their commits and erases,
a readout and a challenge for a session every quarter of an hour, and a signed statement; the first makes the trees of the key.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hostlink.flash.compile import PACKAGES, lay_out
from hostlink.flash.linker import link
from protocol import frame, messages, session
from testbench.emulators.mps2 import Mps2
from testbench.images import mps2_image
from testbench.micropython import device_root

_ENTRY = "firmware.boards.day"
_DEVICE = """
import gc
import uctypes
from firmware.assembly import assemble
from firmware.clock import Clock
from firmware.identity import identity
from firmware.selftest import SelfTest
from firmware.store.nor import Nor, RamNor
from protocol.image import Image


class Chip(RamNor):
    program = Nor.program

    def __init__(self):
        flash = uctypes.bytearray_at(0x21800000, 1 << 20)
        for n in range(len(flash)):
            flash[n] = 255
        super().__init__(len(flash), buffer=flash)


class Pulses:
    def __init__(self):
        self.count = 0

    def take(self, counts, at):
        counts[at] = self.count
        counts[at + 1] = 0
        return 0


class Day:
    def __init__(self, image, serial):
        self.ms = 0
        self.pulses = Pulses()
        self.clock = Clock(lambda: self.ms, lambda later, sooner: later - sooner)
        self.clock.set(1767225600)
        image = Image(image)
        drivers = [self.pulses for _ in image.channels]
        self.device = assemble(
            image, self.clock, drivers, (), identity(serial, "mps2", bytes(32)), 1, Chip(), random=bytes
        )
        self.device.server.add(SelfTest(self.device.meter, ()).table())
        self.usb = self.device.server.twin()

    def answer(self, request):
        said = b""
        for reply in self.device.server.feed(request):
            said = bytes(reply)
        return said

    def work(self, requests):
        for sample in range(288):
            self.ms += 300000
            self.pulses.count = 7 + sample % 37
            self.device.meter.sample()
            self.pulses.count = 0
            while self.device.step():
                pass
            if sample % 3 == 0:
                for request in requests:
                    self.answer(request)
        self.ms -= 86400000
        self.clock.rewind(86400000)
        return self.used()

    def used(self):
        gc.collect()
        return gc.mem_alloc()


def make(image, serial):
    return Day(image, serial)
"""
KEYS = {1: b"i" * 32, 2: b"l" * 32, 3: b"m" * 32}
SERIAL = "TN-1"


def device(folder: Path) -> Path:
    """The linked application with the bench in it, below `folder`."""
    source = folder / "source"
    for package in PACKAGES:
        shutil.copytree(device_root() / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "firmware/boards/day.py").write_text(
        _DEVICE.replace("self.clock.rewind(86400000)", "self.clock._last -= 86400000")
    )
    lay_out(link(source, _ENTRY, ["make", "work", "used", "answer"]), folder / "linked")
    return folder / "linked/firmware"


def heap(image: bytes, days: int) -> Iterator[int]:
    """Bytes that the heap holds, collected: at the start, with keys, then after each of `days` days. Raises TestbenchError."""
    with tempfile.TemporaryDirectory() as folder:
        elf = mps2_image([device(Path(folder))], build=True)
    with Mps2(image=elf) as board:
        board.run("import gc, sys\ngc.collect()\nbase = gc.mem_alloc()")
        board.run("class Nothing: pass\nsys.modules['os'] = Nothing\nfrom firmware.boards.day import make")
        board.run(f"day = make({image!r}, {SERIAL!r})")
        yield int(board.run("print(day.used())"))
        body = messages.KEYS_PROVISION_REQUEST.pack(*KEYS.values(), bytes(60), bytes(32))
        board.run(f"said = day.answer({frame.encode(1, 0, 1, messages.KEYS_PROVISION, body)!r})")
        asked = [frame.encode(1, 0, 1, message) for message in (messages.READING, messages.REGISTERS, messages.STATUS)]
        asked.append(frame.encode(1, 0, 1, messages.RECORDS, messages.RECORDS_REQUEST.pack(0, 8)))
        asked.append(
            frame.encode(
                1, 0, 1, messages.SESSION_OPEN, messages.SESSION_OPEN_REQUEST.pack(session.INSTALLER, bytes(16))
            )
        )
        board.run(f"requests = {asked!r}")
        yield int(board.run("print(day.used())"))
        for _ in range(days):
            yield int(board.run("print(day.work(requests))", timeout=600))
