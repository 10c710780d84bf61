"""The arithmetic costs what the committed baseline says, stays within its limits, and a regression is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbench.bench.device import baseline
from testbench.bench.device.c_code import inline
from testbench.bench.device.measure import Measurement, measure
from testbench.emulators.mps2 import Mps2
from testbench.errors import TestbenchError


@pytest.mark.pico
def test_no_worse_than_the_baseline(mps2: Mps2) -> None:
    found = {m.name: m for m in measure()}
    assert list(baseline.findings(found.values(), baseline.read())) == []
    loop = found["C, the same loop in 16-bit limbs, batched"].instructions
    assert found["accumulate, batched"].instructions < 3 * loop
    assert found["float: total += pulses * factor"].allocated == 32


def test_more_than_five_percent_a_limit_or_an_allocation_is_a_finding() -> None:
    accepted = {"row": 100.0}
    assert list(baseline.findings([Measurement("row", 105, 0, 150)], accepted)) == []
    assert len(list(baseline.findings([Measurement("row", 105.1, 0, 150)], accepted))) == 1
    assert len(list(baseline.findings([Measurement("row", 100, 0, 99)], accepted))) == 1
    assert len(list(baseline.findings([Measurement("row", 100, 16, 150)], accepted))) == 1
    assert len(list(baseline.findings([Measurement("new", 1, 0)], accepted))) == 1
    assert list(baseline.findings([Measurement("peer", 1, 32, peer=True)], accepted)) == []


@pytest.mark.pico
def test_c_runs_on_the_board_with_its_arguments(mps2: Mps2, tmp_path: Path) -> None:
    source = tmp_path / "sum.c"
    source.write_text("int accumulate(int a, int b, int c, int d) { return a + 10 * b + 100 * c + 1000 * d; }")
    mps2.run("import micropython\n" + inline(source, "sum", 4))
    assert mps2.run("print(sum(1, 2, 3, 4))") == "4321\n"


@pytest.mark.pico
def test_c_that_does_not_compile_is_one_error(mps2: Mps2, tmp_path: Path) -> None:
    source = tmp_path / "wrong.c"
    source.write_text("int accumulate(void) { return missing(); }")
    with pytest.raises(TestbenchError, match="missing"):
        inline(source, "wrong", 0)
