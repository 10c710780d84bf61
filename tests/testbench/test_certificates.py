"""Every ready profile near its highest rate for long: the device's registers against exact rationals, within the certificate."""

import random
from fractions import Fraction

import pytest

from hostlink.blobs import push
from hostlink.meter import connect
from hostlink.profile import ready
from hostlink.profile.certificate import bounds, register_name
from hostlink.profile.compiled import Compiled
from hostlink.profile.compiler import compile_profile
from hostlink.profile.units import magnitude, quantity
from protocol import intensities, messages
from protocol import registers as r
from testbench.reference import Exact
from testbench.rigs.unix import UnixRig

START = 1_672_531_200 + 86400
"""2023-01-02T00:00:00Z: within every ready profile's validity."""


def simulate(made: Compiled, intervals: int, seed: int) -> tuple[Exact, list[Fraction]]:
    """Counts near the highest rate in every interval, conditions from a few hundred states, with exact registers beside it."""
    source = random.Random(seed)
    conditions = list(made.profile.conditions.values())
    live = [k for k in conditions if k.quantity != r.INTENSITY]
    states: list[tuple[int | None, ...]] = [
        tuple(
            None if source.random() < 0.02 else source.randrange(max(k.low - k.low // 20, 0), k.high + k.high // 20)
            for k in live
        )
        for _ in range(60)
    ]
    exact = Exact(made)
    interval = made.profile.interval
    start = START - START % interval
    dated = [k for k in conditions if k.quantity == r.INTENSITY]
    with UnixRig(made.data, time=start - interval) as rig, connect(rig.url, address=1) as meter:
        if dated:
            n = conditions.index(dated[0])
            hours = [source.randrange(dated[0].high) for _ in range(1900)]
            table = intensities.pack(n, dated[0].unit, dated[0].exponent, start, 3600, hours)
            push(meter, messages.INTENSITIES, table)
        rig.advance(1000 * interval)
        for n in range(intervals):
            now = start + n * interval
            hour = (now - start) // 3600
            exact.begin(now, {k.name: hours[hour] if hour < len(hours) else None for k in dated})
            state: tuple[int | None, ...] = source.choice(states) if states[0] else ()
            for k, value in zip(live, state, strict=True):
                rig.condition(k.source, value)
            counts = [source.randrange(limit // 2, limit + 1) for limit in made.limits]
            for channel, count in enumerate(counts):
                rig.pulses(channel, count)
            by_condition = dict(zip((k.name for k in live), state, strict=True))
            exact.step(counts, [by_condition.get(k.name) for k in conditions])
            rig.advance(1000 * interval)
        rig.settle()
        now_ = meter.registers()
    channels = len(made.image.channels)
    return exact, [Fraction(x.amount.raw, 1 << 64) for x in now_.registers[channels:]]


def check(made: Compiled, exact: Exact, measured: list[Fraction]) -> None:
    for n, (a, b) in bounds(made).items():
        assert abs(measured[n] - exact.registers[n]) <= a + b * exact.registers[n], register_name(made, n)


@pytest.mark.parametrize("name", ready.names())
def test_within_the_certificate_over_a_week_at_the_highest_rate(name: str) -> None:
    made = compile_profile(ready.load(name))[-1]
    check(made, *simulate(made, 96 * 7, 1))


@pytest.mark.parametrize(
    "name", [name if name == "natural-gas-pt" else pytest.param(name, marks=pytest.mark.slow) for name in ready.names()]
)
def test_within_the_certificate_over_twenty_years(name: str) -> None:
    """The whole declared life: beyond it a certificate says nothing."""
    made = compile_profile(ready.load(name))[-1]
    assert made.profile.life >= magnitude(quantity("20 years"), "s")
    check(made, *simulate(made, int(made.profile.life // made.profile.interval), 2))
