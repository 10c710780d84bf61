"""Drivers against models of their chips: counts, wraps, resets, silence, noise. The drivers are the device's own modules."""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if "micropython" not in sys.modules:  # CPython: the compiler of the device folds const()
    sys.modules["micropython"] = ModuleType("micropython")
    sys.modules["micropython"].const = lambda value: value  # type: ignore[attr-defined]

from firmware.drivers.atm90 import Atm90, Atm90e26, Atm90e32
from firmware.drivers.bl0942 import Bl0942, Power
from firmware.drivers.bmp280 import Bmp280, compensate
from firmware.drivers.counter import MISSING, Counter
from firmware.drivers.ds3231 import Ds3231
from firmware.drivers.modbus import HOLDING, INPUT, ModbusLine, Quantity, Total
from firmware.drivers.rs485 import Rs485
from protocol.status import COUNTER_JUMP
from testbench.chips import bmp280
from testbench.chips.atm90 import Atm90e26Chip, Atm90e32Chip
from testbench.chips.bl0942 import Bl0942Chip
from testbench.chips.ds3231 import Ds3231Chip
from testbench.chips.modbus import ModbusInstrument

POLL_MS = 50


class Uart:
    """The wire between a driver's UART and a chip that answers at once; `noise` spoils what comes back."""

    def __init__(self, *chips: Bl0942Chip | ModbusInstrument) -> None:
        self._chips = chips
        self._rx = bytearray()
        self.sent: list[bytes] = []
        self.noise = lambda data: data

    def write(self, data: bytes) -> None:
        self.sent.append(bytes(data))
        for chip in self._chips:
            self._rx += self.noise(chip.receive(bytes(data)))

    def any(self) -> int:
        return len(self._rx)

    def readinto(self, buffer: memoryview | bytearray, size: int = -1) -> int:
        size = min(len(buffer) if size < 0 else size, len(self._rx))
        buffer[:size] = self._rx[:size]
        del self._rx[:size]
        return size


class Spi:
    """The wire to a chip on SPI."""

    def __init__(self, chip: Atm90e26Chip | Atm90e32Chip) -> None:
        self.chip = chip

    def write_readinto(self, out: bytes, into: bytearray) -> None:
        into[:] = bytes(self.chip.exchange(byte) for byte in out)


class I2c:
    """The wire to a chip on I2C."""

    def __init__(self, chip: bmp280.Bmp280Chip | Ds3231Chip, address: int) -> None:
        self.chip = chip
        self._address = address

    def readfrom_mem_into(self, address: int, register: int, buffer: bytearray | memoryview) -> None:
        self._check(address)
        buffer[:] = self.chip.read(register, len(buffer))

    def writeto_mem(self, address: int, register: int, data: bytes) -> None:
        self._check(address)
        self.chip.write(register, data)

    def _check(self, address: int) -> None:
        if address != self._address or not self.chip.present:
            raise OSError(5)


def poll(driver: object, milliseconds: int) -> None:
    for _ in range(milliseconds // POLL_MS):
        if isinstance(driver, Atm90):
            driver._spi.chip.pause()
        driver.poll(POLL_MS)  # type: ignore[attr-defined]


def take(driver: object) -> tuple[int, int]:
    """(count, flags) since the last call."""
    counts = [0, 0, 0, 0]
    flags = driver.take(counts, 2)  # type: ignore[attr-defined]
    assert counts[:2] == [0, 0]
    return counts[2] | counts[3] << 16, flags


# The counter every driver follows its chip with


@settings(max_examples=200, deadline=None)
@given(st.integers(0, (1 << 24) - 1), st.lists(st.integers(0, 1000), max_size=60))
def test_a_free_running_counter_loses_nothing_over_its_wraps(start: int, steps: list[int]) -> None:
    counter = Counter(per_second=1000, bits=24)
    counter.follow(start)
    shown = start
    for step in steps:
        shown = (shown + step) & 0xFFFFFF
        counter.passed += 1000
        counter.follow(shown)
    counts = [0, 0]
    assert counter.take(counts, 0) == 0
    assert counts[0] | counts[1] << 16 == sum(steps)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, (1 << 24) - 1), st.integers(0, (1 << 24) - 1))
def test_a_counter_that_moved_too_far_is_flagged_and_not_counted(before: int, after: int) -> None:
    counter = Counter(per_second=1000, bits=24)
    counter.follow(before)
    counter.passed = 500
    counter.follow(after)
    counts = [0, 0]
    flags = counter.take(counts, 0)
    moved = (after - before) % (1 << 24)
    assert (counts[0] | counts[1] << 16, flags) == ((moved, 0) if moved <= 1500 else (0, COUNTER_JUMP))
    assert counter.take(counts, 0) == 0


# BL0942


def test_bl0942_counts_what_the_chip_counts() -> None:
    chip = Bl0942Chip(address=2)
    driver = Bl0942(Uart(chip), per_second=200, address=2)
    chip.energy(777)
    poll(driver, 3000)
    assert take(driver) == (0, 0), "what the chip counted before the driver saw it is not the meter's"
    random_ = random.Random(1)
    total = counted = 0
    for _ in range(100):
        step = random_.randrange(200)
        total += step
        chip.energy(step)
        poll(driver, 1000)
        counted += take(driver)[0]
    poll(driver, 1000)
    assert counted + take(driver)[0] == total
    assert driver.errors == driver.counter.jumps == 0


