"""Emissions by sector: every profile of the plan on the device, against exact arithmetic and against its certificate."""

import calendar
import struct
from datetime import UTC, date, datetime
from fractions import Fraction

from hostlink.profile.certificate import bounds, register_name, unit_name
from hostlink.profile.compiled import Compiled
from hostlink.profile.image import Channel, ProfileImage, Register, Table, Term
from hostlink.replay import Replay, check_record
from protocol import image as layout
from protocol import messages
from protocol import registers as r
from protocol.intensities import Intensities, pack
from testbench.conformance import profiles
from testbench.conformance.bench import START, Bench, Device
from testbench.conformance.plan import Plan
from testbench.conformance.suites import cases
from testbench.conformance.suites.blobs import upload

STEPS = 24
HOUR = 3600


def sectors(plan: Plan) -> list[str]:
    return list(plan.profiles)


def push_intensities(bench: Bench, device: Device, made: Compiled) -> dict[int, Intensities]:
    """Dated intensities for every condition that takes them, an hour each, for a day; as the device has them."""
    pushed = {}
    for n, (quantity, unit, exponent, _, low, high, _) in enumerate(made.image.conditions):
        if quantity == r.INTENSITY:
            values = [bench.random.randrange(low, high + 1) for _ in range(STEPS)]
            data = pack(n, unit, exponent, START + HOUR, HOUR, values)
            upload(device, messages.INTENSITIES, data)
            pushed[n] = Intensities(data)
    return pushed


def inputs_of(bench: Bench, device: Device, made: Compiled) -> tuple[dict[str, int], list[int | None]]:
    """New random conditions within their limits: raw by name, and by input."""
    by_name: dict[str, int] = {}
    by_source: list[int | None] = [None] * 8
    for n, (name, condition) in enumerate(made.profile.conditions.items()):
        if made.image.conditions[n][0] == r.INTENSITY:
            continue
        by_name[name] = by_source[condition.source] = bench.random.randint(condition.low, condition.high)
        device.condition(condition.source, by_name[name])
    return by_name, by_source


@cases(sectors)
def test_sector(bench: Bench, case: str) -> None:
    """A day of random counts and conditions on every channel."""
    made = profiles.ready(case)
    start = START if made.valid is None else max(made.image.header[14], START)
    model = Replay(made.image)
    exact = [Fraction(0)] * len(made.registers)
    with bench.device(made.data, time=start) as device:
        pushed = push_intensities(bench, device, made) if start == START else {}
        for hour in range(STEPS):
            begins = start + HOUR * hour
            device.settle()
            by_name, by_source = inputs_of(bench, device, made)
            counts = [bench.random.randrange(1, max(2, limit)) for limit in made.limits]
            model.begin(begins, intensities=pushed)
            model.step(counts, by_source)
            names = list(made.profile.conditions)
            dated = {names[n]: model.used[n] for n, c in enumerate(made.image.conditions) if c[0] == r.INTENSITY}
            for row in made.rows:
                exact[row.register] += profiles.exact_gain(made, row, counts[row.channel], by_name | dated, begins)
            for channel, count in enumerate(counts):
                device.pulses(channel, count)
            device.advance(HOUR)
        indices, registers = device.raw()
        records = list(device.meter.records())
    sector = ("profile", case, "")
    wrong = [
        f"register {n}: {got:x}, replay {want:x}"
        for n, (got, want) in enumerate(zip(registers, model.registers, strict=True))
        if got != want
    ]
    bench.none(
        "emissions.bits",
        "tonne-profile",
        wrong,
        f"of {len(registers)} registers, not the replay's bit for bit",
        [sector],
    )
    found = [
        f for before, x in zip([None, *records], records, strict=False) for f in check_record(made.image, before, x)
    ]
    what = f"findings when {len(records)} records are replayed from themselves"
    bench.none("emissions.records", "tonne-records", found, what, [sector])
    bench.point(
        "emissions.index",
        "tonne-registers",
        int(indices != model.indices),
        high=0,
        what="indices not as given",
        conditions=[sector],
    )
    for n, (a, b) in sorted(bounds(made).items()):
        if made.registers[n].direction & r.IN_ERROR:
            continue
        limit = a + b * exact[n]
        bench.point(
            "emissions.certificate",
            "tonne-certificate",
            Fraction(registers[n], 1 << 64) - exact[n],
            low=-limit,
            high=limit,
            unit=unit_name(made, n),
            what="register less exact value; limit: the certificate's bound",
            conditions=[sector, ("register", register_name(made, n), ""), ("exact", exact[n], unit_name(made, n))],
        )


