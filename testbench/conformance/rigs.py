"""From the name of a rig to devices: `unix`, `serial:URL`, or `replay:FOLDER` with what a capture holds."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostlink.meter import Meter
from hostlink.transport import Tap
from protocol.image import Image
from testbench.conformance.bench import Device, Inapplicable
from testbench.conformance.line import Line, Noise, ReplayLine, Script
from testbench.conformance.operator import HandBench, Operator
from testbench.conformance.plan import Plant
from testbench.conformance.section import PlanError
from testbench.rigs.serial import SerialRig
from testbench.rigs.unix import UnixRig

ADDRESS = 1
SERIAL = "TONNE-0001"

Opener = Callable[..., AbstractContextManager[Device]]


def check(kind: str) -> None:
    """Raise PlanError for a kind of rig that there is not."""
    if kind not in ("unix", "pico") and not kind.startswith(("serial:", "replay")):
        raise PlanError(f"--rig {kind}: expected unix, pico or serial:URL")


def opener(
    kind: str,
    tap: Tap,
    script: Callable[[], Script],
    root: Path | None = None,
    operator: Operator | None = None,
    plant: Plant | None = None,
) -> Opener:
    """How items open devices on rig `kind`. Raises PlanError for a kind that there is not."""
    check(kind)
    if kind == "unix":
        return _unix(tap, root)
    if kind == "pico":
        return _pico(tap)
    if kind.startswith("serial:"):
        return _serial(tap, kind.partition(":")[2], operator or Operator(), plant)
    return _replay(tap, script)


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


def _pico(tap: Tap) -> Opener:
    """The real image in an emulated RP2040; its time is the Pico's, and a profile can only be the one it starts with."""

    @contextmanager
    def open_(image: bytes, time: int | None, noise: Noise | None, **more: Any) -> Iterator[Device]:
        from testbench.rigs.pico import PicoRig, board_config

        if more.get("root"):
            raise Inapplicable("the Pico's image holds its firmware: another cannot be run beside it")
        parsed = Image(image)
        with PicoRig(image, config=board_config(SERIAL, ADDRESS, len(parsed.channels))) as rig:
            line = Line(rig.url, tap=tap, noise=noise, clock=rig.now)
            try:
                meter = Meter(line, ADDRESS)
                if time is not None:
                    meter.set_clock(time)
                yield Device(rig, line, meter, parsed)
            finally:
                line.close()

    return open_


def _serial(tap: Tap, url: str, operator: Operator, plant: Plant | None) -> Opener:
    """A device on a bench, one for the whole run, whose profile is the one it has; stimulated by a `plant`, else by hand."""

    @contextmanager
    def open_(image: bytes | None, time: int | None, noise: Noise | None, **more: Any) -> Iterator[Device]:
        line = Line(url, tap=tap, noise=noise)
        try:
            meter = Meter(line)
            active = meter.profile()
            if more or image not in (None, bytes(active.data)):
                raise Inapplicable(
                    "the device runs another profile than this test needs; load it first, or leave the test out"
                )
            with _bench(url, operator, plant) as rig:
                yield Device(rig, line, meter, active)
        finally:
            line.close()

    return open_


@dataclass(frozen=True)
class Mixed:
    """A rig whose parts are of different kinds."""

    stimulus: Any
    clock: Any
    power: Any


@contextmanager
def _bench(url: str, operator: Operator, plant: Plant | None) -> Iterator[Any]:
    hand = HandBench(url, operator)
    if plant is None:
        yield hand
        return
    channels, start = dict(enumerate(plant.channels)), float(plant.start)
    with SerialRig(url, plant.port, channels, power_pin=plant.power_pin, start_s=start) as rig:
        yield Mixed(rig.stimulus, rig.clock, rig.power if plant.power_pin is not None else hand)


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
