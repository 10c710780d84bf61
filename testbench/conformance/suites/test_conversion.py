"""Volume conversion over pressure and temperature, against AGA8 DETAIL; sensors out of range or missing."""

from dataclasses import dataclass
from fractions import Fraction

from protocol import registers as r
from protocol import status as flags
from testbench.conformance import profiles
from testbench.conformance.bench import Bench, Condition
from testbench.conformance.plan import Plan
from testbench.conformance.suites import cases

PROFILE = "natural-gas-pt"
QUANTA = 10_000
CALCULATOR = Fraction(5, 100)
"""Percent: the calculator's share of the error of conversion."""


@dataclass(frozen=True)
class State:
    """One state of the gas, in raw steps of the profile's conditions."""

    pressure: int
    temperature: int

    @property
    def id(self) -> str:
        """As pytest shows it."""
        return f"{self.pressure},{self.temperature}"


def states(plan: Plan) -> list[State]:
    """Seven pressures by six temperatures over the whole range, ends included, off the surface's nodes inside."""
    if PROFILE not in plan.profiles:
        return []
    p, t = (profiles.ready(PROFILE).profile.conditions[name] for name in ("pressure", "temperature"))
    return [
        State(p.low + (p.high - p.low) * i // 6, t.low + (t.high - t.low) * j // 5) for i in range(7) for j in range(6)
    ]


def registers_of(made: profiles.Compiled) -> tuple[int, int]:
    """Base volume and its twin in error."""
    found = [n for n, x in enumerate(made.registers) if x.quantity == r.BASE_VOLUME]
    return tuple(sorted(found, key=lambda n: made.registers[n].direction & r.IN_ERROR))  # type: ignore[return-value]


@cases(states)
def test_conversion(bench: Bench, case: State) -> None:
    """Base volume of 100 m³ at one state."""
    made = profiles.ready(PROFILE)
    pressure, temperature = made.profile.conditions["pressure"], made.profile.conditions["temperature"]
    bench.within_range("pressure", case.pressure * made.surfaces["to_base"].pressure.step)
    bench.within_range("temperature", case.temperature * made.surfaces["to_base"].temperature.step)
    base, _ = registers_of(made)
    with bench.device(made.data) as device:
        device.condition(pressure.source, case.pressure)
        device.condition(temperature.source, case.temperature)
        device.pulses(0, QUANTA)
        _, registers = device.raw()
    inputs = {"pressure": case.pressure, "temperature": case.temperature}
    row = next(row for row in made.rows if row.term and row.register == base)
    exact = profiles.exact_gain(made, row, QUANTA, inputs, 0)
    error = 100 * (Fraction(registers[base], 1 << 64) / exact - 1)
    where: list[Condition] = [
        ("p", Fraction(case.pressure, 100_000), "bar"),
        ("T", Fraction(case.temperature, 100), "K"),
    ]
    bench.point("conversion.error", "mid-gas-conversion", error, low=-CALCULATOR, high=CALCULATOR, unit="%",
                what="error of conversion, calculator", conditions=where)  # fmt: skip
    within = 100 * made.profile.conversions["to_base"].within
    bench.point("conversion.detail", "detail", error, low=-within, high=within, unit="%",
                what="difference from AGA8 DETAIL; limit: the profile's", conditions=where)  # fmt: skip


WRONG = ("p missing", "p below", "p above", "T missing", "T below", "T above")


@cases(lambda plan: list(WRONG) if PROFILE in plan.profiles else [])
def test_in_error(bench: Bench, case: str) -> None:
    """What is counted while a sensor is out of range or missing stands in the registers in error, with the substitute value."""
    made = profiles.ready(PROFILE)
    conditions = made.profile.conditions
    name = "pressure" if case[0] == "p" else "temperature"
    faulty, other = conditions[name], conditions["temperature" if name == "pressure" else "pressure"]
    value = {"missing": None, "below": faulty.low - 1, "above": faulty.high + 1}[case.split()[1]]
    substitute = faulty.fallback if value is None else min(max(value, faulty.low), faulty.high)
    good, error = registers_of(made)
    with bench.device(made.data) as device:
        device.condition(other.source, other.fallback)
        device.condition(faulty.source, faulty.fallback)
        device.pulses(0, QUANTA)
        _, before = device.raw()
        device.condition(faulty.source, value)
        device.pulses(0, QUANTA)
        _, after = device.raw()
        status = device.meter.reading().status
        device.condition(faulty.source, faulty.fallback)
        device.advance(900)
        device.pulses(0, QUANTA)
        device.settle()
        cleared = device.meter.reading().status
        _, last = device.raw()
    inputs = {name: substitute, ("temperature" if name == "pressure" else "pressure"): other.fallback}
    row = next(row for row in made.rows if row.term and row.register == good)
    exact = profiles.exact_gain(made, row, QUANTA, inputs, 0)
    where: list[Condition] = [("sensor", case, "")]
    requirement = "en12405-in-error"
    bench.point(
        "conversion.in_error",
        requirement,
        int(after[good] != before[good]),
        high=0,
        what="counted in the good register",
        conditions=where,
    )
    gained = 100 * (Fraction(after[error] - before[error], 1 << 64) / exact - 1)
    bench.point("conversion.in_error_value", requirement, gained, low=-CALCULATOR, high=CALCULATOR, unit="%",
                what="register in error, against the substitute value", conditions=where)  # fmt: skip
    bench.point(
        "conversion.in_error_flag",
        "tonne-profile",
        int(bool(status & flags.CONDITION_ERROR)),
        low=1,
        what="flagged",
        conditions=where,
    )
    recovered = last[error] == after[error] and last[good] - after[good] == before[good]
    bench.point(
        "conversion.recovers",
        requirement,
        int(recovered),
        low=1,
        what="good again when the sensor is",
        conditions=where,
    )
    bench.point(
        "conversion.recovers_flag",
        "tonne-profile",
        int(bool(cleared & flags.CONDITION_ERROR)),
        high=0,
        what="still flagged",
        conditions=where,
    )


@cases(lambda plan: [PROFILE] if PROFILE in plan.profiles else [])
def test_extremes(bench: Bench, case: str) -> None:
    """A record holds the lowest and highest condition that something was counted under, and no other."""
    made = profiles.ready(case)
    pressure, temperature = made.profile.conditions["pressure"], made.profile.conditions["temperature"]
    values = [pressure.fallback, pressure.low + 5000, pressure.high - 7000, pressure.fallback + 1]
    with bench.device(made.data) as device:
        device.condition(temperature.source, temperature.fallback)
        for value in values:
            device.condition(pressure.source, value)
            device.pulses(0, 3)
            device.advance(60)
        device.condition(pressure.source, pressure.high)
        device.advance(900)
        device.settle()
        record = next(device.meter.records())
    expected = ((min(values), max(values)), (temperature.fallback, temperature.fallback))
    right = int(record.conditions == expected)
    note = "" if right else f"{record.conditions} instead of {expected}"
    bench.point("conversion.extremes", "tonne-records", right, low=1, what="the record has the extremes", note=note)
