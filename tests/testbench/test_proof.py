"""The proofs hold for the firmware as it is, and are lost with any of its steps."""

from __future__ import annotations

import pytest

from protocol import image as layout
from testbench.proof import kernel, lemmas, source, surface
from testbench.proof.words import Refuted


def test_words_are_what_a_32_bit_machine_makes_of_them() -> None:
    for what, claim in lemmas.lemmas():
        lemmas.prove(claim, what)


@pytest.mark.parametrize("n", [0, 1], ids=["plain", "viper"])
def test_the_kernel_is_exact(n: int) -> None:
    twin = kernel.twins(source.text)[n]
    assert kernel.prove_plan(twin) > 1
    kernel.prove_load(twin)
    assert kernel.prove_scale(twin) > 1
    for shape in twin.shapes():
        assert kernel.prove_row(twin, *shape) > 1


def spoilt(module: str, right: str, wrong: str) -> kernel.Kernel:
    """The twin `module` with one place of its source changed."""
    text = source.text(module)
    assert text.count(right) >= 1

    def changed(name: str) -> str:
        return text.replace(right, wrong, 1) if name == module else source.text(name)

    return next(twin for twin in kernel.twins(changed) if twin.name == module)


@pytest.mark.parametrize(
    ("module", "right", "wrong"),
    [
        ("kernel", "state[at] + plan[i] * count + carry", "state[at] + plan[i] * count"),
        ("kernel", "carry = total >> 16", "carry = total >> 17"),
        ("kernel", "state[at] = total & 0xFFFF", "state[at] = total & 0x7FFF"),
        ("kernel", "while carry and at < end", "while carry and at < end + 1"),
        ("kernel", "while carry and at < end", "while carry and at < end - 1"),
        ("kernel", "failed = 1", "failed = 0"),
        ("kernel", "state[at] = 0xFFFF", "state[at] = 0xFFFE"),
        ("kernel", "counts[at_count] = 0", "pass"),
        ("kernel", "for limb in range(2)", "for limb in range(1)"),
        ("kernel", "at = start + limb", "at = start"),
        ("kernel_viper", "uint(plan[3]) * count + uint(state[0])", "uint(plan[3]) * count"),
        ("kernel_viper", "uint(plan[7]) * count + uint(state[4])", "uint(plan[6]) * count + uint(state[4])"),
        ("kernel_viper", "(total >> 16) + uint(state[4])", "(total >> 16)"),
        ("kernel_viper", "limbs = 5", "limbs = 4"),
        ("kernel_viper", "uint(limbs << 1)", "uint(limbs)"),
        ("kernel_viper", "if uint(state) == end", "if uint(state) == bottom"),
        ("kernel_viper", "limbs = plan[1]", "limbs = plan[1] - 1"),
        ("kernel_viper", "counts[0] = 0", "pass"),
        ("kernel_viper", "counts[1] = 0", "pass"),
        ("kernel_viper", "plan = ptr16(group)", "pass"),
        ("kernel_viper", "first += uint(2)", "first += uint(0)"),
        ("kernel_viper", "while count | later", "while count"),
    ],
)
def test_accumulate_with_a_step_changed_is_refuted(module: str, right: str, wrong: str) -> None:
    twin = spoilt(module, right, wrong)
    with pytest.raises(Refuted):
        kernel.prove_row(twin, 2, 1)
        kernel.prove_row(twin, 6, 4)
        kernel.prove_row(twin, 6, 5)
        kernel.prove_row(twin, 8, 7)
        kernel.prove_plan(twin)


@pytest.mark.parametrize(
    ("module", "right", "wrong"),
    [
        ("kernel", "carry += total >> 16", "pass"),
        ("kernel", "lost = carry | carry_high", "lost = carry"),
        ("kernel", "if below and high:", "if below and low:"),
        ("kernel", "below = limb", "below = plan[i]"),
        ("kernel_viper", "lost = carry | carry_high", "lost = carry_high"),
        ("kernel_viper", "if below * high:", "if below * low:"),
        ("kernel_viper", "shifted = below * high + carry_high", "shifted = below * high"),
    ],
)
def test_scale_with_a_step_changed_is_refuted(module: str, right: str, wrong: str) -> None:
    with pytest.raises(Refuted):
        kernel.prove_scale(spoilt(module, right, wrong))


def test_a_surface_stays_small_inside_its_table_and_between_its_nodes() -> None:
    assert surface.prove_surface(source.text("tables")) == 4


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(x - i * self._dx) << 10", "(x - i * self._dx) << 11"),
        ("x -= self._x0", "x -= 0"),
        ("min(x // self._dx, self._nx - 2)", "x // self._dx"),
        ("min(y // self._dy, self._ny - 2)", "min(y // self._dy, self._ny - 1)"),
        ("i * self._ny + j", "i * self._nx + j"),
        ("at += 1", "at += 2"),
        ("* x + 64) >> 7", "* x + 64) >> 6"),
        ("* x + 64) >> 7", "* x + 128) >> 7"),
        ("* y + 512) >> 10", "* y + 1024) >> 10"),
    ],
)
def test_a_surface_with_a_step_changed_is_refuted(right: str, wrong: str) -> None:
    text = source.text("tables")
    assert right in text
    with pytest.raises(Refuted):
        surface.prove_surface(text.replace(right, wrong, 1))


def test_a_wider_cell_than_an_image_may_have_would_touch_the_heap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "SURFACE_STEP_MAX", layout.SURFACE_STEP_MAX + 1)
    with pytest.raises(Refuted, match="small integer"):
        surface.prove_surface(source.text("tables"))
