"""The meter on a 32-bit MicroPython, its heap locked while it samples: the same bits as replay in big integers.

TONNE_STEPS sets the steps of the long run; `make million` runs a million.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence

import pytest

from hostlink import replay
from hostlink.profile.image import Channel, Condition, ProfileImage, Register, Term
from protocol import image as layout
from protocol import registers as r
from protocol import status as flags
from protocol.image import Image
from testbench.emulators.mps2 import Mps2
from testbench.errors import DeviceError
from testbench.rigs.mps2 import Mps2Rig
from tests.firmware.test_terms import START, every_kind

pytestmark = pytest.mark.pico

STEPS = int(os.environ.get("TONNE_STEPS", "4000"))
BATCH = 5000
EDGES = [0, 1, 2, 0xFFFF, 0x10000, 0x10001, 0x3FFFFFFF, 0x40000000, 0x7FFFFFFF, 0x80000000, 0xFFFF0000, 0xFFFFFFFF]
RAW = ((70_000, 1_100_000), (24_000, 33_500), (0, 1_050_000))


class Steps:
    """Random steps through a rig and the replay at once."""

    def __init__(self, rig: Mps2Rig, image: Image, seed: int) -> None:
        self.rig = rig
        self.model = replay.Replay(image)
        self.model.begin(START)
        self.now = 0
        self._random = random.Random(seed)
        self._inputs: list[int | None] = [None] * 3
        self._in_interval = [0] * len(image.channels)
        self._full = 0

    def run(self, steps: int) -> None:
        """Give the rig `steps` and settle it."""
        choose = self._random
        for _ in range(steps):
            for n, (low, high) in enumerate(RAW):
                if choose.random() < 0.3:
                    self._inputs[n] = None if choose.random() < 0.02 else choose.randrange(low, high)
                    self.rig.condition(n, self._inputs[n])
            counts = [self._count() for _ in self.model.indices]
            for n, count in enumerate(counts):
                if count:
                    self.rig.pulses(n, count)
            self.step(counts, self._inputs)
            passed = choose.choice((1000, 7000, 90_000))
            self.rig.advance(passed)
            self.now += passed
            if self.now // 900_000 > (self.now - passed) // 900_000:
                self.model.begin(START + self.now // 900_000 * 900)
                self._in_interval = [0] * len(counts)
        self.rig.settle()

    def step(self, counts: list[int], inputs: Sequence[int | None]) -> None:
        """Let the replay count; an interval's increment has 32 bits, and a register once full is said so for good."""
        self.model.step(counts, inputs)
        self._in_interval = [before + count for before, count in zip(self._in_interval, counts, strict=True)]
        self._full |= self.model.status & flags.SATURATED
        if max(self._in_interval) >= 1 << 32:
            self._full = flags.SATURATED

    def _count(self) -> int:
        if self._random.random() < 0.3:
            return 0
        if self._random.random() < 0.02:
            return self._random.choice(EDGES)
        return self._random.randrange(1 << self._random.randrange(1, 28))

    def check(self) -> None:
        """The meter has the bits of the replay."""
        indices, registers, status = self.rig.state()
        assert indices == [min(index, (1 << 64) - 1) for index in self.model.indices]
        assert registers == self.model.registers
        assert status & ~flags.RATE_HIGH == self.model.status | self._full


def test_equals_replay_bit_for_bit(mps2: Mps2) -> None:
    image = every_kind(3)
    with Mps2Rig(image.data, time=START, board=mps2) as rig:
        steps = Steps(rig, image, 3)
        for done in range(0, STEPS, BATCH):
            steps.run(min(BATCH, STEPS - done))
            steps.check()


@pytest.mark.parametrize("word", [0x3FFFFFFF, 0x7FFFFFFF, 0xFFFFFFFF])
def test_full_and_nearly_full_registers_allocate_nothing_and_stay_exact(mps2: Mps2, word: int) -> None:
    image = every_kind(4)
    with Mps2Rig(image.data, time=START, board=mps2) as rig:
        rig.preset(word)
        steps = Steps(rig, image, word)
        steps.model.indices = [word * 0x1_00000001] * 2
        steps.model.registers = [word * 0x1_00000001_00000001_00000001] * 8
        for _ in range(4):
            steps.run(60)
            steps.check()


def test_an_allocation_while_sampling_is_found(mps2: Mps2) -> None:
    image = Image(every_kind(5).data)
    with Mps2Rig(image.data, time=START, board=mps2) as rig:
        rig.run("grow = lambda counts, at: bytearray(16)\nbench.inputs[0].take = grow")
        with pytest.raises(DeviceError, match="MemoryError"):
            rig.settle()


def test_every_constant_a_profile_may_have_finds_its_row(mps2: Mps2) -> None:
    terms = [Term(0, 0, (1 << 64) - 1, shift) for shift in range(2)]
    terms += [Term(0, 1, (1 << bits) - 1, 0) for bits in (0, 1, 16, 17, 32, 33, 48, 49, 64)]
    terms += [Term(0, 1, (1 << 64 + bits - 30) - 1, 1, (0,)) for bits in (0, 1, 16)]
    registers = [Register(r.CO2, r.EMITTED, r.GRAM, -3), Register(r.CO2, r.CREDITED, r.GRAM, -3)]
    condition = Condition(r.PRESSURE, r.PASCAL, 0, 0, 1, layout.SMALL - 1, 1)
    channel = Channel(r.VOLUME, r.CUBIC_METRE, -2, 1, 2**31)
    data = ProfileImage("sizes", [channel], registers, terms, [condition]).pack()
    with Mps2Rig(data, time=START, board=mps2) as rig:
        steps = Steps(rig, Image(data), 6)
        for count in EDGES:
            inputs = [layout.SMALL - 1 - count % 3]
            rig.condition(0, inputs[0])
            rig.pulses(0, count)
            steps.step([count], inputs)
            rig.settle()
            steps.check()
