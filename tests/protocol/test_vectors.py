"""The vectors on every Python that runs the protocol: this one, MicroPython of 64 bits, MicroPython of 32."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from testbench import micropython
from testbench.emulators.mps2 import Mps2
from tests.protocol import vectors

HERE = Path(__file__).parent
CHECKS = sorted(name for name in dir(vectors) if name.startswith("check_"))


@pytest.mark.parametrize("name", CHECKS)
def test_on_the_host(name: str) -> None:
    check: Callable[[], None] = getattr(vectors, name)
    check()


def test_on_micropython() -> None:
    code = "import vectors\nfor name in given:\n    getattr(vectors, name)()\nresult = len(given)"
    assert micropython.evaluate(code, CHECKS, path=HERE) == len(CHECKS) > 8


@pytest.mark.pico
def test_on_micropython_of_32_bits(mps2: Mps2) -> None:
    source = (HERE / "vectors.py").read_text()
    mps2.run(source)
    for name in CHECKS:
        mps2.run(f"{name}()")
