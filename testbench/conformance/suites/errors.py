"""Errors of an indication in percent of a reference, run by run, and their uncertainty budget; for volume and energy alike."""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from testbench.conformance.bench import Bench, Condition, Device
from testbench.conformance.plan import Instrument
from testbench.conformance.profiles import Profile
from testbench.conformance.reference import Dose
from testbench.conformance.uncertainty import NORMAL, TRIANGULAR, Budget, Input, evaluate


def quanta(mpe: Fraction, ratio: Fraction) -> int:
    """Quanta of a test run so that U of resolution stays below a third of what the decision rule allows (MPE / ratio)."""
    return math.ceil(2 / math.sqrt(6) * 3 * 100 / float(mpe) * float(ratio))


LEAST_RUNS = 3
"""Runs that a statement on repeatability takes (R 137-1, 5.6; R 46-1)."""


@dataclass(frozen=True)
class Run:
    """One run of an accuracy test: its error in percent, the reference amount in quanta, and the index's gain less the pulses
    given, None where a bench's reference measures amounts."""

    error: Fraction
    reference: Fraction
    difference: int | None


class Element:
    """What measures a reference amount for `device`: simulated, it gives pulses with its error and remainder; on a bench with a
    reference it is the device's own."""

    def __init__(self, bench: Bench, device: Device, profile: Profile) -> None:
        self._device = device
        self._profile = profile
        self._rest = Fraction(bench.random.randrange(1000), 1000)
        self._index = device.index()

    def run(self, count: int, seconds: Fraction, error: Fraction, where: Sequence[Condition]) -> Run:
        """A reference amount of `count` quanta evenly over `seconds` at the setting `where`; a simulated element errs by `error`
        percent."""
        if self._device.reference:
            setting = ", ".join(f"{name} = {_shown(value)} {unit}".strip() for name, value, unit in where)
            dose = Dose(setting, count * self._profile.quantum, self._profile.unit, seconds)
            reference = self._device.reference(dose) / self._profile.quantum
            return Run(100 * (self._gained() - reference) / reference, reference, None)
        self._rest += count * (1 + error / 100)
        pulses = int(self._rest)
        self._rest -= pulses
        self._device.train(0, pulses, seconds)
        gained = self._gained()
        return Run(Fraction(100 * (gained - count), count), Fraction(count), gained - pulses)

    def runs(
        self, number: int, count: int, seconds: Fraction, error: Fraction, where: Sequence[Condition]
    ) -> Iterator[Run]:
        """So many runs alike."""
        return (self.run(count, seconds, error, where) for _ in range(number))

    def _gained(self) -> int:
        before, self._index = self._index, self._device.index()
        return self._index - before


def _shown(value: Fraction | int | str) -> str:
    return value if isinstance(value, str) else f"{float(value):g}"


def record_mean(
    bench: Bench,
    check: str,
    requirement: str,
    runs: Sequence[Run],
    mpe: Fraction,
    conditions: Sequence[Condition],
    budget: Budget,
) -> None:
    """Put the mean error of `runs` on record."""
    mean = sum((run.error for run in runs), Fraction(0)) / len(runs)
    what = f"error of indication, mean of {len(runs)}"
    bench.point(check, requirement, mean, low=-mpe, high=mpe, unit="%", what=what, conditions=conditions, budget=budget)


def record_pulses(bench: Bench, check: str, runs: Sequence[Run], conditions: Sequence[Condition]) -> None:
    """Put on record whether the register has the pulses that were given, whatever they stand for (JJF 1354)."""
    differences = [run.difference for run in runs if run.difference is not None]
    if not differences:
        bench.inapplicable(check, "jjf1354-pulse", "the bench's reference measures amounts, not pulses", conditions)
        return
    worst = max(differences, key=abs)
    what = "register less pulses given"
    bench.point(check, "jjf1354-pulse", worst, low=0, high=0, what=what, conditions=conditions)


def record_span(
    bench: Bench, check: str, requirement: str, runs: Sequence[Run], limit: Fraction, conditions: Sequence[Condition]
) -> None:
    """Put the span of the errors of `runs` on record, or that they are too few to say anything."""
    if len(runs) < LEAST_RUNS:
        bench.inapplicable(check, requirement, f"the plan has {len(runs)} runs, it takes {LEAST_RUNS}", conditions)
        return
    errors = [run.error for run in runs]
    span, what = max(errors) - min(errors), f"span of {len(errors)} errors"
    bench.point(check, requirement, span, high=limit, unit="%", what=what, conditions=conditions)


def percent_error(profile: Profile, runs: Sequence[Run], instrument: Instrument | None, reference: str) -> Budget:
    """E = 100 (indicated - reference) / reference in percent, mean of `runs`.

    The register stops at whole quanta, at start and at end alike: the difference is triangular over ± one quantum (GUM 4.3.9).
    Scatter of the runs that is more than this one digit is a Type A component of the mean with n - 1 degrees of freedom
    (GUM 4.2.3); less is what the digit does, and counted there.
    """
    errors = [run.error for run in runs]
    unit = profile.unit
    quanta = sum((run.reference for run in runs), Fraction(0)) / len(runs)
    value = float(quanta * profile.quantum)
    source = f"{reference}: {instrument.name} {instrument.serial}" if instrument else f"{reference}: exact"
    expanded = value * float(instrument.expanded) / 100 if instrument else 0.0
    more_than_a_digit = max(errors) - min(errors) > 100 / quanta
    scatter = statistics.stdev(float(e) for e in errors) / math.sqrt(len(errors)) if more_than_a_digit else 0.0
    return evaluate(
        lambda indicated, given, runs: 100 * (indicated - given) / given + runs,
        [
            Input("indication: resolution", value, float(profile.quantum), unit, TRIANGULAR),
            Input(source, value, expanded, unit, NORMAL, float(instrument.k) if instrument else 2.0),
            Input("scatter of the runs", 0.0, scatter, "%", NORMAL, 1.0, max(len(errors) - 1, 1)),
        ],
    )
