"""Drivers importable on CPython; and a real meter as it leaves the factory: no keys, a gas profile, its clock at `keys.START`."""

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from hostlink.meter import Meter, connect
from testbench.rigs.unix import UnixRig
from tests.firmware.keys import IMAGE, START

if "micropython" not in sys.modules:  # CPython: the compiler of the device folds const()
    sys.modules["micropython"] = ModuleType("micropython")
    sys.modules["micropython"].const = lambda value: value  # type: ignore[attr-defined]


@pytest.fixture
def rig() -> Iterator[UnixRig]:
    with UnixRig(IMAGE, time=START) as rig:
        yield rig


@pytest.fixture
def factory_new(rig: UnixRig) -> Iterator[Meter]:
    with connect(rig.url, address=1) as meter:
        yield meter
