"""Decades of virtual time: every quantum still exact at the end."""

from fractions import Fraction

from testbench.conformance.bench import START, Bench
from testbench.conformance.suites import cases

YEAR = 31_556_952


@cases(lambda plan: [1])
def test_years(bench: Bench, case: int) -> None:
    """Consumption in every hour of so many years, read twice a year; CO2 against the exact sum."""
    from dataclasses import replace

    years = bench.plan.years
    base = bench.profile
    image = replace(bench.profile.parts, interval=3600).pack()
    given = passed = 0
    down, late = [], []
    before = -1
    with bench.device(image) as device:
        for half in range(1, 2 * years + 1):
            end = half * YEAR // 2
            while passed + 3600 <= end:
                count = bench.random.randrange(600)
                device.pulses(0, count)
                device.advance(3600)
                given += count
                passed += 3600
            device.settle()
            now = device.meter.registers()
            co2 = now.registers[1].amount.fraction * 1000
            if now.registers[0].amount.whole != given or now.registers[1].amount.raw < before:
                down.append(f"after {half / 2} years: index {now.registers[0].amount.whole}, given {given}")
            if int(now.time.utc.timestamp()) != START + passed:
                late.append(f"after {half / 2} years: {now.time}")
            before = now.registers[1].amount.raw
            if half % (2 * max(1, years // 10)) == 0:
                bound = Fraction(given, 1 << 33)
                bench.point("endurance.emission", "tonne-certificate", co2 - given * base.factor, low=-bound - 1, high=bound + 1,
                            unit="mg", what="CO2 register less exact, limit: certificate's bound and 1 mg",
                            conditions=[("years", Fraction(half, 2), "a")])  # fmt: skip
        newest = device.meter.status()["records"]
    bench.none("endurance.index", "tonne-registers", down, f"of {2 * years} readings, index not as given")
    bench.none("endurance.clock", "tonne-time", late, f"of {2 * years} readings, clock wrong")
    bench.point(
        "endurance.records",
        "tonne-records",
        newest - passed // 3600,
        low=0,
        high=0,
        what="records more or fewer than hours",
    )
