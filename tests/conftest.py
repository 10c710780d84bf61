"""Emulated targets for tests: skipped without an image, and one line says so; under `CI=true` that is a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from testbench.emulators.mps2 import Mps2
from testbench.emulators.pico import Pico
from testbench.errors import EmulatorError, ImageUnavailable
from testbench.images import meter_image, modules_image, mps2_image, pico_image

ROOT = Path(__file__).parents[1]


class _Compiler(ModuleType):
    """`micropython` on CPython: what the device's compiler makes of it, on a port without native code."""

    @staticmethod
    def const(value: object) -> object:
        return value

    @property
    def viper(self) -> object:
        raise SyntaxError("invalid micropython decorator")


sys.modules.setdefault("micropython", _Compiler("micropython"))


def _need(find: Callable[[], Path]) -> Path:
    try:
        return find()
    except (ImageUnavailable, EmulatorError) as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must run this test: {error}", pytrace=False)
        pytest.skip(str(error))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons = Counter(str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", ()))
    for reason, count in reasons.items():
        terminalreporter.write_line(f"{count} tests skipped: {reason.removeprefix('Skipped: ')}", yellow=True)


def _find_mps2() -> Path:
    image = mps2_image()
    if shutil.which("qemu-system-arm") is None:
        raise EmulatorError("qemu-system-arm is not installed: apt-get install qemu-system-arm")
    return image


def _find_namespaces() -> Path:
    """Where a test may mount a small disk of its own."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rm", "true"], capture_output=True, check=False).returncode:
        raise EmulatorError("expected a mount namespace without privileges: `unshare -rm` does not work here")
    return Path(unshare)


@pytest.fixture(scope="session")
def unshare() -> Path:
    """The command that runs another in a mount namespace of its own, with `-rm`."""
    return _need(_find_namespaces)


@pytest.fixture(scope="session")
def pico_uf2() -> Path:
    return _need(pico_image)


@pytest.fixture(scope="session")
def mps2_elf() -> Path:
    return _need(_find_mps2)


def _build_meter_image() -> Path:
    """Built when a test needs it, ten seconds, if the sources it is built from are there."""
    pico_image()
    return meter_image(build=True)


@pytest.fixture(scope="session")
def meter_uf2() -> Path:
    """The Pico's image with the firmware as it is now."""
    return _need(_build_meter_image)


def _build_modules_image() -> Path:
    pico_image()
    return modules_image(build=True)


@pytest.fixture(scope="session")
def modules_uf2() -> Path:
    """The Pico's image with the firmware's modules under their own names."""
    return _need(_build_modules_image)


@pytest.fixture(scope="module")
def mps2(mps2_elf: Path) -> Iterator[Mps2]:
    """A board with `protocol` and `firmware` importable, shared by a module's tests."""
    with Mps2([ROOT / "protocol", ROOT / "firmware"], mps2_elf) as board:
        yield board


@pytest.fixture
def pico(pico_uf2: Path) -> Iterator[Pico]:
    """A Pico with power and an empty filesystem."""
    board = Pico(pico_uf2)
    board.on()
    yield board
    board.off()
