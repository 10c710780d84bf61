"""A meter's records in exact rationals: what each should have gained if no constant had been rounded.

Takes the profile's own formulas, not its image. A term with live conditions is recomputed from its activity register, which is the
exact sum of count times factors as the device had them; `testbench.reference` goes further and knows the unrounded surface too.
"""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

from hostlink.profile.certificate import bounds, register_name
from hostlink.profile.compiled import Compiled
from hostlink.records import IntervalRecord
from hostlink.replay import activity_registers
from protocol import registers as r
from protocol import status as flags


def slot_at(made: Compiled, name: str, time: int, valid: bool = True) -> Fraction:
    """The exact value of a time-of-use table at UNIX second `time`, in its raw steps; the fallback's without a valid clock."""
    table, slots = made.profile.tables[name], made.slots[name]
    local = datetime.fromtimestamp(time, UTC) + timedelta(minutes=made.profile.utc_offset)
    kind = 3 if local.date() in table.holidays else max(local.weekday() - 4, 0)
    row = table.rows[table.calendar[4 * (local.month - 1) + kind]]
    return slots.values[table.slots[row[local.hour]] if valid else table.fallback] / slots.step


def gains(made: Compiled, before: IntervalRecord | None, record: IntervalRecord) -> list[Fraction]:
    """What each register should have gained in `record`, in its unit; `before` is the record before it, None from zero."""
    zero = [0] * len(made.registers)
    seen = [new - old for new, old in zip(record.registers, before.registers if before else zero, strict=True)]
    expected = [Fraction(0)] * len(made.registers)
    for row in made.rows:
        amount = row.exact
        live = []
        for name, factor in zip(row.inputs, row.factors, strict=True):
            if name in made.slots:
                valid = not record.status & flags.CLOCK_INVALID
                amount *= slot_at(made, name, int(record.start.timestamp()), valid)
            elif _is_dated(made, name):
                amount *= record.conditions[factor][0]
            else:
                live.append(factor)
        if not live:
            expected[row.register] += amount * record.increments[row.channel]
        elif not row.term:
            for n in (row.register, row.twin):
                expected[n] = Fraction(seen[n], 1 << r.FRACTION_BITS)
        else:
            activity = activity_registers(made.image, row.channel, tuple(live))
            assert activity is not None, "the compiler gives every live product an activity register"
            expected[row.register] += amount * seen[activity[0]]
            expected[row.twin] += amount * seen[activity[1]]
    return expected


def check(made: Compiled, before: IntervalRecord | None, record: IntervalRecord) -> list[str]:
    """What in `record` is further from exact rationals than the certificate allows, one line each."""
    exact = gains(made, before, record)
    found = []
    for n, (a, b) in bounds(made).items():
        old = before.registers[n] if before else 0
        gain = Fraction(record.registers[n] - old, 1 << r.FRACTION_BITS)
        if abs(gain - exact[n]) > a + b * exact[n]:
            found.append(
                f"record {record.sequence}: {register_name(made, n)} gained {float(gain):.6f}, exactly {float(exact[n]):.6f}"
            )
    return found


def _is_dated(made: Compiled, name: str) -> bool:
    condition = made.profile.conditions.get(name)
    return condition is not None and condition.quantity == r.INTENSITY
