"""Emulated targets for tests: skipped without an image, and one line says so; under `CI=true` that is a failure."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testbench.emulators.mps2 import Mps2
from testbench.emulators.pico import Pico
from testbench.errors import EmulatorError, ImageUnavailable
from testbench.images import mps2_image, pico_image

ROOT = Path(__file__).parents[1]
_missing: dict[str, list[str]] = {}


def _need(request: pytest.FixtureRequest, find: Callable[[], Path]) -> Path:
    try:
        return find()
    except (ImageUnavailable, EmulatorError) as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must run this test: {error}", pytrace=False)
        _missing.setdefault(str(error), []).append(request.node.nodeid)
        pytest.skip(str(error))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for reason, nodes in _missing.items():
        terminalreporter.write_line(f"SKIPPED {len(nodes)} fixture(s) of emulated targets: {reason}", yellow=True)


def _find_mps2() -> Path:
    image = mps2_image()
    if shutil.which("qemu-system-arm") is None:
        raise EmulatorError("qemu-system-arm is not installed: apt-get install qemu-system-arm")
    return image


@pytest.fixture(scope="session")
def pico_uf2(request: pytest.FixtureRequest) -> Path:
    return _need(request, pico_image)


@pytest.fixture(scope="module")
def mps2(request: pytest.FixtureRequest) -> Iterator[Mps2]:
    """A board with `protocol` and `firmware` importable, shared by a module's tests."""
    image = _need(request, _find_mps2)
    with Mps2([ROOT / "protocol", ROOT / "firmware"], image) as board:
        yield board


@pytest.fixture
def pico(pico_uf2: Path) -> Iterator[Pico]:
    """A Pico with power and an empty filesystem."""
    board = Pico(pico_uf2)
    board.on()
    yield board
    board.off()
