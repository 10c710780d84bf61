"""The clock: drift, setting, jumps, boundaries of the calendar; nothing is lost or counted twice across them."""

from datetime import UTC, datetime
from fractions import Fraction

from protocol import status as flags
from testbench.conformance.bench import START, Bench
from testbench.conformance.suites import cases
from testbench.conformance.suites.test_records import chain_faults

TIME = "tonne-time"
JUMPS = (-86400, -3601, -900, -450, -59, -1, 0, 1, 59, 450, 900, 3601, 86400, 40_000_000)


@cases(lambda plan: [1, 7, 30])
def test_drift(bench: Bench, case: int) -> None:
    """The meter's time against the bench's after so many days."""
    with bench.device(bench.profile.image) as device:
        for n in range(1, 1440 * case + 1):
            device.advance(Fraction(59_999 + 2 * (n % 2), 1000))
        device.settle()
        shown = device.meter.clock().utc
        passed = Fraction(round(shown.timestamp() * 1000), 1000) - START
    limit = Fraction(case, 2)
    bench.point("clock.drift", "r46-clock", passed - 86400 * case, low=-limit, high=limit, unit="s", what="fast (+) or slow (-)",
                conditions=[("days", case, "d")])  # fmt: skip


@cases(lambda plan: list(JUMPS))
def test_setting(bench: Bench, case: int) -> None:
    """Quanta before and after a jump of the clock are counted once; the jump shows in the records."""
    with bench.device(bench.profile.image) as device:
        device.pulses(0, 11)
        device.advance(1000)
        device.pulses(0, 13)
        device.advance(200)
        device.settle()
        device.meter.set_clock(START + 1200 + case)
        device.pulses(0, 17)
        shown = int(device.meter.clock().utc.timestamp())
        running = device.meter.reading().status
        device.advance(1000)
        device.pulses(0, 19)
        device.advance(1000)
        device.settle()
        records = list(device.meter.records())
        indices, _ = device.raw()
    where = [("jump", str(case), "s")]
    bench.point(
        "clock.set",
        TIME,
        shown - (START + 1200 + case),
        low=0,
        high=1,
        unit="s",
        what="time shown less time set",
        conditions=where,
    )
    bench.point(
        "clock.set_counts",
        TIME,
        indices[0] - 60,
        low=0,
        high=0,
        what="quanta lost (-) or doubled (+)",
        conditions=where,
    )
    begins = {int(r.start.timestamp()) for r in records}
    outside = 19 if not _closed(records, START + 2200 + case) else 0
    doubled = sum(r.increments[0] for r in records) + outside - 60
    bench.point(
        "clock.set_records",
        TIME,
        doubled,
        low=0,
        high=0,
        what="of the records' sum, lost (-) or doubled (+)",
        conditions=where,
    )
    flagged = [r for r in records if r.status & flags.CLOCK_CHANGED]
    ended = any(r.end.timestamp() == START + 1200 for r in flagged)
    bench.point(
        "clock.set_flag",
        TIME,
        int(bool(flagged) and ended),
        low=1,
        what="the interval that ended early is flagged",
        conditions=where,
    )
    bench.point(
        "clock.set_flag",
        TIME,
        int(bool(running & flags.CLOCK_CHANGED)),
        low=1,
        what="so is the one that begins",
        conditions=where,
    )
    early = [
        f"record {r.sequence} starts {r.start}"
        for r in records
        if (r.start.timestamp() + r.duration) % 900 and r not in flagged
    ]
    bench.none("clock.set_alignment", TIME, early, "records that end off the grid without a flag", where)
    bench.none("clock.set_chain", "tonne-records", chain_faults(records), "records where the chain breaks", where)
    bench.point(
        "clock.set_start",
        TIME,
        int(START + 1200 + case in begins),
        low=1,
        what="a record begins at the time set",
        conditions=where,
    )


def _closed(records: list, moment: int) -> bool:
    """Whether the newest record reaches past `moment`."""
    return bool(records) and records[-1].end.timestamp() > moment


def test_not_set(bench: Bench) -> None:
    """Without a set clock the meter counts and says so; setting it clears the flag."""
    with bench.device(bench.profile.image, time=None) as device:
        device.pulses(0, 5)
        device.advance(900)
        device.settle()
        before = device.meter.reading()
        counted = device.index()
        records = list(device.meter.records())
        device.meter.set_clock(START)
        after = device.meter.reading()
        clock = device.meter.clock()
    bench.point(
        "clock.not_set", TIME, int(bool(before.status & flags.CLOCK_INVALID)), low=1, what="flagged in a reading"
    )
    bench.point(
        "clock.not_set",
        TIME,
        int(all(r.status & flags.CLOCK_INVALID for r in records)),
        low=1,
        what="flagged in records",
    )
    bench.point("clock.not_set", TIME, counted, low=5, high=5, what="quanta counted")
    bench.point(
        "clock.set_clears", TIME, int(bool(after.status & flags.CLOCK_INVALID)), high=0, what="flagged after it was set"
    )
    bench.point("clock.set_clears", TIME, int(clock.valid), low=1, what="valid after it was set")


DATES = (
    "2027-12-31T23:59:50", "2028-02-28T23:59:50", "2028-02-29T23:59:50", "2038-01-19T03:14:00", "2099-12-31T23:59:50",
    "2100-02-28T23:59:50", "2106-02-07T06:10:00",
)  # fmt: skip


@cases(lambda plan: list(DATES))
def test_calendar(bench: Bench, case: str) -> None:
    """Over the ends of days, years and of signed 32-bit time."""
    start = int(datetime.fromisoformat(case).replace(tzinfo=UTC).timestamp())
    with bench.device(bench.profile.image, time=start) as device:
        device.pulses(0, 3)
        for _ in range(30):
            device.advance(10)
        device.settle()
        now = int(device.meter.clock().utc.timestamp())
        device.advance(900)
        device.settle()
        records = list(device.meter.records())
    where = [("from", case, "UTC")]
    bench.point(
        "clock.calendar", TIME, now - start - 300, low=0, high=0, unit="s", what="wrong after 300 s", conditions=where
    )
    wrong = [f"{r.start}, {r.duration} s" for r in records if (r.start.timestamp() + r.duration) % 900]
    starts = [int(r.start.timestamp()) for r in records]
    wrong += [] if starts == sorted(starts) and starts[0] == start else [f"starts {starts}"]
    bench.none("clock.calendar_records", TIME, wrong, "records off their interval", where)
