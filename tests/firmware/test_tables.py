"""Surfaces, time of use and the clock: MicroPython of 64 and of 32 bits against the host, nothing allocated on the way."""

from __future__ import annotations

import ast
import random
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hostlink import replay
from protocol import image as layout
from testbench import micropython
from testbench.emulators.mps2 import Mps2

BATCH = 100

DEVICE = """
import binascii, micropython
from firmware.clock import Clock
from firmware.tables import Surface, TimeOfUse

def locked(call, a, b):
    micropython.heap_lock()
    try:
        return call(a, b)
    finally:
        micropython.heap_unlock()

def surface(data, points):
    at = Surface(binascii.unhexlify(data)).at
    return [locked(at, x, y) for x, y in points]

def time_of_use(data, utc_offset, points):
    at = TimeOfUse(memoryview(binascii.unhexlify(data)), utc_offset).at
    return [locked(at, day, second) for day, second in points]

now = 0

def ticks_diff(later, sooner):
    passed = later - sooner
    if passed < 0:
        passed += 1 << 29
        passed += 1 << 29
    return passed

def tick(made, _):
    made.tick()

def clock(start, advances):
    global now
    now = 0
    made = Clock(lambda: now, ticks_diff)
    made.set(start)
    result = []
    for passed in advances:
        now = now + passed & (1 << 30) - 1
        locked(tick, made, None)
        result.append((made.day, made.second, made.millisecond))
    return result
"""

Call = Callable[..., Any]


@pytest.fixture(scope="module", params=["64 bits", pytest.param("32 bits", marks=pytest.mark.pico)])
def device(request: pytest.FixtureRequest) -> Call:
    """Calls a function of DEVICE on a MicroPython."""
    if request.param == "64 bits":
        return lambda name, *given: ast.literal_eval(micropython.run(f"{DEVICE}\nprint({name}(*{given!r}))"))
    board: Mps2 = request.getfixturevalue("mps2")
    board.run(DEVICE)
    return lambda name, *given: ast.literal_eval(board.run(f"print({name}(*{given!r}))"))


def points(random_: random.Random, first: int, step: int, count: int) -> list[int]:
    """Places on an axis: nodes, their neighbours, and anything between."""
    last = first + (count - 1) * step
    near = [first + n * step + off for n in range(count) for off in (-1, 0, 1)]
    near += [random_.randint(first, last) for _ in near]
    return [place for place in near if first <= place <= last and place < layout.SMALL]


@pytest.mark.parametrize("seed", range(6))
def test_a_surface_is_the_host_s(device: Call, seed: int) -> None:
    random_ = random.Random(seed)
    nx, ny = random_.randrange(2, 9), random_.randrange(2, 7)
    most = layout.SURFACE_STEP_MAX
    steps = [random_.choice((1, 2, 3, most, most - 1, random_.randint(1, most))) for _ in range(2)]
    firsts = [random_.choice((0, layout.SMALL - 1 - 9 * step, random_.randrange(1 << 29))) for step in steps]
    offset = random_.choice((0, layout.SMALL - (1 << 19) - 1, random_.randrange(1 << 29)))
    head = layout.SURFACE_HEAD.pack(0, 1, nx, ny, firsts[0], steps[0], firsts[1], steps[1], offset)
    nodes = [random_.choice((0, 1, 0x7FFF, 0xFFFE, 0xFFFF, random_.randrange(1 << 16))) for _ in range(nx * ny)]
    data = head + struct.pack(f"<{nx * ny}H", *nodes)
    xs, ys = points(random_, firsts[0], steps[0], nx), points(random_, firsts[1], steps[1], ny)
    asked = [(random_.choice(xs), random_.choice(ys)) for _ in range(BATCH)] + [(max(xs), max(ys)), (min(xs), min(ys))]
    assert device("surface", data.hex(), asked) == [replay.surface_value(data, x, y) for x, y in asked]


@pytest.mark.parametrize("utc_offset", [0, 480, -720, 840])
def test_time_of_use_is_the_host_s(device: Call, utc_offset: int) -> None:
    random_ = random.Random(utc_offset)
    holidays = sorted(random_.randrange(20_000, 40_000) for _ in range(4))
    data = layout.TIME_OF_USE_HEAD.pack(5, 7, 9, len(holidays))
    data += struct.pack("<7I", *(random_.randrange(layout.SMALL) for _ in range(7)))
    data += bytes(random_.randrange(9) for _ in range(48)) + bytes(random_.randrange(7) for _ in range(9 * 24))
    data += struct.pack(f"<{len(holidays)}H", *holidays)
    turns = [datetime(year, month, 1, tzinfo=UTC) for year in (1972, 2000, 2024, 2026, 2100) for month in (1, 3)]
    times = [int((turn + timedelta(minutes=m)).timestamp()) for turn in turns for m in (-901, -1, 0, 1, 901)]
    times += [86400 * day + random_.randrange(86400) for day in holidays]
    times += [random_.randrange(1 << 31, 1 << 32) for _ in range(BATCH // 2)]
    asked = [divmod(time, 86400) for time in times]
    expected = [replay.slot_value(data, time, utc_offset) for time in times]
    assert device("time_of_use", data.hex(), utc_offset, asked) == expected


def test_the_clock_goes_on_over_days_and_the_wrap_of_its_ticks(device: Call) -> None:
    random_ = random.Random(7)
    start = 4_102_444_799  # one second before 2100
    advances = [random_.choice((0, 1, 999, 1000, 60_000, 86_399_999, 86_400_000, 300_000_000)) for _ in range(BATCH)]
    expected = []
    passed = 0
    for advance in advances:
        passed += advance
        expected.append((*divmod(start + passed // 1000, 86400), passed % 1000))
    assert sum(advances) > 4 << 30
    assert device("clock", start, advances) == expected