def test_bl0942_counter_wraps_and_a_reset_is_told_from_a_wrap() -> None:
    chip = Bl0942Chip()
    driver = Bl0942(Uart(chip), per_second=200)
    poll(driver, 3000)
    chip.registers[0x07] = 0xFFFFF0
    poll(driver, 3000)
    assert take(driver) == (0, COUNTER_JUMP), "16 M pulses in a second are no pulses"
    chip.energy(40)
    poll(driver, 1100)
    assert take(driver) == (40, 0)
    chip.registers[0x07] = 0xFFFFF0
    poll(driver, 1100)
    take(driver)
    chip.reset()
    chip.energy(4)
    poll(driver, 3000)
    assert take(driver) == (0, COUNTER_JUMP), "the counter alone would look like a wrap of 20"
    chip.energy(7)
    poll(driver, 1100)
    assert take(driver) == (7, 0)


def test_bl0942_noise_and_silence_lose_nothing() -> None:
    chip = Bl0942Chip()
    uart = Uart(chip)
    driver = Bl0942(uart, per_second=200)
    poll(driver, 2000)
    random_ = random.Random(3)

    def noise(data: bytes) -> bytes:
        if data and random_.random() < 0.5:
            spoilt = bytearray(data)
            spoilt[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
            return bytes(spoilt[: random_.randrange(1, len(data) + 1)])
        return data

    uart.noise = noise
    total = counted = 0
    for second in range(200):
        chip.silent = second % 20 > 16
        chip.energy(150)
        total += 150
        poll(driver, 1000)
        counted += take(driver)[0]
    uart.noise = lambda data: data
    chip.silent = False
    poll(driver, 2000)
    assert counted + take(driver)[0] == total
    assert driver.errors > 50
    assert driver.counter.jumps == 0


def test_bl0942_power_is_a_condition() -> None:
    chip = Bl0942Chip()
    driver = Bl0942(Uart(chip), per_second=200)
    power = Power(driver)
    assert power.value == MISSING
    chip.registers[0x06] = 0x1000000 - 5000
    poll(driver, 3000)
    assert (driver.watt, power.value) == (-5000, 5000)


# ATM90


def atm90(which: str) -> tuple[Atm90, Atm90e26Chip | Atm90e32Chip]:
    if which == "E26":
        chip: Atm90e26Chip | Atm90e32Chip = Atm90e26Chip()
        driver: Atm90 = Atm90e26(Spi(chip), chip.select, 500, ((0x21, 0x0012), (0x22, 0xC68A), (0x31, 0x7B5A)))
    else:
        chip = Atm90e32Chip()
        driver = Atm90e32(Spi(chip), chip.select, 500, ((0x31, 0x0012), (0x32, 0xC68A), (0x33, 0x0185)))
    return driver, chip


@pytest.mark.parametrize("which", ["E26", "E32"])
def test_atm90_is_set_up_and_its_energy_counted(which: str) -> None:
    driver, chip = atm90(which)
    chip.energy(99)
    poll(driver, 3000)
    assert take(driver) == (0, 0)
    plconst = 0x21 if which == "E26" else 0x31
    assert (chip.registers[plconst], chip.registers[plconst + 1]) == (0x0012, 0xC68A)
    assert chip.registers.get(0x01, 0) & 0xF000 == 0, "the chip's own check of the calibration sums"
    for steps in (1, 500, 17, 0, 300):
        chip.energy(steps)
        poll(driver, 1000)
        assert take(driver) == (steps, 0)


@pytest.mark.parametrize("which", ["E26", "E32"])
def test_atm90_reset_is_flagged_and_the_chip_set_up_again(which: str) -> None:
    driver, chip = atm90(which)
    poll(driver, 3000)
    take(driver)
    chip.energy(100)
    chip.reset()
    poll(driver, 2000)
    assert take(driver) == (0, COUNTER_JUMP)
    chip.energy(5)
    poll(driver, 1000)
    assert take(driver) == (5, 0)


@pytest.mark.parametrize("which", ["E26", "E32"])
def test_atm90_a_disturbed_reading_is_taken_from_last_data(which: str) -> None:
    driver, chip = atm90(which)
    poll(driver, 3000)
    take(driver)
    running = 2 if which == "E26" else 1
    chip.energy(123)
    chip.disturb = [0] * running + [0x0040]
    poll(driver, 1000)
    assert take(driver) == (123, 0)
    chip.energy(50)
    chip.disturb = [0] * running + [1, 2, 4, 8, 16]
    poll(driver, 1000)
    assert take(driver) == (0, COUNTER_JUMP), "what cannot be read twice alike is not counted"
    assert driver.errors == 1


def test_atm90_unread_for_longer_than_its_register_lasts_is_flagged() -> None:
    driver, chip = atm90("E32")
    poll(driver, 3000)
    take(driver)
    chip.energy(65536 + 10)
    driver.poll(132_000)
    assert take(driver)[1] == COUNTER_JUMP


def test_atm90_that_does_not_answer_is_an_error_and_counts_nothing() -> None:
    driver, chip = atm90("E26")
    driver.is_running = lambda: False  # type: ignore[method-assign]
    poll(driver, 3000)
    assert driver.errors == 3
    assert take(driver) == (0, 0)
    del chip


# BMP280


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


@settings(max_examples=300, deadline=None)
@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31, 23, 59, 59)))
def test_ds3231_keeps_every_second_of_its_century(moment: datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    chip = Ds3231Chip()
    clock = Ds3231(I2c(chip, 0x68))
    assert clock.read() is None, "its oscillator had stopped"
    day, second = divmod(int(moment.timestamp()), 86400)
    clock.write(day, second)
    assert chip.time == moment
    assert chip.memory[3] == moment.isoweekday()
    assert clock.read() == (day, second)


def test_ds3231_that_is_away_or_holds_nonsense_gives_no_time() -> None:
    chip = Ds3231Chip()
    clock = Ds3231(I2c(chip, 0x68))
    clock.write(20000, 0)
    chip.memory[5] = 0x13
    assert clock.read() is None
    chip.present = False
    assert clock.read() is None
    with pytest.raises(OSError):
        clock.write(20000, 0)


# Modbus


def test_modbus_concentration_and_total() -> None:
    analyser, flow = ModbusInstrument(17), ModbusInstrument(18)
    analyser.set(INPUT, 0x10, 412)
    flow.set(HOLDING, 100, 0xFFFFFFF0, words=2)
    concentration = Quantity(17, 0x10, numerator=100)
    total = Total(18, 100, per_second=50, function=HOLDING)
    line = ModbusLine(Uart(analyser, flow), (concentration, total))
    poll(line, 2000)
    assert concentration.value == 41200
    assert take(total) == (0, 0)
    flow.set(HOLDING, 100, 0x14, words=2)
    poll(line, 1100)
    assert take(total) == (36, 0), "over the wrap of 32 bits"
    flow.set(HOLDING, 100, 0, words=2)
    poll(line, 1100)
    assert take(total) == (0, COUNTER_JUMP)
    assert line.errors == 0


def test_modbus_signed_scaled_and_out_of_range() -> None:
    unit = ModbusInstrument(1)
    unit.set(INPUT, 0, 0x10000 - 40)
    kelvin = Quantity(1, 0, numerator=10, offset=27315, signed=True)
    line = ModbusLine(Uart(unit), (kelvin,))
    poll(line, 2000)
    assert kelvin.value == 27315 - 400
    unit.set(INPUT, 0, 0x8000)
    poll(line, 1100)
    assert kelvin.value == MISSING


def test_modbus_one_miss_keeps_the_value_two_lose_it() -> None:
    unit = ModbusInstrument(1)
    unit.set(INPUT, 0, 5)
    point = Quantity(1, 0)
    line = ModbusLine(Uart(unit), (point,))
    poll(line, 2000)
    unit.silent = True
    while not line.errors:
        line.poll(POLL_MS)
    assert point.value == 5
    poll(line, 1100)
    assert point.value == MISSING
    unit.silent = False
    poll(line, 2100)
    assert point.value == 5


def faulty(answer: bytes) -> list[bytes]:
    """Wrong answers by the dozen: wrong unit, function, size, CRC, cut, echoed, none."""
    wrong_unit = bytes([answer[0] + 1]) + answer[1:]
    wrong_function = answer[:1] + b"\x03" + answer[2:]
    wrong_size = answer[:2] + b"\x04" + answer[3:]
    wrong_crc = answer[:-1] + bytes([answer[-1] ^ 1])
    flipped = [bytes([b ^ (n == at) for n, b in enumerate(answer)]) for at in range(len(answer))]
    return [
        wrong_unit,
        wrong_function,
        wrong_size,
        wrong_crc,
        answer[:-2],
        b"",
        bytes([1, 0x84, 2, 0xC2, 0xC1]),
        *flipped,
    ]


def test_modbus_takes_no_wrong_answer() -> None:
    unit = ModbusInstrument(1)
    unit.set(INPUT, 0, 0x1234)
    good = unit.receive(bytes.fromhex("010400000001") + bytes.fromhex("31ca"))
    for wrong in faulty(good):
        uart = Uart(unit)
        uart.noise = lambda data, wrong=wrong: wrong if data else data
        point = Quantity(1, 0)
        line = ModbusLine(uart, (point,))
        poll(line, 3000)
        assert point.value == MISSING, wrong.hex()
        assert line.errors


def test_rs485_drives_the_line_only_while_it_sends() -> None:
    unit = ModbusInstrument(1)
    unit.set(INPUT, 0, 7)
    uart = Uart(unit)
    trace: list[object] = []
    uart.flush = lambda: trace.append("sent")  # type: ignore[attr-defined]
    line = Rs485(uart, trace.append)
    point = Quantity(1, 0)
    poll(ModbusLine(line, (point,)), 2000)
    assert point.value == 7
    assert trace[:4] == [0, 1, "sent", 0]
