"""The DS3231 driver: every second of its century, and no time from nonsense."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.drivers.ds3231 import Ds3231
from testbench.chips.ds3231 import Ds3231Chip
from tests.firmware.buses import I2c


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
