"""Accuracy over flow of a gas meter: error of indication, repeatability, weighted mean error, pulses against register."""

import math
from fractions import Fraction

from testbench.conformance import limits, profiles
from testbench.conformance.bench import Bench
from testbench.conformance.plan import Flow, Plan, interpolate
from testbench.conformance.suites import cases
from testbench.conformance.suites.errors import percent_error, quanta

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


@cases(flow_points)
def test_error(bench: Bench, case: Fraction) -> None:
    flow = bench.plan.flow
    assert flow is not None
    instrument = bench.within_range("volume", case)
    profile = profiles.named(flow.profile)
    mpe = limits.gas(flow.accuracy, case, flow.transitional)
    count = quanta(mpe, bench.plan.ratio)
    volume = count * profile.quantum
    seconds = volume / case * 3600
    given = Fraction(1) + interpolate(flow.element, case) / 100
    errors, pulse_differences = [], []
    with bench.device(profile.image) as device:
        phase = Fraction(bench.random.randrange(1000), 1000)
        before = device.index()
        for _ in range(bench.plan.repetitions):
            phase += count * given
            pulses = int(phase)
            phase -= pulses
            device.train(0, pulses, seconds)
            after = device.index()
            errors.append(100 * ((after - before) * profile.quantum - volume) / volume)
            pulse_differences.append(after - before - pulses)
            before = after
    budget = percent_error(volume, profile.quantum, errors, instrument, "reference volume")
    where = [("Q", case, "m³/h")]
    bench.point(
        "flow.error",
        limits.GAS_REQUIREMENT[flow.accuracy],
        sum(errors, Fraction(0)) / len(errors),
        low=-mpe,
        high=mpe,
        unit="%",
        what="error of indication, mean",
        conditions=where,
        budget=budget,
    )
    bench.point(
        "flow.repeatability",
        "r137-repeatability",
        max(errors) - min(errors),
        high=mpe / 3,
        unit="%",
        what=f"span of {len(errors)} errors",
        conditions=where,
    )
    worst = max(pulse_differences, key=abs)
    bench.point(
        "flow.pulses", "jjf1354-pulse", worst, low=0, high=0, what="register less pulses given", conditions=where
    )


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
