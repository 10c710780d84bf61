"""From the name of a rig to devices: `unix`, `serial:URL`, or `replay:FOLDER` with what a capture holds."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from hostlink.meter import Meter
from hostlink.transport import Tap
from protocol.image import Image
from testbench.conformance.bench import Device
from testbench.conformance.line import Line, Noise, ReplayLine, Script
from testbench.conformance.section import PlanError
from testbench.rigs.unix import UnixRig

ADDRESS = 1
SERIAL = "TONNE-0001"

Opener = Callable[..., AbstractContextManager[Device]]


def opener(kind: str, tap: Tap, script: Callable[[], Script], root: Path | None = None) -> Opener:
    """How items open devices on rig `kind`. Raises PlanError for a kind that there is not."""
    if kind == "unix":
        return _unix(tap, root)
    if kind == "replay":
        return _replay(tap, script)
    raise PlanError(f"--rig {kind}: expected unix, pico or serial:URL")


def _unix(tap: Tap, root: Path | None) -> Opener:
    @contextmanager
    def open_(image: bytes, time: int | None, noise: Noise | None, **more: Any) -> Iterator[Device]:
        address = more.pop("address", ADDRESS)
        more.setdefault("root", root)
        with UnixRig(image, serial=SERIAL, address=address, time=time, **more) as rig:
            line = Line(rig.url, tap=tap, noise=noise)
            try:
                yield Device(rig, line, Meter(line, address), Image(image))
            finally:
                line.close()

    return open_


class _Recorded:
    """A rig of which only the bytes are left: stimuli and time do nothing."""

    url = "loop://"

    def __init__(self) -> None:
        self.power = self.stimulus = self.clock = self

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **kwargs: None


def _replay(tap: Tap, script: Callable[[], Script]) -> Opener:
    @contextmanager
    def open_(image: bytes, time: int | None, noise: Noise | None, **more: Any) -> Iterator[Device]:
        line = ReplayLine(script(), tap)
        try:
            yield Device(_Recorded(), line, Meter(line, more.get("address", ADDRESS)), Image(image))
        finally:
            line.close()

    return open_
