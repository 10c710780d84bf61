"""The heap after the work of a day, and after that of ten more: on 32 bits, with the Pico's heap size, the clock driven fast."""

from __future__ import annotations

import pytest

from hostlink.profile.image import Channel, ProfileImage, Register, Term
from protocol import frame, messages
from protocol import registers as r
from testbench.emulators.mps2 import Mps2

pytestmark = pytest.mark.pico

DAY = """
import gc, sys, uctypes
class Random:
    @staticmethod
    def urandom(n): return bytes(n)
sys.modules['os'] = Random
from firmware.assembly import assemble
from firmware.clock import Clock
from firmware.identity import identity
from firmware.store.nor import Nor, RamNor
from protocol.image import Image
class Time:
    now = 0
    def ms(self): return self.now
class Pulses:
    count = 0
    def take(self, counts, at):
        counts[at] = self.count
        counts[at + 1] = 0
        return 0
time = Time()
clock = Clock(time.ms, lambda later, sooner: later - sooner)
clock.set(1767225600)
pulses = Pulses()
class Chip(RamNor):
    program = Nor.program  # without the check for bugs, which no board with a chip has
flash = uctypes.bytearray_at(0x21800000, 1 << 20)
for n in range(1 << 20): flash[n] = 255
nor = Chip(1 << 20, buffer=flash)
device = assemble(Image({image!r}), clock, (pulses,), (), identity('TN-1', 'mps2', bytes(32)), 1, nor)
request = {request!r}
def day():
    for minute in range(1440):
        time.now += 60000
        pulses.count = minute % 37
        device.meter.sample()
        pulses.count = 0
        while device.step():
            pass
        if minute % 15 == 0:
            for reply in device.server.feed(request):
                pass
    time.now -= 86400000
    clock._last -= 86400000
    gc.collect()
    return gc.mem_alloc()
"""


def test_a_day_leaves_the_heap_as_it_is_and_so_do_ten_more(mps2: Mps2) -> None:
    channels = [Channel(r.VOLUME, r.CUBIC_METRE, -2, 1, 100_000)]
    registers = [Register(r.CO2, r.EMITTED, r.GRAM, -3)]
    image = ProfileImage("day", channels, registers, [Term(0, 0, 92_873_912_345_678, 1)]).pack()
    mps2.run(DAY.format(image=image, request=frame.encode(1, 0, 1, messages.REGISTERS)))
    mps2.run("day()", timeout=300)
    first = int(mps2.run("print(day())", timeout=300))
    for _ in range(10):
        last = int(mps2.run("print(day())", timeout=300))
    assert last <= first + 64, "what a day's work leaves on the heap"
