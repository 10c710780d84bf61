"""The BMP280 driver: the data sheet's compensation, and a sensor that is lost and found."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.drivers.bmp280 import Bmp280, compensate
from firmware.drivers.counter import MISSING
from testbench.chips import bmp280
from tests.firmware.buses import I2c, poll


def test_bmp280_compensation_is_the_datasheets_example() -> None:
    celsius, pascal = compensate(bmp280.CALIBRATION, *bmp280.EXAMPLE)
    assert celsius == 2508
    assert pascal == 100653  # 100,653.27 Pa


@settings(max_examples=300, deadline=None)
@given(st.integers(200_000, 800_000), st.integers(100_000, 900_000))
def test_bmp280_integers_agree_with_the_datasheets_formula_in_doubles(temperature: int, pressure: int) -> None:
    t1, t2, t3, p1, p2, p3, p4, p5, p6, p7, p8, p9 = bmp280.CALIBRATION
    fine = (temperature / 16384 - t1 / 1024) * t2 + (temperature / 131072 - t1 / 8192) ** 2 * t3
    var1 = fine / 2 - 64000
    var2 = var1 * var1 * p6 / 32768 + var1 * p5 * 2
    var2 = var2 / 4 + p4 * 65536
    var1 = (p3 * var1 * var1 / 524288 + p2 * var1) / 524288
    var1 = (1 + var1 / 32768) * p1
    p = (1048576 - pressure - var2 / 4096) * 6250 / var1
    p += (p9 * p * p / 2147483648 + p * p8 / 32768 + p7) / 16
    celsius, pascal = compensate(bmp280.CALIBRATION, temperature, pressure)
    assert celsius == pytest.approx(fine / 51.2, abs=1.01)
    assert pascal == pytest.approx(p, abs=2.0)


def test_bmp280_measures_is_lost_and_found_again() -> None:
    chip = bmp280.Bmp280Chip()
    sensor = Bmp280(I2c(chip, 0x76))
    assert sensor.pressure.value == sensor.temperature.value == MISSING
    poll(sensor, 2000)
    assert (sensor.pressure.value, sensor.temperature.value) == (100653, 29823)
    chip.reset()
    poll(sensor, 1000)
    assert sensor.pressure.value == MISSING, "a reset chip sleeps; its old value is not one"
    poll(sensor, 2000)
    assert sensor.pressure.value == 100653
    chip.present = False
    poll(sensor, 1000)
    assert sensor.temperature.value == MISSING
    assert sensor.errors == 1
    chip.present = True
    poll(sensor, 1000)
    assert sensor.temperature.value == 29823
    chip.raw(519888, 900000)
    poll(sensor, 1000)
    assert sensor.pressure.value == MISSING, "below the sensor's range"


# DS3231