TIME_OF_USE = "electricity-time-of-use"
MOMENTS = (
    *(f"2026-{month:02}-{day:02}" for month, day in enumerate((5, 2, 2, 1, 6, 1, 1, 3, 1, 9, 2, 1), 1)),  # working days
    *("2026-05-09", "2026-07-19", "2026-01-01", "2026-10-01", "2026-02-28", "2028-02-29"),
)


@cases(lambda plan: list(MOMENTS) if TIME_OF_USE in plan.profiles else [])
def test_time_of_use(bench: Bench, case: str) -> None:
    """Every hour of a day: week days, weekend, holiday, ends of months, leap day; each hour by the slot that is its own."""
    made = profiles.ready(TIME_OF_USE)
    start = int(datetime.fromisoformat(case).replace(tzinfo=UTC).timestamp())
    names = [row for row in made.rows if row.term]
    wrong = []
    with bench.device(made.data, time=start) as device:
        _, before = device.raw()
        for hour in range(24):
            device.pulses(names[0].channel, 1000)
            _, now = device.raw()
            exact = profiles.exact_gain(made, names[0], 1000, {}, start + HOUR * hour)
            if abs(Fraction(now[names[0].register] - before[names[0].register], 1 << 64) - exact) > exact / 10**6:
                wrong.append(
                    f"hour {hour} UTC, slot {profiles.slot_name(made, names[0].inputs[0], start + HOUR * hour)}"
                )
            before = now
            device.advance(HOUR)
    bench.none(
        "emissions.slots", "tonne-profile", wrong, "of 24 hours, weighed with another slot", [("day", case, "UTC")]
    )


YEAR = (2027, 2028)
"""A common year and a leap year."""


def every_day_its_own(holidays: list[date]) -> bytes:
    """A time-of-use profile with another slot for every month and kind of day."""
    slots = [1000 + 37 * n for n in range(48)]
    head = layout.TIME_OF_USE_HEAD.pack(1, len(slots), 48, len(holidays))
    hours = b"".join(bytes([row]) * 24 for row in range(48))
    days = struct.pack(f"<{len(holidays)}H", *((day - date(1970, 1, 1)).days for day in holidays))
    table = Table(layout.TIME_OF_USE, head + struct.pack("<48I", *slots) + bytes(range(48)) + hours + days)
    image = ProfileImage(
        "calendar",
        [Channel(r.ENERGY, r.WATT_HOUR, 0, 1, 10**6)],
        [Register(r.CO2, r.EMITTED, r.GRAM, -3)],
        [Term(0, 0, 1, 1, (layout.TABLE_BASE,))],
        tables=[table],
        energy=0,
        emissions=1,
    )
    return image.pack()


@cases(lambda plan: list(YEAR))
def test_calendar(bench: Bench, case: int) -> None:
    """Ends and middles of all months, week days and weekends, holidays, the leap day: each by its own slot."""
    days = [date(case, month, day) for month in range(1, 13) for day in (1, 12, 13, 14, 15, 28)]
    days += [date(case, month, calendar.monthrange(case, month)[1]) for month in range(1, 13)]
    holidays = [date(case, 5, 12), date(case, 10, 1)]
    wrong = []
    with bench.device(every_day_its_own(holidays)) as device:
        _, (before,) = device.raw()
        for day in sorted(set(days)):
            device.meter.set_clock(int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()))
            device.pulses(0, 1)
            _, (now,) = device.raw()
            kind = 3 if day in holidays else max(day.weekday() - 4, 0)
            if (now - before) >> 32 != 1000 + 37 * (4 * (day.month - 1) + kind):
                wrong.append(f"{day} by slot {((now - before >> 32) - 1000) / 37:g}")
            before = now
    bench.none(
        "emissions.calendar",
        "tonne-profile",
        wrong,
        f"of {len(set(days))} days, weighed by another's slot",
        [("year", case, "")],
    )
