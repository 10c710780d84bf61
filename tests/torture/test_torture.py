"""A sample of the torture (all of it: `make torture`), and the proof that it would find a store that loses."""

import ast
from pathlib import Path

import pytest

from testbench.emulators.mps2 import Mps2
from tests.torture.run import QUANTA, ROOT, images, run

SABOTAGED = {
    "the check sums are not looked at": """
from firmware.store import slot
slot.check = lambda view, size: slot.BAD if bytes(view[:4]) == b"\\xff" * 4 else slot.GOOD
""",
    "a commit is answered before it is written": """
from firmware.store import log
real = log.Log.append
def append(self, payload, label=None):
    late = getattr(self, "late_one", None)
    self.late_one = (bytes(payload), label)
    return real(self, *late) if late else True
log.Log.append = append
""",
    "the sector in use is erased ahead of time": """
from firmware.store import log
real = log.Log._find_spare
def spare(self):
    if self._current >= 0 and self._slot >= self._per_sector - 1 and self._may_erase(self._current):
        self._clear(self._current)
    return real(self)
log.Log._find_spare = spare
""",
    "records behind the journal are not taken over": """
from firmware import keeper
keeper.Keeper._adopt = lambda self, record: 0
""",
    "the leaf is used before it is burned": """
from torture import device as d
d.Keys.save = lambda self: True
""",
}


def test_no_cut_of_a_sample_loses_anything() -> None:
    found = run(500, 2, processes=2, every=2)
    assert found["losses"] == []
    assert found["cuts"] > 800
    assert min(found["programs"], found["erases"], found["nested"], found["went on"]) > 20


@pytest.mark.parametrize("what", SABOTAGED)
def test_a_store_that_loses_is_found(what: str) -> None:
    found = run(150, 3, sabotage=SABOTAGED[what])
    assert found["losses"], what


ON_THE_BOARD = """
import uctypes
from torture import device
free = [0x21800000]
def allocate(size):
    at = free[0]
    free[0] += size
    return uctypes.bytearray_at(at, size)
torture = device.Torture({images!r}, 3, 1, {quanta}, allocate)
torture.run({steps})
print(torture.summary())
"""


@pytest.mark.pico
def test_no_cut_of_a_sample_loses_anything_on_32_bits(mps2_elf: Path) -> None:
    packages = [ROOT / "protocol", ROOT / "firmware", ROOT / "tests/torture"]
    with Mps2(packages, mps2_elf) as board:
        printed = board.run(ON_THE_BOARD.format(images=images(5), quanta=QUANTA, steps=45), timeout=300)
    found = ast.literal_eval(printed.splitlines()[-1])
    assert found["losses"] == []
    assert found["cuts"] > 40
