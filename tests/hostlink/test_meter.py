"""The typed client against the real firmware in a real MicroPython process: exact values, time, records that resume."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest

from hostlink.errors import Refused, UsageError
from hostlink.meter import Meter, connect
from protocol import records as layout
from protocol import registers as r
from protocol import status as flags
from testbench.demo import gas_profile
from testbench.rigs.unix import UnixRig

START = 1_772_322_300  # 2026-02-28T23:45:00Z: midnight and the end of February are one interval away
PULSE = Decimal("28.316846592")
IMAGE, FACTOR = gas_profile(PULSE)


@pytest.fixture
def rig() -> Iterator[UnixRig]:
    with UnixRig(IMAGE, time=START) as meter:
        yield meter


@pytest.fixture
def meter(rig: UnixRig) -> Iterator[Meter]:
    with connect(rig.url, address=1) as client:
        yield client


def test_identity(meter: Meter) -> None:
    who = meter.identify()
    assert (who.serial, who.channels, who.conditions, who.registers, who.interval) == ("TONNE-0001", 1, 0, 1, 900)
    assert len(who.software) == len(who.fingerprint) == 32
    image = meter.profile()
    assert image.fingerprint == who.fingerprint and bytes(image.data) == IMAGE


def test_values_are_exact(rig: UnixRig, meter: Meter) -> None:
    rig.pulses(0, 123_456_789)
    rig.settle()
    volume, co2 = meter.registers().registers
    assert volume.amount.decimal == 123_456_789 * PULSE / 1000
    assert (volume.amount.unit, co2.amount.unit, co2.quantity) == ("m³", "g", r.CO2)
    assert abs(co2.amount.fraction * 1000 - FACTOR * 123_456_789) < 1
    reading = meter.reading()
    assert (reading.volume, reading.energy) == (123_456_789, None)
    assert reading.emissions == int(co2.amount.fraction * 1000)
    assert isinstance(co2.amount.decimal, Decimal) and isinstance(co2.amount.fraction, Fraction)


def test_intervals_end_on_the_quarter_hour_through_midnight_and_months(rig: UnixRig, meter: Meter) -> None:
    rig.advance(100_000)
    rig.pulses(0, 3)
    rig.advance(900_000 * 3)
    rig.settle()
    found = list(meter.records())
    assert [record.start for record in found] == [
        datetime(2026, 2, 28, 23, 45, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, 0, 15, tzinfo=UTC),
    ]  # fmt: skip
    assert [(x.duration, x.increments, x.indices) for x in found] == [(900, (3,), (3,)), (900, (0,), (3,)), (900, (0,), (3,))]
    head = layout.CHAIN_START
    for record in found:
        head = layout.chain(head, record.raw)
        assert record.link == head[: layout.LINK_SIZE]


def test_records_resume_where_they_ended(rig: UnixRig, meter: Meter) -> None:
    rig.advance(900_000 * 100)
    rig.settle()
    whole = list(meter.records())
    assert [record.sequence for record in whole] == list(range(100))
    assert list(meter.records(first=37)) == whole[37:]
    assert list(meter.records(first=100)) == []


def test_months_at_once_keep_the_newest_records_and_the_sums(rig: UnixRig, meter: Meter) -> None:
    """Half a year in one leap: one record an interval, memory bounded by the ring, what it dropped named by `oldest`."""
    rig.pulses(0, 7)
    leap = 180 * 86_400
    rig.advance(1000 * leap)
    rig.settle()
    rig.pulses(0, 5)
    rig.settle()
    oldest = meter.oldest_record()
    count = meter.status()["records"]
    assert count == leap // 900
    assert 0 < oldest < count
    newest = list(meter.records(first=count - 10))
    assert [record.sequence for record in newest] == list(range(count - 10, count))
    assert newest[-1].end.timestamp() == START + leap
    assert all(record.indices == (7,) and record.duration == 900 for record in newest)
    assert meter.registers().registers[0].amount.whole == 12
    with pytest.raises(Refused, match=str(oldest)):
        list(meter.records(first=0))


def test_a_clock_set_ends_the_interval_and_is_flagged(rig: UnixRig, meter: Meter) -> None:
    rig.advance(60_000)
    rig.pulses(0, 2)
    rig.settle()
    new = START + 86_400 + 30
    assert meter.set_clock(new).utc.timestamp() == new
    rig.pulses(0, 4)
    rig.advance(900_000)
    rig.settle()
    before, after = meter.records()
    assert (before.duration, before.increments) == (60, (2,)) and before.status & flags.CLOCK_CHANGED
    assert (after.start.timestamp(), after.duration, after.increments) == (new, 870, (4,))
    assert after.status & flags.CLOCK_CHANGED
    assert after.indices == (6,)


def test_a_clock_that_was_never_set_says_so() -> None:
    with UnixRig(IMAGE) as rig, connect(rig.url, address=1) as meter:
        assert not meter.clock().valid and not meter.reading().time.valid
        assert meter.reading().status & flags.CLOCK_INVALID
        rig.pulses(0, 1)
        rig.advance(900_000)
        rig.settle()
        assert meter.set_clock(START).valid and meter.reading().time.valid
        assert next(meter.records()).status & flags.CLOCK_INVALID


@pytest.mark.parametrize("time", [-1, 0, 946_684_799, 4_102_444_800, 1 << 40])
def test_a_time_that_no_meter_takes_is_a_usage_error(meter: Meter, time: int) -> None:
    with pytest.raises(UsageError, match="expected a time of the years 2000 to 2099"):
        meter.set_clock(time)


def test_more_than_the_highest_rate_is_flagged_and_counted(rig: UnixRig, meter: Meter) -> None:
    rig.pulses(0, 0xFFFFFFFF)
    rig.advance(900_000)
    rig.settle()
    (record,) = meter.records()
    assert record.status & flags.RATE_HIGH and record.increments == (0xFFFFFFFF,)
