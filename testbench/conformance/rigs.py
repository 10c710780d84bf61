"""From the name of a rig to devices: `unix`, `pico`, `serial:URL`, or `replay:KIND` with what a capture of such a rig holds."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostlink.meter import Meter
from hostlink.transport import Tap
from protocol.image import Image
from testbench.conformance.bench import Device, Inapplicable
from testbench.conformance.line import READING, Line, Noise, ReplayLine, Script, replayed
from testbench.conformance.operator import HandBench, Operator
from testbench.conformance.plan import Plant
from testbench.conformance.reference import Reference
from testbench.conformance.section import PlanError
from testbench.rigs.serial import SerialRig
from testbench.rigs.unix import UnixRig

ADDRESS = 1
NUMBER = "TONNE-0001"
"""Serial number of a device that a rig makes."""
UNIX, PICO, SERIAL = "unix", "pico", "serial"

Opener = Callable[..., AbstractContextManager[Device]]


def check(kind: str) -> None:
    """Raise PlanError for a kind of rig that there is not."""
    if kind not in (UNIX, PICO) and not kind.startswith(("serial:", "replay:")):
        raise PlanError(f"--rig {kind}: expected unix, pico or serial:URL")


def opener(
    kind: str,
    tap: Tap,
    script: Callable[[], Script],
    root: Path | None = None,
    operator: Operator | None = None,
    plant: Plant | None = None,
    reference: Reference | None = None,
) -> Opener:
    """How items open devices on rig `kind`. Raises PlanError for a kind that there is not, or that has no reference."""
    check(kind)
    if reference and not kind.startswith("serial:"):
        raise PlanError(f"[reference]: expected rig serial:URL, got {kind}, whose stimuli are exact by construction")
    if kind == UNIX:
        return _unix(tap, root)
    if kind == PICO:
        return _pico(tap)
    name, _, rest = kind.partition(":")
    if name == SERIAL:
        return _serial(tap, rest, operator or Operator(), plant, reference)
    return _replay(tap, script, rest)


def _meet(kind: str, meter: Meter, image: bytes | None, time: int | None, more: dict[str, Any]) -> Image:
    """What is said to a device on a rig of that kind before a test has it; a replay says it again. The profile that it runs.

    Raises Inapplicable if this device cannot be what the test needs.
    """
    if kind == SERIAL:
        active = meter.profile()
        if more or image not in (None, bytes(active.data)):
            raise Inapplicable(
                "the device runs another profile than this test needs; load it first, or leave the test out"
            )
        return active
    if kind == PICO and time is not None:
        meter.set_clock(time)
    assert image is not None
    return Image(image)


def _refuse_other_firmware(more: dict[str, Any]) -> None:
    if more.get("root") or more.get("slots"):
        raise Inapplicable("the Pico's image holds its firmware: another cannot be run beside it")


def _unix(tap: Tap, root: Path | None) -> Opener:
    @contextmanager
    def open_(image: bytes, time: int | None, noise: Noise | None, **more: Any) -> Iterator[Device]:
        address = more.pop("address", ADDRESS)
        more.setdefault("root", root)
        with UnixRig(image, serial=NUMBER, address=address, time=time, **more) as rig:
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

        _refuse_other_firmware(more)
        with PicoRig(image, config=board_config(NUMBER, ADDRESS, len(Image(image).channels))) as rig:
            line = Line(rig.url, tap=tap, noise=noise, clock=rig.now)
            try:
                meter = Meter(line, ADDRESS)
                yield Device(rig, line, meter, _meet(PICO, meter, image, time, more))
            finally:
                line.close()

    return open_


def _serial(tap: Tap, url: str, operator: Operator, plant: Plant | None, reference: Reference | None) -> Opener:
    """A device on a bench, one for the whole run, whose profile is the one it has; stimulated by a `plant`, else by hand."""

    @contextmanager
    def open_(image: bytes | None, time: int | None, noise: Noise | None, **more: Any) -> Iterator[Device]:
        line = Line(url, tap=tap, noise=noise)
        try:
            meter = Meter(line)
            active = _meet(SERIAL, meter, image, time, more)
            with _bench(url, operator, plant) as rig:
                yield Device(rig, line, meter, active, reference)
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
    """A rig of some kind of which only the bytes are left: stimuli and time do nothing."""

    url = "loop://"

    def __init__(self, kind: str) -> None:
        self.power = self.stimulus = self.clock = self
        self._kind = kind

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_") or (name == "arm_cut" and self._kind != UNIX):
            raise AttributeError(name)
        return lambda *args, **kwargs: None


def _replay(tap: Tap, script: Callable[[], Script], kind: str) -> Opener:
    @contextmanager
    def open_(image: bytes | None, time: int | None, noise: Noise | None, **more: Any) -> Iterator[Device]:
        if kind == PICO:
            _refuse_other_firmware(more)
        held = script()
        line = ReplayLine(held, tap)
        reference = replayed(held) if held.holds(READING) else None
        try:
            meter = Meter(line) if kind == SERIAL else Meter(line, more.get("address", ADDRESS))
            yield Device(_Recorded(kind), line, meter, _meet(kind, meter, image, time, more), reference)
        finally:
            line.close()

    return open_
