"""Every ready profile on a 32-bit MicroPython: the bits of integer replay, and exact rationals within the certificate."""

import random
from fractions import Fraction

import pytest

from hostlink.profile import ready
from hostlink.profile.certificate import bounds, register_name
from hostlink.profile.compiler import compile_profile
from hostlink.replay import Replay
from protocol import registers as r
from testbench.emulators.mps2 import Mps2
from testbench.reference import Exact
from testbench.rigs.mps2 import Mps2Rig

pytestmark = pytest.mark.pico

START = 1_672_531_200 + 86400
INTERVALS = 96


@pytest.mark.parametrize("name", ready.names())
def test_a_ready_profile_on_32_bits(mps2: Mps2, name: str) -> None:
    made = compile_profile(ready.load(name))[-1]
    source = random.Random(name)
    conditions = list(made.profile.conditions.values())
    states = [
        [None if source.random() < 0.05 else source.randrange(k.low - k.low // 20, k.high + 1000) for k in conditions]
        for _ in range(12)
    ]
    model, exact = Replay(made.image), Exact(made)
    with Mps2Rig(made.data, time=START, board=mps2) as rig:
        for n in range(INTERVALS):
            model.begin(START + 900 * n)
            exact.begin(START + 900 * n)
            state = source.choice(states)
            by_source: list[int | None] = [None] * 8
            for k, value in zip(conditions, state, strict=True):
                if k.quantity != r.INTENSITY:
                    rig.condition(k.source, value)
                    by_source[k.source] = value
            counts = [source.randrange(limit + 1) for limit in made.limits]
            for channel, count in enumerate(counts):
                rig.pulses(channel, count)
            model.step(counts, by_source)
            exact.step(counts, state)
            rig.advance(900_000)
        rig.settle()
        indices, registers, _ = rig.state()
    assert indices == model.indices
    assert registers == model.registers
    for n, (a, b) in bounds(made).items():
        difference = abs(Fraction(registers[n], 1 << r.FRACTION_BITS) - exact.registers[n])
        assert difference <= a + b * exact.registers[n], register_name(made, n)
