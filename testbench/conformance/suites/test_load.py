"""Accuracy over load of an electricity meter: error by current and power factor, repeatability, starting, no-load."""

import math
from dataclasses import dataclass
from fractions import Fraction

from testbench.conformance import limits, profiles
from testbench.conformance.bench import Bench, Condition
from testbench.conformance.plan import Load, Plan, interpolate
from testbench.conformance.suites import cases
from testbench.conformance.suites.errors import Element, percent_error, quanta, record_mean, record_pulses, record_span


@dataclass(frozen=True)
class LoadPoint:
    """One current at one power factor."""

    current: Fraction
    power_factor: str
    mpe: Fraction

    @property
    def id(self) -> str:
        """As pytest shows it."""
        return f"{float(self.current):g}A,{self.power_factor}"


def load_points(plan: Plan) -> list[LoadPoint]:
    """Currents from Imin to Imax at every power factor for which the class has a limit (JJG 596 / R 46 Table 2)."""
    load = plan.load
    if load is None:
        return []
    currents = {
        load.minimum,
        load.transitional,
        5 * load.transitional,
        10 * load.transitional,
        load.maximum / 2,
        load.maximum,
    }
    between = (load.minimum + load.transitional) / 2
    points = []
    for current in sorted({between, *currents}):
        if current > load.maximum:
            continue
        for factor in limits.POWER_FACTORS:
            mpe = limits.energy(load.accuracy, factor, current, load.minimum, load.transitional)
            if mpe is not None:
                points.append(LoadPoint(current, factor, mpe))
    return points


def the_load(plan: Plan) -> list[Load]:
    return [plan.load] if plan.load else []


def power(load: Load, current: Fraction, power_factor: str = "1") -> Fraction:
    """Active power in W: elements × U × I × PF."""
    return load.elements * load.voltage * current * limits.POWER_FACTORS[power_factor]


@cases(load_points)
def test_error(bench: Bench, case: LoadPoint) -> None:
    """Error of active energy and register against pulses at one current and power factor."""
    load = bench.plan.load
    assert load is not None
    instrument = bench.within_range("energy", case.current)
    profile = profiles.named(load.profile)
    count = quanta(case.mpe, bench.plan.ratio)
    seconds = 3600 * count * profile.quantum / power(load, case.current, case.power_factor)
    where: list[Condition] = [("I", case.current, "A"), ("PF", case.power_factor, "")]
    with bench.device(profile.image) as device:
        element = Element(bench, device, profile)
        error = interpolate(load.element, case.current)
        runs = list(element.runs(bench.plan.repetitions, count, seconds, error, where))
    budget = percent_error(profile, runs, instrument, "reference energy")
    record_mean(bench, "load.error", "jjg596-mpe", runs, case.mpe, where, budget)
    record_pulses(bench, "load.pulses", runs, where)


def currents(plan: Plan) -> list[Fraction]:
    return [plan.load.minimum, plan.load.transitional, plan.load.maximum] if plan.load else []


@cases(currents)
def test_repeatability(bench: Bench, case: Fraction) -> None:
    """Span of consecutive errors at unity power factor, over runs so long that a digit is a quarter of the limit (OIML R 46-1)."""
    load = bench.plan.load
    assert load is not None
    bench.within_range("energy", case)
    profile = profiles.named(load.profile)
    mpe = limits.energy(load.accuracy, "1", case, load.minimum, load.transitional)
    assert mpe is not None
    limit = mpe / 10
    count = math.ceil(4 * 100 / limit)
    where: list[Condition] = [("I", case, "A"), ("PF", "1", "")]
    with bench.device(profile.image) as device:
        element = Element(bench, device, profile)
        seconds = 3600 * count * profile.quantum / power(load, case)
        runs = list(element.runs(bench.plan.repetitions, count, seconds, interpolate(load.element, case), where))
    record_span(bench, "load.repeatability", "r46-repeatability", runs, limit, where)


@cases(the_load)
def test_starting(bench: Bench, case: Load) -> None:
    profile = profiles.named(case.profile)
    start = case.transitional * limits.STARTING[case.connection][case.accuracy] / 1000
    where = [("Ist", case.starting, "A")]
    bench.point(
        "load.starting_current",
        "jjg596-starting",
        case.starting,
        high=start,
        unit="A",
        what="rated Ist",
        conditions=where,
    )
    allowed = limits.energy(case.accuracy, "1", case.minimum, case.minimum, case.transitional) or Fraction(0)
    expected = 3600 * profile.quantum / power(case, case.starting)
    with bench.device(profile.image) as device:
        device.advance(expected)
        device.pulses(0, 1)
        first = device.index()
        energies = device.meter.registers()
    bench.point(
        "load.starting", "jjg596-starting", first, low=1, high=1, conditions=where,
        what=f"quanta registered within {math.ceil(expected * (1 + allowed / 100))} s of the start",
    )  # fmt: skip
    co2 = energies.registers[1].amount.fraction * 1000
    bench.point("load.starting_emission", "tonne-registers", co2 - profile.factor, low=-1, high=1, unit="mg",
                what="emission of the first quantum less the exact value", conditions=where)  # fmt: skip


@cases(the_load)
def test_no_load(bench: Bench, case: Load) -> None:
    profile = profiles.named(case.profile)
    percent = limits.energy(case.accuracy, "1", case.minimum, case.minimum, case.transitional) or Fraction(1)
    constant = 1000 / profile.quantum
    hours = 10**5 / (Fraction(11, 10) * percent * constant * case.elements * case.voltage * case.minimum)
    with bench.device(profile.image) as device:
        before = device.index()
        device.advance(hours * 3600)
        after = device.index()
    bench.point(
        "load.no_load", "jjg596-no-load", after - before, high=1, what="pulses without load",
        conditions=[("time", Fraction(f"{float(hours):.3g}"), "h")],
    )  # fmt: skip
