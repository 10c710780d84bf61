"""The BL0942 driver against a model of its chip: counts, wraps, resets, noise, silence."""

from __future__ import annotations

import random

from firmware.drivers.bl0942 import Bl0942, Power
from firmware.drivers.counter import MISSING
from protocol.status import COUNTER_JUMP
from testbench.chips.bl0942 import Bl0942Chip
from tests.firmware.buses import Uart, poll, take


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
