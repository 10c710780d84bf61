"""The bench of a laboratory, emulated: a Pico that is the meter and one that is the plant, wired pin to pin."""

from __future__ import annotations

import os
import pty
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostlink.errors import NoReply, UsageError
from hostlink.meter import connect
from testbench import series as measured
from testbench import stimulator
from testbench.demo import gas_profile
from testbench.emulators.pico import Pico
from testbench.rigs.pico import PULSE_PIN, PicoRig, Terminal
from testbench.rigs.serial import SerialRig
from testbench.stimulator import Stimulator, StimulatorError

slow = pytest.mark.skipif("TONNE_SLOW" not in os.environ, reason="takes minutes: make flash-emulated")
PROFILE, _ = gas_profile(measured.CUBIC_FOOT)
PLANT_PIN = 2
PROGRAM = Path(stimulator.__file__).parent / "device/main.py"
SLICE_S = 0.001


class Plant:
    """The stimulating Pico: each slice of time it goes first, then the meter sees its edges at the very moments they came."""

    def __init__(self, image: Path, rig: PicoRig) -> None:
        self.board = Pico(image)
        self.board.files({"main.py": PROGRAM.read_bytes()})
        self.board.on()
        self.usb = Terminal()
        self._edges: list[tuple[float, bool]] = []
        self._rig = rig
        self.board.watch(PLANT_PIN, lambda level, now: self._edges.append((now, level)))
        rig.pump.before = self.step

    def step(self, seconds: float) -> None:
        """Run for `seconds`, then hand the edges over."""
        self.board.usb.send(self.usb.read())
        began = self.board.now
        self.board.run_for(seconds)
        meter = self._rig.board
        for moment, level in self._edges:
            meter.at(moment - began, lambda level=level: meter.drive(PULSE_PIN, level))  # type: ignore[misc]
        self._edges.clear()
        if self.board.usb.received:
            self.usb.write(bytes(self.board.usb.received))
            self.board.usb.received.clear()


@pytest.fixture
def bench(meter_uf2: Path, pico_uf2: Path) -> Iterator[tuple[PicoRig, SerialRig]]:
    with PicoRig(PROFILE, image=meter_uf2) as meter:
        plant = Plant(pico_uf2, meter)

        def sleep(seconds: float) -> None:
            end = meter.now() + seconds
            while meter.now() < end:
                time.sleep(0.005)

        with SerialRig(meter.url, plant.usb.url, {0: PLANT_PIN}, hertz=500.0, clock=meter.now, sleep=sleep) as rig:
            yield meter, rig
        plant.usb.close()


@pytest.mark.pico
@slow
def test_pulses_of_one_pico_are_counted_by_the_other(bench: tuple[PicoRig, SerialRig]) -> None:
    _, rig = bench
    with connect(rig.url, address=1, clock=rig.now) as meter:
        rig.stimulus.pulses(0, 120)
        rig.clock.settle()
        assert meter.registers().registers[0].amount.whole == 120
        rig.stimulus.pulses(0, 1)
        rig.clock.settle()
        assert meter.registers().registers[0].amount.whole == 121
    with pytest.raises(UsageError, match="expected a wired channel"):
        rig.stimulus.pulses(3, 1)
    with pytest.raises(UsageError, match="no switch"):
        rig.power.off()
    with pytest.raises(StimulatorError, match="no verb explode"):
        rig._plant.ask("explode")


def test_a_port_without_a_stimulator_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stimulator, "ANSWER_S", 0.05)
    master, slave = pty.openpty()
    tty.setraw(slave)
    plant = Stimulator(os.ttyname(slave))
    with pytest.raises(NoReply, match=r"is its main.py on that board\?"):
        plant.level(2, True)
    plant.close()
    os.close(master)
    os.close(slave)
