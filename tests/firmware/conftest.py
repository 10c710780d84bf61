"""A real meter as it leaves the factory: no keys, a gas profile, its clock at `keys.START`."""

from collections.abc import Iterator

import pytest

from hostlink.meter import Meter, connect
from testbench.rigs.unix import UnixRig
from tests.firmware.keys import IMAGE, START


@pytest.fixture
def rig() -> Iterator[UnixRig]:
    with UnixRig(IMAGE, time=START) as rig:
        yield rig


@pytest.fixture
def factory_new(rig: UnixRig) -> Iterator[Meter]:
    with connect(rig.url, address=1) as meter:
        yield meter
