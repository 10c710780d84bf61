"""From the name of a rig to devices: `unix`, `serial:URL`, or `replay:FOLDER` with what a capture holds."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from hostlink.meter import Meter
from hostlink.transport import Tap
from protocol.image import Image
from testbench.conformance.bench import Device
from testbench.conformance.line import Line, Noise
from testbench.conformance.section import PlanError
from testbench.rigs.unix import UnixRig

ADDRESS = 1
SERIAL = "TONNE-0001"

Opener = Callable[..., AbstractContextManager[Device]]


def opener(kind: str, tap: Tap, root: Path | None = None, serial: str = SERIAL) -> Opener:
    """How items open devices on rig `kind`. Raises PlanError for a kind that there is not."""
    if kind == "unix":
        return _unix(tap, root, serial)
    raise PlanError(f"--rig {kind}: expected unix, pico or serial:URL")


def _unix(tap: Tap, root: Path | None, serial: str) -> Opener:
    @contextmanager
    def open_(image: bytes, time: int | None, noise: Noise | None, **more: Any) -> Iterator[Device]:
        address = more.pop("address", ADDRESS)
        with UnixRig(image, serial=serial, address=address, time=time, root=root, **more) as rig:
            line = Line(rig.url, tap=tap, noise=noise)
            try:
                yield Device(rig, line, Meter(line, address), Image(image))
            finally:
                line.close()

    return open_
