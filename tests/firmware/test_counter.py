"""The counter that every driver follows its chip with: nothing lost over wraps, nothing counted of a jump."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.drivers.counter import Counter
from protocol.status import COUNTER_JUMP


@settings(max_examples=200, deadline=None)
@given(st.integers(0, (1 << 24) - 1), st.lists(st.integers(0, 1000), max_size=60))
def test_a_free_running_counter_loses_nothing_over_its_wraps(start: int, steps: list[int]) -> None:
    counter = Counter(per_second=1000, bits=24)
    counter.follow(start)
    shown = start
    for step in steps:
        shown = (shown + step) & 0xFFFFFF
        counter.passed += 1000
        counter.follow(shown)
    counts = [0, 0]
    assert counter.take(counts, 0) == 0
    assert counts[0] | counts[1] << 16 == sum(steps)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, (1 << 24) - 1), st.integers(0, (1 << 24) - 1))
def test_a_counter_that_moved_too_far_is_flagged_and_not_counted(before: int, after: int) -> None:
    counter = Counter(per_second=1000, bits=24)
    counter.follow(before)
    counter.passed = 500
    counter.follow(after)
    counts = [0, 0]
    flags = counter.take(counts, 0)
    moved = (after - before) % (1 << 24)
    assert (counts[0] | counts[1] << 16, flags) == ((moved, 0) if moved <= 1500 else (0, COUNTER_JUMP))
    assert counter.take(counts, 0) == 0


# BL0942
