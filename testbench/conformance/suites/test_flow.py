"""Accuracy over flow of a gas meter: error of indication, repeatability, reproducibility, weighted mean error, pulses."""

import math
from fractions import Fraction

from testbench.conformance import limits, profiles
from testbench.conformance.bench import Bench, Condition
from testbench.conformance.plan import Flow, Plan, interpolate
from testbench.conformance.profiles import Profile
from testbench.conformance.suites import cases
from testbench.conformance.suites.errors import (
    Element,
    Run,
    percent_error,
    quanta,
    record_mean,
    record_pulses,
    record_span,
)

LEAST_POINTS = 6


def flow_points(plan: Plan) -> list[Fraction]:
    """1 + 3 lg(Qmax/Qmin) flow rates, at least six, evenly on a log scale, with Qmin, Qt and Qmax (OIML R 137-2, 12)."""
    flow = plan.flow
    if flow is None:
        return []
    count = max(LEAST_POINTS, math.ceil(1 + 3 * math.log10(flow.maximum / flow.minimum)))
    steps = (math.log(flow.maximum) - math.log(flow.minimum)) / (count - 1)
    inner = {Fraction(f"{float(flow.minimum) * math.exp(steps * n):.3g}") for n in range(1, count - 1)}
    return sorted({flow.minimum, flow.transitional, flow.maximum, *inner})


def the_flow(plan: Plan) -> list[Flow]:
    return [plan.flow] if plan.flow else []


def run_length(bench: Bench, profile: Profile, flow: Flow, rate: Fraction) -> tuple[int, Fraction]:
    """Quanta and seconds of a run at a flow rate."""
    count = quanta(limits.gas(flow.accuracy, rate, flow.transitional), bench.plan.ratio)
    return count, count * profile.quantum / rate * 3600


def _at(rate: Fraction) -> list[Condition]:
    return [("Q", rate, "m³/h")]


@cases(flow_points)
def test_error(bench: Bench, case: Fraction) -> None:
    """Error of indication, repeatability and register against pulses at one flow rate."""
    flow = bench.plan.flow
    assert flow is not None
    instrument = bench.within_range("volume", case)
    profile = profiles.named(flow.profile)
    mpe = limits.gas(flow.accuracy, case, flow.transitional)
    count, seconds = run_length(bench, profile, flow, case)
    where = _at(case)
    with bench.device(profile.image) as device:
        element = Element(bench, device, profile)
        runs = list(element.runs(bench.plan.repetitions, count, seconds, interpolate(flow.element, case), where))
    budget = percent_error(profile, runs, instrument, "reference volume")
    requirement = limits.GAS_REQUIREMENT[flow.accuracy]
    record_mean(bench, "flow.error", requirement, runs, mpe, where, budget)
    record_pulses(bench, "flow.pulses", runs, where)
    record_span(bench, "flow.repeatability", "r137-repeatability", runs, mpe / 3, where)


ROUNDS = 3


@cases(the_flow)
def test_reproducibility(bench: Bench, case: Flow) -> None:
    """From Qt on, six errors at each flow rate, come upon from below and from above in turn (OIML R 137-1, 5.7)."""
    rates = [case.transitional, (case.transitional + case.maximum) / 2, case.maximum]
    for rate in rates:
        bench.within_range("volume", rate)
    profile = profiles.named(case.profile)
    found: dict[Fraction, list[Run]] = {rate: [] for rate in rates}
    with bench.device(profile.image) as device:
        element = Element(bench, device, profile)
        for rate in (rates + rates[::-1]) * ROUNDS:
            count, seconds = run_length(bench, profile, case, rate)
            found[rate].append(element.run(count, seconds, interpolate(case.element, rate), _at(rate)))
    for rate, runs in found.items():
        limit = limits.gas(case.accuracy, rate, case.transitional) / 3
        record_span(bench, "flow.reproducibility", "r137-reproducibility", runs, limit, _at(rate))


@cases(the_flow)
def test_weighted_mean_error(bench: Bench, case: Flow) -> None:
    errors = {Fraction(p.conditions[0][1]): Fraction(p.measured) for p in bench.earlier("flow.error")}
    if set(errors) != set(flow_points(bench.plan)):
        bench.inapplicable("flow.wme", "r137-wme", "not every flow rate was measured")
        return
    weights = {q: q / case.maximum if 10 * q <= 7 * case.maximum else Fraction(7, 5) - q / case.maximum for q in errors}
    mean = sum((weights[q] * e for q, e in errors.items()), Fraction(0)) / sum(weights.values())
    limit = limits.WEIGHTED_MEAN[case.accuracy]
    bench.point("flow.wme", "r137-wme", mean, low=-limit, high=limit, unit="%", what="weighted mean error")
    above = [e for q, e in errors.items() if q >= case.transitional]
    if case.accuracy in limits.SAME_SIGN and (min(above) > 0 or max(above) < 0):
        limit, requirement = limits.SAME_SIGN[case.accuracy]
        worst = max(above, key=abs)
        what = "largest error between Qt and Qmax, all of one sign"
        bench.point("flow.same_sign", requirement, worst, low=-limit, high=limit, unit="%", what=what)


@cases(the_flow)
def test_rating(bench: Bench, case: Flow) -> None:
    if case.accuracy not in limits.TURNDOWN:
        bench.inapplicable("flow.turndown", "mid-gas-turndown", f"no ratio stated for class {case.accuracy}")
        return
    for name, bottom, least in zip(
        ("Qmin", "Qt"), (case.minimum, case.transitional), limits.TURNDOWN[case.accuracy], strict=True
    ):
        bench.point("flow.turndown", "mid-gas-turndown", case.maximum / bottom, low=least, what=f"Qmax / {name}")
