"""The sample path allocates nothing and is exact from any register: real MicroPython under `heap_lock`, 64 and 32 bits."""

from __future__ import annotations

import json
import random
from fractions import Fraction

import pytest

from hostlink import replay
from protocol.image import Image
from testbench import micropython
from testbench.emulators.mps2 import Mps2
from tests.firmware.test_kernel import PRESETS
from tests.firmware.test_terms import START, every_kind

COUNTS = (1, 0x3FFF, 0x3FFFFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
INPUTS = ((101_325, 28_815, 5_000), (None, 28_815, 5_000), (80_000, 40_000, 1_000_001), (999_999, 24_815, 0))

SAMPLE = """
import binascii, micropython
from firmware import meter as module, records
from firmware.clock import Clock
from protocol.image import Image

class Pulses:
    def take(self, counts, at):
        counts[at] = self.low
        counts[at + 1] = self.high
        self.low = self.high = 0
        return 0
    def give(self, count):
        self.low = count & 0xFFFF
        self.high = count >> 16

class Input:
    value = -1

def samples(image, presets, counts, inputs, start):
    now = [0]
    clock = Clock(lambda: now[0], lambda later, sooner: later - sooner)
    clock.set(start)
    image = Image(binascii.unhexlify(image))
    drivers = [Pulses() for _ in image.channels]
    sources = [Input() for _ in range(3)]
    for driver in drivers:
        driver.give(0)
    meter = module.Meter(image, clock, drivers, ('', '', 0, 1, 0, b''), sources, records.RamRing(0, 4))
    state = meter.integrator.state
    result = []
    for preset in presets:
        for count in counts:
            for values in inputs:
                for at in range(len(state)):
                    state[at] = (preset >> 16) if at & 1 else preset & 0xFFFF
                for source, value in zip(sources, values):
                    source.value = -1 if value is None else value
                for driver in drivers:
                    driver.give(count)
                now[0] += 1
                meter.status = 0
                micropython.heap_lock()
                try:
                    meter.sample()
                finally:
                    micropython.heap_unlock()
                result.append([meter.status, binascii.hexlify(meter.integrator.bytes).decode()])
    return result
"""


def expected(image: Image, preset: int, count: int, inputs: tuple) -> tuple[int, list[int], list[int]]:
    """Status, indices and accumulators that big integers give."""
    model = replay.Replay(image)
    model.begin(START)
    model.indices = [preset | preset << 32 for _ in image.channels]
    model.registers = [sum(preset << 32 * n for n in range(4)) for _ in image.registers]
    model.step([count] * len(image.channels), inputs)
    return model.status, model.indices, model.registers


def check(image: Image, results: list) -> None:
    cases = [(p, c, i) for p in PRESETS for c in COUNTS for i in INPUTS]
    assert len(results) == len(cases) == 60
    channels = len(image.channels)
    for (preset, count, inputs), (status, state) in zip(cases, results, strict=True):
        _, indices, registers = expected(image, preset, count, inputs)
        data = bytes.fromhex(state)
        got = [int.from_bytes(data[8 * n : 8 * n + 8], "little") for n in range(channels)]
        full = (1 << 64) - 1
        assert got == [min(index, full) for index in indices]
        at = 8 * channels
        for n, register in enumerate(registers):
            value = int.from_bytes(data[at + 16 * n : at + 16 * n + 16], "little")
            assert value == register, (hex(preset), hex(count), inputs, n)
        assert status >= 0


@pytest.mark.parametrize("seed", [1, 2])
def test_no_allocation_and_exact(seed: int) -> None:
    image = every_kind(seed)
    code = SAMPLE + "result = samples(given['image'], *given['rest'])"
    given = {"image": bytes(image.data).hex(), "rest": [PRESETS, COUNTS, INPUTS, START]}
    check(image, micropython.evaluate(code, given))


@pytest.mark.pico
def test_no_allocation_and_exact_on_32_bits(mps2: Mps2) -> None:
    image = every_kind(1)
    mps2.run(SAMPLE)
    given = (bytes(image.data).hex(), PRESETS, COUNTS, INPUTS, START)
    check(image, eval(mps2.run(f"print(samples(*{given!r}))")))


def test_the_lock_would_catch_an_allocation() -> None:
    """What proves nothing if it cannot fail: one list in the driver, and the lock refuses."""
    code = SAMPLE.replace("        counts[at] = self.low\n", "        counts[at] = [self.low][0]\n")
    code += """
try:
    samples(given['image'], *given['rest'])
    result = 'allocated unseen'
except MemoryError:
    result = 'refused'
"""
    given = {"image": bytes(every_kind(1).data).hex(), "rest": [PRESETS, COUNTS, INPUTS, START]}
    assert micropython.evaluate(code, given) == "refused"


ADJUSTED = """
import micropython
from firmware.calibration import Adjusted

class Input:
    value = 0

source = Input()
adjusted = Adjusted(source)
result = []
for value, gain, offset in given:
    source.value = value
    adjusted.calibrate(gain, offset)
    micropython.heap_lock()
    try:
        found = adjusted.value
    finally:
        micropython.heap_unlock()
    result.append(found)
"""


def adjustments() -> list[tuple[int, int, int]]:
    chosen = random.Random(5)
    extremes = [
        (v, g, o) for v in (-1, 0, 1, 999, 4_999_999) for g in (-200_000, -1, 0, 200_000) for o in (-10_000, 0, 10_000)
    ]
    return extremes + [
        (chosen.randrange(5_000_000), chosen.randint(-200_000, 200_000), chosen.randint(-10_000, 10_000))
        for _ in range(300)
    ]


def check_adjusted(found: list[int]) -> None:
    for (value, gain, offset), got in zip(adjustments(), found, strict=True):
        exact = value + Fraction(value * gain, 1_000_000) + offset
        if value < 0:
            assert got == -1
        else:
            assert abs(got - max(exact, 0)) <= Fraction(501, 1000) and got >= 0, (value, gain, offset)


def test_an_adjusted_input_is_exact_and_allocates_nothing() -> None:
    check_adjusted(micropython.evaluate(ADJUSTED, adjustments()))


@pytest.mark.pico
def test_an_adjusted_input_is_exact_and_allocates_nothing_on_32_bits(mps2: Mps2) -> None:
    code = ADJUSTED.replace("in given:", f"in {adjustments()!r}:") + "print(result)"
    check_adjusted(json.loads(mps2.run(code)))
