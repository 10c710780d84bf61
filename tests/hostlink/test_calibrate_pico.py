"""Calibration of an energy chip on the emulated Pico: its UART, its driver in the image, the adjustment in its flash."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from hostlink.calibrate.plan import Plan, Step
from hostlink.calibrate.run import Calibration
from hostlink.meter import Meter, connect
from hostlink.profile import ready
from hostlink.profile.compiler import compile_profile
from protocol import parameters
from testbench.chips.bl0942 import Bl0942Chip
from testbench.rigs.pico import PicoRig, board_config

CHANNEL = {"driver": "bl0942", "uart": 1, "tx": 4, "rx": 5, "baud": 9600, "per_second": 20_000}
QUANTA = 10_000
ERROR = -0.047
STEP = Step(name="full load", adjust="gain", limit=1000, plausible=60_000, channel=0)
MADE, *_ = compile_profile(ready.load("electricity"))


@pytest.fixture
def bench(meter_uf2: Path) -> Iterator[tuple[PicoRig, Bl0942Chip]]:
    """A meter with the chip on its second UART, some percent wrong."""
    config = board_config()
    config["channels"] = [CHANNEL]
    with PicoRig(bytes(MADE.data), config=config, image=meter_uf2) as rig:
        chip = rig.chips.channels[0]
        chip.gain_error = ERROR
        yield rig, chip


def calibrate(rig: PicoRig, chip: Bl0942Chip, meter: Meter) -> dict[str, object]:
    def feed(_serial: str, _step: str) -> Fraction:
        with rig.pump.lock:
            chip.load(QUANTA)
        return Fraction(QUANTA)

    job = Calibration(meter, feed, 2.5, lambda seconds: rig.advance(round(1000 * seconds)))
    job.run(Plan((STEP,), ("bench",)), "TONNE-0001", None, False, lambda *_: None)
    return job.record[0]


@pytest.mark.pico
@pytest.mark.slow
def test_a_chips_gain_is_found_and_outlives_a_power_cut(bench: tuple[PicoRig, Bl0942Chip]) -> None:
    rig, chip = bench
    rig.advance(2500)
    with connect(rig.url, address=1, clock=rig.now) as meter:
        found = calibrate(rig, chip, meter)
        assert abs(found["before"] - 1e6 * ERROR) < 300 and found["adjusted"]  # type: ignore[operator]
        assert abs(found["after"]) <= 200  # type: ignore[arg-type]
        gain = meter.parameter(parameters.CALIBRATION).fields["gain"]
        assert gain == pytest.approx(1e6 / (1 + ERROR) - 1e6, abs=300)
        rig.power.off()
        rig.power.on()
        rig.advance(2500)
        again = calibrate(rig, chip, meter)
        assert not again["adjusted"] and abs(again["before"]) <= 200  # type: ignore[arg-type]
        assert meter.parameter(parameters.CALIBRATION).fields["gain"] == gain
