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
from protocol import events, messages
from protocol.image import Image
from testbench import series as measured
from testbench import stimulator
from testbench.demo import gas_profile
from testbench.emulators.pico import Pico
from testbench.rigs.pico import PULSE_PIN, PicoRig, Terminal
from testbench.rigs.serial import SerialRig
from testbench.stimulator import Stimulator, StimulatorError

PROFILE, _ = gas_profile(measured.CUBIC_FOOT)
PULSE, POWER, FILTER = 2, 3, 4
PROGRAM = Path(stimulator.__file__).parent / "device/main.py"


class Plant:
    """The stimulating Pico: each slice of time it goes first, then the meter sees its edges at the very moments they came.

    Its GPIO 2 is wired to the meter's pulse input, GPIO 3 to the switch in the meter's supply, GPIO 4 to an RC filter.
    """

    def __init__(self, image: Path, rig: PicoRig) -> None:
        self.board = Pico(image)
        self.board.files({"main.py": PROGRAM.read_bytes()})
        self.board.on()
        self.usb = Terminal()
        self.high_s = 0.0
        """Seconds that GPIO 4 was high."""
        self._rose: float | None = None
        self._edges: list[tuple[float, bool]] = []
        self._switched: bool | None = None
        self._rig = rig
        self.board.watch(PULSE, lambda level, now: self._edges.append((now, level)))
        self.board.watch(POWER, lambda level, _: setattr(self, "_switched", level))
        self.board.watch(FILTER, self._filtered)
        rig.pump.before = self.step

    @property
    def now(self) -> float:
        return self.board.now

    def step(self, seconds: float) -> None:
        """Run for `seconds`, then hand the edges over."""
        self.board.usb.send(self.usb.read())
        began = self.board.now
        self.board.run_for(seconds)
        meter = self._rig.board
        if self._switched is True and not meter.powered:
            meter.on()
            meter.drive(PULSE_PIN, True)
        elif self._switched is False and meter.powered:
            meter.off()
        for moment, level in self._edges:
            if meter.powered:
                meter.at(moment - began, lambda level=level: meter.drive(PULSE_PIN, level))  # type: ignore[misc]
        self._edges.clear()
        if self.board.usb.received:
            self.usb.write(bytes(self.board.usb.received))
            self.board.usb.received.clear()

    def _filtered(self, level: bool, now: float) -> None:
        if level:
            self._rose = now
        elif self._rose is not None:
            self.high_s += now - self._rose
            self._rose = None


@pytest.fixture
def bench(meter_uf2: Path, pico_uf2: Path) -> Iterator[tuple[Plant, SerialRig]]:
    with PicoRig(PROFILE, image=meter_uf2) as meter:
        plant = Plant(pico_uf2, meter)

        def sleep(seconds: float) -> None:
            end = plant.now + seconds
            while plant.now < end:
                meter.pump.check()
                time.sleep(0.005)

        wired = {"conditions": {0: (FILTER, 0, 200_000)}, "power_pin": POWER}
        with SerialRig(
            meter.url, plant.usb.url, {0: PULSE}, hertz=500.0, start_s=1.0, clock=lambda: plant.now, sleep=sleep, **wired
        ) as rig:  # type: ignore[arg-type]
            yield plant, rig
        plant.usb.close()


@pytest.mark.pico
@pytest.mark.slow
def test_one_pico_makes_pulses_conditions_and_power_cuts_for_the_other(bench: tuple[Plant, SerialRig]) -> None:
    plant, rig = bench
    with connect(rig.url, address=1, clock=rig.now) as meter:
        rig.stimulus.pulses(0, 120)
        rig.clock.settle()
        assert meter.registers().registers[0].amount.whole == 120
        rig.stimulus.pulses(0, 1)
        rig.clock.settle()
        assert meter.registers().registers[0].amount.whole == 121

        rig.power.off()
        with pytest.raises(NoReply):
            meter.ask(messages.READING, timeout=0.1, retries=0)
        rig.stimulus.pulses(0, 5)
        rig.power.on()
        kept = meter.registers().registers[0].amount.whole
        assert 121 - Image(PROFILE).header[12] <= kept <= 121, "what was counted since the last commit is lost at most"
        assert meter.status()["reset"] == events.RESET_POWER
        rig.stimulus.pulses(0, 30)
        rig.clock.settle()
        assert meter.registers().registers[0].amount.whole == kept + 30

    rig.stimulus.condition(0, 50_000)
    began, before = plant.now, plant.high_s
    rig.clock.advance(20)
    assert (plant.high_s - before) / (plant.now - began) == pytest.approx(0.25, abs=0.02)
    rig.stimulus.condition(0, None)
    rig.clock.advance(2)
    before = plant.high_s
    rig.clock.advance(10)
    assert plant.high_s == before
    for refuses, said in (
        (lambda: rig.stimulus.condition(0, 200_001), "expected 0 to 200000 at input 0"),
        (lambda: rig.stimulus.condition(1, 0), "expected a wired input"),
        (lambda: rig.stimulus.pulses(3, 1), "expected a wired channel"),
    ):
        with pytest.raises(UsageError, match=said):
            refuses()
    with pytest.raises(StimulatorError, match="no verb explode"):
        rig._plant.ask("explode")


def test_a_bench_without_a_switch_says_so() -> None:
    master, slave = pty.openpty()
    with SerialRig("loop://", os.ttyname(slave), {}) as rig, pytest.raises(UsageError, match="no switch in the meter's supply"):
        rig.power.off()
    os.close(master)
    os.close(slave)


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
