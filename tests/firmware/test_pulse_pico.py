"""Pulses in PIO on the emulated Pico: the stated limits of the debounce, flash writes in between, no byte of heap."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostlink.flash.compile import compile_packages
from testbench.emulators.edges import Edge, pulse_train
from testbench.emulators.pico import Pico

pytestmark = pytest.mark.pico

ROOT = Path(__file__).parents[2]
SETTLE_S = 0.001
SETUP = """
from drivers.pulse import PioPulses
from machine import Pin
import array, micropython, rp2, time
counts = array.array('H', [0, 0, 0, 0])
def total(driver, at):
    flags = driver.take(counts, at)
    return counts[at] | counts[at + 1] << 16, flags
"""
TAKE_BOTH = """
def take_both():
    micropython.heap_lock()
    try:
        one.take(counts, 0)
        two.take(counts, 2)
    finally:
        micropython.heap_unlock()
"""


@pytest.fixture
def board(pico_uf2: Path) -> Iterator[Pico]:
    pico = Pico(pico_uf2)
    pico.files(compile_packages([ROOT / "firmware/drivers"], "armv6m"))
    pico.on()
    pico.drive(5, True)
    pico.exec(SETUP + "one = PioPulses(0, Pin(5, Pin.IN, Pin.PULL_UP), 1000)\ntime.sleep_ms(2)")
    yield pico
    pico.off()


def levels(lengths: list[float]) -> Iterator[Edge]:
    """An alternation of levels of these lengths in seconds, closed first, then open for long."""
    now, level = 0.0, False
    for length in lengths:
        yield now, level
        now += length
        level = not level
    yield now, True


def test_what_is_shorter_than_the_limit_is_never_a_pulse(board: Pico) -> None:
    random_ = random.Random(1)
    shorter = SETTLE_S * 31 / 32 - 1e-6
    lengths = [random_.choice([shorter, random_.uniform(SETTLE_S / 31, shorter)]) for _ in range(201)]
    board.edges(5, levels(lengths))
    board.run_for(sum(lengths) + 0.01)
    assert board.exec("print(total(one, 0))") == "(0, 0)\n"


def test_what_lasts_as_long_as_the_limit_is_always_one(board: Pico) -> None:
    random_ = random.Random(2)
    longer = SETTLE_S * 33 / 32 + 1e-6
    lengths = [random_.choice([longer, random_.uniform(longer, 3 * longer)]) for _ in range(201)]
    board.edges(5, levels(lengths))
    board.run_for(sum(lengths) + 0.01)
    assert board.exec("print(total(one, 0))") == "(101, 0)\n"


def test_bounce_at_both_edges_counts_once(board: Pico) -> None:
    train = pulse_train(60, 200.0, jitter=0.05, bounce_s=0.0009, bounces=4, random_=random.Random(3))
    board.edges(5, train)
    board.run_for(0.32)
    assert board.exec("print(total(one, 0))") == "(60, 0)\n"


def test_it_counts_while_flash_is_erased_and_allocates_nothing(board: Pico) -> None:
    """A pin's interrupt loses 20 of 100 here (test_emulator_pico)."""
    board.exec("two = PioPulses(4, Pin(6, Pin.IN, Pin.PULL_UP), 100)\ntime.sleep_ms(1)")
    board.edges(6, pulse_train(100, 1000.0))
    board.exec("with open('log', 'w') as f: f.write('x' * 300)")
    board.run_for(0.1)
    board.exec(TAKE_BOTH)
    assert board.exec("take_both()\nprint(counts)") == "array('H', [0, 0, 100, 0])\n"


def test_the_count_goes_on_over_the_end_of_the_counter(board: Pico) -> None:
    board.exec("one._machine.exec(0xE020 | 8)  # set x, 8: 32 bits of count end in eight pulses")
    board.exec("total(one, 0)")
    board.edges(5, pulse_train(60, 400.0))
    board.run_for(0.17)
    assert board.exec("print(total(one, 0))") == "(60, 0)\n"


def test_a_debounce_out_of_its_limits_is_refused(board: Pico) -> None:
    printed = board.exec("try: PioPulses(1, Pin(7), 40000)\nexcept ValueError as error: print(error)")
    assert printed == "settle_us: expected 1 to 33500, got 40000\n"
