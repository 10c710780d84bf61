"""Current loops: scaling against exact rationals, calibration, NE 43's failures, flow integrated with every remainder."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.drivers.counter import MISSING
from firmware.drivers.current_loop import CurrentFlow, CurrentLoop, nominal
from protocol.status import COUNTER_JUMP
from testbench import micropython
from testbench.chips.current_loop import STEPS, Transmitter

POINTS = nominal(150_000)
POLL_MS = 100


class Converter:
    """A converter that reads `raw`."""

    raw = 0

    def read_u16(self) -> int:
        return self.raw << 4 | self.raw >> 8


def take(flow: CurrentFlow) -> tuple[int, int]:
    counts = [0, 0]
    flags = flow.take(counts, 0)
    return counts[0] | counts[1] << 16, flags


@settings(max_examples=300, deadline=None)
@given(
    raw=st.integers(0, STEPS - 1),
    low=st.integers(0, 1 << 20),
    span=st.integers(1, (1 << 30) - (1 << 20) - 1),
    first=st.tuples(st.integers(0, 9000), st.integers(0, 6000)),
    last=st.tuples(st.integers(20000, 32760), st.integers(18000, 24000)),
)
def test_a_reading_is_scaled_as_the_rationals_say(raw: int, low: int, span: int, first: tuple, last: tuple) -> None:
    """Two roundings down: of the current to 1 µA, of the value to 1."""
    converter = Converter()
    converter.raw = raw
    loop = CurrentLoop(converter, low, low + span, (first, last))
    loop.poll(POLL_MS)
    assert loop.reading == 8 * raw
    current = first[1] + (Fraction(loop.reading - first[0]) * (last[1] - first[1]) / (last[0] - first[0])).__floor__()
    value = low + (Fraction(current - 4000) * span / 16000).__floor__()
    assert loop.value == (max(value, 0) if 3600 < current < 21000 else MISSING)


@pytest.mark.parametrize("shunt_error", [-0.01, 0.0, 0.01])
def test_two_known_currents_take_out_shunt_reference_and_offset(shunt_error: float) -> None:
    transmitter = Transmitter(round(150_000 * (1 + shunt_error)), Fraction(3270), offset=9)
    points = []
    for microamperes in (4000, 20000):
        transmitter.microamperes = Fraction(microamperes)
        loop = CurrentLoop(transmitter, 0, 500_000, POINTS)
        loop.poll(POLL_MS)
        points.append((loop.reading, microamperes))
    loop = CurrentLoop(transmitter, 0, 500_000, tuple(points))
    for microamperes in range(4000, 20001, 37):
        transmitter.microamperes = Fraction(microamperes)
        loop.poll(POLL_MS)
        exact = Fraction(microamperes - 4000) * 500_000 / 16000
        assert abs(loop.value - exact) <= Fraction(500_000, 2900) + 40  # a step of the converter, a microampere and one


@pytest.mark.parametrize("fault", [0, 2000, 3590, 21010, 22000])
def test_a_failure_current_counts_after_four_seconds(fault: int) -> None:
    transmitter = Transmitter()
    transmitter.microamperes = Fraction(12000)
    loop = CurrentLoop(transmitter, 0, 16000, POINTS)
    loop.poll(POLL_MS)
    held = loop.value
    assert abs(held - 8000) <= 6
    transmitter.microamperes = Fraction(fault)
    for _ in range(39):
        loop.poll(POLL_MS)
        assert (loop.value, loop.healthy) == (held, True)
    loop.poll(POLL_MS)
    assert (loop.value, loop.healthy, loop.errors) == (MISSING, False, 1)
    for _ in range(100):
        loop.poll(POLL_MS)
    assert loop.errors == 1
    transmitter.microamperes = Fraction(12000)
    loop.poll(POLL_MS)
    assert (loop.value, loop.healthy) == (held, True)


def test_below_and_above_its_range_a_transmitter_still_measures() -> None:
    transmitter = Transmitter()
    loop = CurrentLoop(transmitter, 0, 16000, POINTS)
    for microamperes, value in ((3810, 0), (3990, 0), (20500, 16500)):
        transmitter.microamperes = Fraction(microamperes)
        loop.poll(POLL_MS)
        assert abs(loop.value - value) <= 6
    above = CurrentLoop(transmitter, 1000, 17000, POINTS)
    transmitter.microamperes = Fraction(3810)
    above.poll(POLL_MS)
    assert abs(above.value - 810) <= 6


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(3700, 20900), st.integers(1, 5000)), min_size=1, max_size=40))
def test_flow_is_integrated_with_every_remainder(steps: list[tuple[int, int]]) -> None:
    transmitter = Transmitter()
    loop = CurrentLoop(transmitter, 0, 200_000, POINTS)
    flow = CurrentFlow(loop, 200_000)
    exact = total = 0
    for microamperes, milliseconds in steps:
        transmitter.microamperes = Fraction(microamperes)
        flow.poll(milliseconds)
        exact += loop.value * milliseconds
        count, flags = take(flow)
        total += count
        assert flags == 0
    assert total == exact // 3_600_000


def test_a_failing_flow_counts_nothing_and_says_so() -> None:
    transmitter = Transmitter()
    flow = CurrentFlow(CurrentLoop(transmitter, 0, 1_000_000, POINTS), 1_000_000)
    transmitter.microamperes = Fraction(20000)
    for _ in range(36):
        flow.poll(POLL_MS)
    count, flags = take(flow)
    assert abs(count - 1000) <= 1 and flags == 0
    transmitter.microamperes = Fraction(0)
    for _ in range(40):
        flow.poll(POLL_MS)
    take(flow)
    for _ in range(50):
        flow.poll(POLL_MS)
        assert take(flow) == (0, COUNTER_JUMP)
    assert (flow.jumps, flow.errors, flow.healthy) == (1, 1, False)
    transmitter.microamperes = Fraction(20000)
    flow.poll(36_000)
    count, flags = take(flow)
    assert abs(count - 10_000) <= 5 and flags == 0


@pytest.mark.parametrize(
    ("low", "high", "points"),
    [
        (0, 100, ((0, 0), (0, 20000))),
        (0, 100, ((0, 0), (40000, 20000))),
        (0, 100, ((100, 20000), (30000, 4000))),
        (0, 100, ((0, 0), (30000, 25000))),
        (100, 100, POINTS),
        (-5, 100, POINTS),
        (0, 1 << 30, POINTS),
    ],
)
def test_what_cannot_be_is_refused(low: int, high: int, points: tuple) -> None:
    with pytest.raises(ValueError, match="expected"):
        CurrentLoop(Converter(), low, high, points)
    with pytest.raises(ValueError, match="quanta an hour"):
        CurrentFlow(CurrentLoop(Converter(), 0, 100, POINTS), 2_000_000)


SAMPLE = """
import micropython
from firmware.drivers.current_loop import CurrentFlow, CurrentLoop, nominal
class Converter:
    def __init__(self):
        self.raw = 0
    def read_u16(self):
        return self.raw << 4 | self.raw >> 8
converter = Converter()
flow = CurrentFlow(CurrentLoop(converter, 0, 1000000, nominal(150000)), 1000000)
counts = [0, 0]
def sample(every):
    total = flags = 0
    micropython.heap_lock()
    try:
        while converter.raw + every < 4096:
            converter.raw += every
            flow.poll(1000)
            flags |= flow.take(counts, 0)
            total += counts[0]
    finally:
        micropython.heap_unlock()
    return [total, flags]
"""


def test_nothing_is_allocated() -> None:
    """The widest products there are; on 32 bits: `tests/testbench/test_pico_suite.py`."""
    total, flags = micropython.evaluate(SAMPLE + "result = sample(5)")
    assert total > 0 and flags == COUNTER_JUMP
