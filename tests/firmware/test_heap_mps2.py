"""The heap of a meter with keys after a day of work, and after ten more: 32 bits, the heap of the Pico, the clock driven fast."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbench.bench import day
from testbench.bench.pico import profile

pytestmark = pytest.mark.pico

MOST_A_DAY_ADDS = 8 * 1024
"""Beside what the start holds: with it the Pico stays below 64 KiB (`make bench-pico`)."""


def test_a_day_leaves_the_heap_as_it_is_and_so_do_ten_more(mps2_elf: Path) -> None:
    start, with_keys, first, *others = day.heap(profile(), 11)
    assert start < with_keys < first <= start + MOST_A_DAY_ADDS
    assert max(others) <= first + 64, "what a day's work leaves on the heap"
