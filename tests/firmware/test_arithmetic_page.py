"""The worked example of docs/arithmetic.md: each of its numbers is made again here, and by the device."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from protocol import image as layout
from testbench import micropython

PAGE = (Path(__file__).parents[2] / "docs/arithmetic.md").read_text()
EXACT = Fraction("389.31") * Fraction("0.0153") * Fraction("0.99") * Fraction(44, 12) * 10**9 / 10**4 / 100
CONSTANT = round(EXACT * 2**32)
LIMBS = [CONSTANT >> 16 * n & 0xFFFF for n in range(4)]

DEVICE = """
from array import array
from firmware import kernel, kernel_viper
result = []
for twin in kernel, kernel_viper:
    state = array('H', bytes(16))
    plan = array('H', [1, 2, 6, 4] + given + [0] * 4 + [0])
    for count in 3, 1000:
        twin.accumulate(state, plan, array('H', [count, 0]))
        result.append(sum(limb << 16 * n for n, limb in enumerate(state)))
"""


def rows(register: int, count: int) -> Iterator[tuple[int, ...]]:
    """The table: limb, register's limb, factor's limb, count, carry in, total, limb after, carry out."""
    carry = 0
    for n, limb in enumerate(LIMBS):
        before = register >> 16 * (n + 2) & 0xFFFF
        total = before + limb * count + carry
        yield n + 2, before, limb, count, carry, total, total % 65536, total // 65536
        carry = total // 65536
    assert carry == 0


def said(*numbers: object) -> None:
    """The page has a line with `numbers` in this order."""
    assert any(_has(line, [str(n) for n in numbers]) for line in PAGE.splitlines()), numbers


def _has(line: str, numbers: list[str]) -> bool:
    at = 0
    for number in numbers:
        at = line.find(number, at)
        if at < 0:
            return False
        at += len(number)
    return True


def test_the_example_adds_up() -> None:
    said("k = 21621.88809 mg")
    assert Fraction("21621.88809") == EXACT
    said(f"K = round(k · 2³²) = {CONSTANT} = {CONSTANT:#x}", "k · 2³² = 92865302224321.90464")
    assert Fraction("92865302224321.90464") == EXACT * 2**32
    off = CONSTANT - EXACT * 2**32
    said(f"{float(off):.5f} · 2⁻³² mg = {float(off / 2**32) * 1e11:.2f} · 10⁻¹¹ mg")
    said(f"10⁹ pulses, 10⁷ m³, is off by {float(off / 2**32 * 10**9) + 0.0005:.3f} mg")
    said("`K` is", ", ".join(map(str, LIMBS)))
    register = 0
    for count in (3, 1000):
        for limb, before, factor, by, carry, total, after, out in rows(register, count):
            said(f"    {limb} ", before, f"{factor} · {by}", carry, total, after, out)
        register += CONSTANT * count << 32
        said(f"`R` = {register:#x}", f"{float(Fraction(register, 2**64)):.8f} mg")
    said(f"1003 · k is {float(1003 * EXACT):.5f} mg")
    said(f"{float(Fraction(register, 2**64) - 1003 * EXACT) * 1e8:.1f} · 10⁻⁸ mg")


def test_the_device_makes_the_same() -> None:
    first, second = CONSTANT * 3 << 32, CONSTANT * 1003 << 32
    assert micropython.evaluate(DEVICE, LIMBS) == [first, second] * 2


def test_limits_are_those_of_the_image() -> None:
    said(f"SURFACE_STEP_MAX` = {layout.SURFACE_STEP_MAX}")
    step = layout.SURFACE_STEP_MAX
    assert 1024 * step + step // 2 < layout.SMALL <= 1024 * (step + 1) + (step + 1) // 2
