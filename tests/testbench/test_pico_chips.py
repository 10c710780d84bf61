"""The meter on an emulated Pico with chips on every bus: what their models count and measure is what it registers and reads."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hostlink import events
from hostlink.errors import UsageError
from hostlink.meter import connect
from hostlink.profile.image import Channel, Condition, ProfileImage, Register, Term
from protocol import events as kinds
from protocol import registers as r
from protocol import status as flags
from testbench.rigs.pico import PULSE_PIN, PicoRig, board_config

pytestmark = pytest.mark.pico

START = 1_767_225_600
SPI = {"spi": 0, "sck": 18, "mosi": 19, "miso": 16}
I2C = {"i2c": 0, "sda": 20, "scl": 21}
LINE = {"uart": 1, "tx": 8, "rx": 9, "baud": 9600}
PULSES = {"driver": "pulse", "pin": PULSE_PIN, "settle_us": 100}
POLL_MS = 2600
"""Two rounds of the drivers, which ask their chips once a second."""


def profile(channels: int, conditions: int) -> bytes:
    """Energy channels that each have their CO2, and conditions that are only measured."""
    ranges = [(r.PRESSURE, r.PASCAL, 0, 30_000, 110_000), (r.TEMPERATURE, r.KELVIN, -2, 23_315, 35_815)]
    return ProfileImage(
        "chips",
        [Channel(r.ENERGY, r.WATT_HOUR, 0, 1, 1_000_000) for _ in range(channels)],
        [Register(r.CO2, r.EMITTED, r.GRAM, -3) for _ in range(channels)],
        [Term(n, n, 1 << 40, 0) for n in range(channels)],
        [Condition(*which, n, low, high, low) for n, (*which, low, high) in enumerate(ranges[:conditions])],
    ).pack()


def meter_with(image: Path, channels: list[dict], inputs: list[dict], **more: object) -> PicoRig:
    config = board_config(**more) | {"channels": channels, "inputs": inputs}  # type: ignore[arg-type]
    return PicoRig(profile(len(channels), len(inputs)), config=config, image=image)


def test_energy_chips_a_sensor_and_a_clock(meter_uf2: Path) -> None:
    channels = [
        {"driver": "bl0942", **LINE, "per_second": 2000},
        {"driver": "atm90e32", **SPI, "select": 17, "per_second": 2000, "settings": {"31": 2145}},
        PULSES,
    ]
    inputs = [{"driver": "bmp280.pressure", **I2C}, {"driver": "bmp280.temperature", "i2c": 0}]
    with meter_with(meter_uf2, channels, inputs, rtc={"i2c": 0}) as rig:
        rig.condition(0, 95_000)
        rig.condition(1, 29_000)
        rig.advance(POLL_MS)
        with connect(rig.url, address=1, clock=rig.now) as meter:
            meter.set_clock(START)
            for channel, count in ((0, 700), (1, 900), (2, 30)):
                rig.pulses(channel, count)
            rig.advance(POLL_MS)
            assert [e.amount.whole for e in meter.registers().registers[:3]] == [700, 900, 30]
            (pressure, _), (temperature, _) = meter.inputs()
            assert pressure is not None and abs(pressure - 95_000) <= 1
            assert temperature is not None and abs(temperature - 29_000) <= 1
            assert rig.chips.channels[1].registers[0x31] == 2145, "the chip has its calibration"

            rig.chips.channels[0].reset()
            rig.chips.channels[1].reset()
            rig.condition(1, None)
            rig.advance(2 * POLL_MS)
            assert meter.inputs() == [(None, None), (None, None)]
            assert meter.reading().status & flags.COUNTER_JUMP
            assert rig.chips.channels[1].registers[0x31] == 2145, "and gets it again after a reset"
            rig.pulses(0, 50)
            rig.pulses(1, 60)
            rig.condition(1, 30_000)
            rig.advance(POLL_MS)
            shown = [e.amount.whole for e in meter.registers().registers[:3]]
            assert shown == [750, 960, 30]
            assert abs((meter.inputs()[1][0] or 0) - 30_000) <= 1

            assert rig.chips.rtc is not None
            assert abs((rig.chips.rtc.time - datetime.fromtimestamp(START, UTC)).total_seconds()) <= 1
            rig.power.off()
            rig.power.on()
            clock = meter.clock()
            assert clock.valid and abs(clock.utc.timestamp() - START) <= 2, "the DS3231 kept it; the model's stands still"
            assert [e.amount.whole for e in meter.registers().registers[:3]] <= shown
            assert kinds.POWER_UP in {event.kind for event in events.read(meter, kinds.ORDINARY)}


@pytest.mark.slow
def test_modbus_a_current_loop_and_the_other_energy_chip(meter_uf2: Path) -> None:
    channels = [
        {"driver": "modbus", **LINE, "unit": 3, "first": 8, "per_second": 2000},
        {"driver": "atm90e26", **SPI, "select": 17, "per_second": 2000},
    ]
    inputs = [
        {"driver": "modbus", "uart": 1, "unit": 17, "first": 16, "numerator": 100},
        {"driver": "current_loop", "adc": 27, "milliohms": 150_000, "low": 23_315, "high": 35_815},
    ]
    with meter_with(meter_uf2, channels, inputs) as rig:
        rig.condition(0, 95_000)
        rig.condition(1, 29_815)
        rig.pulses(0, 1 << 20)
        rig.advance(POLL_MS)
        with connect(rig.url, address=1, clock=rig.now) as meter:
            rig.pulses(0, 400)
            rig.pulses(1, 500)
            rig.advance(POLL_MS)
            assert [e.amount.whole for e in meter.registers().registers[:2]] == [400, 500]
            (pressure, _), (temperature, _) = meter.inputs()
            assert pressure == 95_000
            assert temperature is not None and abs(temperature - 29_815) <= 12_500 // 600, "12 bits over 0 to 3.3 V"
            with pytest.raises(UsageError, match="one of the board's 2 inputs, got 2"):
                rig.condition(2, 0)
            rig.condition(0, None)
            rig.condition(1, None)
            rig.advance(5000)
            assert meter.inputs() == [(None, None), (None, None)]
