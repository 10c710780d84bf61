"""The ATM90E26 and E32 drivers against models of their chips: set-up, resets, disturbed transfers."""

from __future__ import annotations

import pytest

from firmware.drivers.atm90 import Atm90, Atm90e26, Atm90e32
from protocol.status import COUNTER_JUMP
from testbench.chips.atm90 import Atm90e26Chip, Atm90e32Chip
from tests.firmware.buses import Spi, poll, take


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
