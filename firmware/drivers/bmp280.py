"""BMP280 absolute pressure and temperature sensor on I2C.

Source: Bosch Sensortec, BST-BMP280-DS001, chapters 3.11, 3.12, 4 and 8.1. Registers, fields and 80000H for
"skipped" checked on 2026-11-25 against Linux (drivers/iio/pressure/bmp280.h).
"""

import struct

from micropython import const

from .counter import MISSING

ADDRESS = const(0x76)
_CHIP_ID = const(0xD0)
_BMP280, _BME280 = const(0x58), const(0x60)
_CALIBRATION = const(0x88)
_CONTROL = const(0xF4)
_CONFIG = const(0xF5)
_DATA = const(0xF7)
_RUN = const(0x57)
"""Temperature oversampled twice, pressure sixteen times, normal mode: 0b010_101_11."""
_FILTER = const(0xA8)
"""Once a second, IIR filter of 4 samples: 0b101_010_00."""
_SKIPPED = const(0x80000)
_PRESSURE_RANGE = (30000, 110000)
_TEMPERATURE_RANGE = (-4000, 8500)
_ZERO_CELSIUS = const(27315)


class Reading:
    """A condition's input; `value` is a small integer or MISSING."""

    def __init__(self):
        self.value = MISSING


class Bmp280:
    """The sensor at `address` on `i2c` (`readfrom_mem_into`, `writeto_mem`). BME280 does as well.

    `pressure.value` in Pa, `temperature.value` in 0.01 K. Both are MISSING while the chip is away, unset after a reset of its own,
    or outside the range of its datasheet (300 to 1,100 hPa, -40 to 85 °C). `errors` counts transfers that failed.
    """

    def __init__(self, i2c, address=ADDRESS, period=1000):
        self.pressure = Reading()
        self.temperature = Reading()
        self.errors = 0
        self.healthy = False
        self._i2c = i2c
        self._address = address
        self._period = period
        self._since = period
        self._calibration = None
        self._buffer = bytearray(6)
        self._byte = memoryview(self._buffer)[:1]

    def poll(self, passed):
        """Read the chip if `period` milliseconds have passed, `passed` of them since the last call."""
        self._since += passed
        if self._since < self._period:
            return
        self._since = 0
        try:
            if self._calibration is None:
                self._start()
            elif self._read(_CONTROL) != _RUN:
                self._calibration = None
                self._lose()
                self._start()
            else:
                self._measure()
        except OSError:
            self.errors += 1
            self.healthy = False
            self._lose()

    def _start(self):
        if self._read(_CHIP_ID) not in (_BMP280, _BME280):
            raise OSError
        data = bytearray(24)
        self._i2c.readfrom_mem_into(self._address, _CALIBRATION, data)
        self._i2c.writeto_mem(self._address, _CONFIG, bytes((_FILTER,)))
        self._i2c.writeto_mem(self._address, _CONTROL, bytes((_RUN,)))
        self._calibration = struct.unpack("<HhhHhhhhhhhh", data)

    def _measure(self):
        data = self._buffer
        self._i2c.readfrom_mem_into(self._address, _DATA, data)
        pressure = data[0] << 12 | data[1] << 4 | data[2] >> 4
        temperature = data[3] << 12 | data[4] << 4 | data[5] >> 4
        if _SKIPPED in (pressure, temperature):
            self._lose()
            return
        celsius, pascal = compensate(self._calibration, temperature, pressure)
        self.healthy = True
        low, high = _TEMPERATURE_RANGE
        self.temperature.value = celsius + _ZERO_CELSIUS if low <= celsius <= high else MISSING
        low, high = _PRESSURE_RANGE
        self.pressure.value = pascal if low <= pascal <= high else MISSING

    def _lose(self):
        self.pressure.value = self.temperature.value = MISSING

    def _read(self, register):
        self._i2c.readfrom_mem_into(self._address, register, self._byte)
        return self._buffer[0]


def compensate(calibration, temperature, pressure):
    """(0.01 °C, Pa rounded to nearest) of two raw readings, in the datasheet's 64-bit integers (3.11.3)."""
    t1, t2, t3, p1, p2, p3, p4, p5, p6, p7, p8, p9 = calibration
    fine = ((temperature >> 3) - (t1 << 1)) * t2 >> 11
    square = (temperature >> 4) - t1
    fine += (square * square >> 12) * t3 >> 14
    var1 = fine - 128000
    var2 = var1 * var1 * p6 + (var1 * p5 << 17) + (p4 << 35)
    var1 = (var1 * var1 * p3 >> 8) + (var1 * p2 << 12)
    var1 = ((1 << 47) + var1) * p1 >> 33
    if not var1:
        return (fine * 5 + 128) >> 8, 0
    p = (((1048576 - pressure) << 31) - var2) * 3125
    p = p // var1 if p >= 0 else -(-p // var1)
    var1 = p9 * (p >> 13) * (p >> 13) >> 25
    var2 = p8 * p >> 19
    p = (p + var1 + var2 >> 8) + (p7 << 4)
    return (fine * 5 + 128) >> 8, (p + 128) >> 8


def wire(wiring, spec):
    """The quantity that a line of board.json names (`firmware.boards.wiring`)."""
    address = spec.get("address", ADDRESS)
    chip = wiring.chip(("bmp280", spec["i2c"], address), lambda: Bmp280(wiring.bus("i2c", spec), address))
    return chip.temperature if spec["driver"] == "bmp280.temperature" else chip.pressure
