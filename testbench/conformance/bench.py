"""What a suite's test gets: the plan, devices to open, and `point` to put a measurement on record."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from hostlink.meter import Meter
from protocol.image import Image
from testbench.conformance import decision, figures, profiles
from testbench.conformance.line import Line, Noise
from testbench.conformance.plan import Instrument, Plan
from testbench.conformance.profiles import Profile
from testbench.conformance.reference import Reference
from testbench.conformance.requirements import table
from testbench.conformance.results import Point
from testbench.conformance.uncertainty import NONE, Budget
from testbench.errors import TestbenchError

START = 1_767_225_600
"""2026-01-01T00:00:00Z, when virtual time begins."""

Condition = tuple[str, Fraction | int | str, str]
"""Name, value, unit of something that was set."""


class Inapplicable(TestbenchError):
    """The device or rig lacks what the test is about; the point is recorded so."""


class OutOfRange(TestbenchError):
    """A stimulus beyond the range its instrument was calibrated in."""


class Device:
    """One meter under test, with power. `line` for raw bytes, `meter` for typed requests; `reference` where a bench has one."""

    def __init__(self, rig: Any, line: Line, meter: Meter, image: Image, reference: Reference | None = None) -> None:
        self.rig = rig
        self.line = line
        self.meter = meter
        self.image = image
        self.reference = reference

    def pulses(self, channel: int, count: int) -> None:
        """`count` quanta now."""
        self.rig.stimulus.pulses(channel, count)

    def condition(self, source: int, value: int | None) -> None:
        """Input `source` of a condition measures `value` (raw) from now on; None: it is missing."""
        self.rig.stimulus.condition(source, value)

    def advance(self, seconds: float | Fraction) -> None:
        """Let the meter's time pass; whole milliseconds."""
        self.rig.clock.advance(int(seconds * 1000))

    def settle(self) -> None:
        """Return when the meter has taken in everything so far."""
        self.rig.clock.settle()

    def train(self, channel: int, count: int, seconds: Fraction, parts: int = 64) -> None:
        """`count` quanta spread evenly over `seconds`, in at most `parts` steps, or by a rig that can do it at once."""
        if hasattr(self.rig.stimulus, "train"):
            self.rig.stimulus.train(channel, count, float(seconds))
            return
        parts = max(1, min(parts, count))
        given = passed = 0
        for part in range(1, parts + 1):
            milliseconds = int(seconds * 1000 * part / parts)
            self.rig.clock.advance(milliseconds - passed)
            passed = milliseconds
            self.pulses(channel, count * part // parts - given)
            given = count * part // parts

    def index(self, channel: int = 0) -> int:
        """The channel's index, in quanta, after everything sent so far is taken in."""
        self.settle()
        return self.meter.registers().registers[channel].amount.raw >> 64

    def raw(self) -> tuple[list[int], list[int]]:
        """Indices in quanta, and accumulators in 2**-64 units."""
        self.settle()
        got = [r.amount.raw for r in self.meter.registers().registers]
        channels = len(self.image.channels)
        return [value >> 64 for value in got[:channels]], got[channels:]


class Bench:
    """For one item: its own seeded `random`, its devices, its points."""

    def __init__(
        self,
        plan: Plan,
        name: str,
        opener: Callable[..., Any],
        earlier: Callable[[str], list[Point]],
        root: Path | None = None,
    ) -> None:
        self.plan = plan
        self.name = name
        self.suite = name.split(".", 1)[0]
        self.random = random.Random(f"{plan.seed} {name}")
        self.points: list[Point] = []
        self.earlier = earlier
        self.root = root
        self._opener = opener

    @property
    def profile(self) -> Profile:
        """The plan's profile: what the device runs where a test needs none of its own. Raises PlanError."""
        return profiles.named(self.plan.profile, self.plan.pulse)

    @contextmanager
    def device(
        self, image: bytes, time: int | None = START, noise: Noise | None = None, **rig: Any
    ) -> Iterator[Device]:
        """A powered device that runs `image`. Raises Inapplicable if this one cannot, RigError, PortError."""
        with self._opener(image, time, noise, **rig) as device:
            yield device

    def within_range(self, quantity: str, value: Fraction) -> Instrument | None:
        """The instrument for a stimulus; raises OutOfRange if `value` is outside what it was calibrated for."""
        instrument = self.plan.instrument(quantity)
        if instrument and instrument.low is not None and instrument.high is not None:
            low, high = instrument.low, instrument.high
            if not low <= value <= high:
                span = f"{figures.exact_text(low)} … {figures.exact_text(high)} {instrument.unit}"
                raise OutOfRange(
                    f"{instrument.name} {instrument.serial} is calibrated for {span}; the plan asks for {figures.exact_text(value)}"
                )
        return instrument

    def point(
        self,
        check: str,
        requirement: str,
        measured: Fraction | int,
        *,
        low: Fraction | int | None = None,
        high: Fraction | int | None = None,
        unit: str = "1",
        what: str = "",
        conditions: Sequence[Condition] = (),
        budget: Budget = NONE,
        note: str = "",
    ) -> str:
        """Decide by the plan's rule and record; returns the verdict."""
        lower, upper = (None if v is None else Fraction(v) for v in (low, high))
        expanded = budget.expanded
        verdict = decision.decide(self.plan.rule, Fraction(measured), expanded, lower, upper, self.plan.ratio)
        self._record(
            check, requirement, verdict, what, conditions, note, budget, unit, Fraction(measured), lower, upper
        )
        return verdict

    def none(
        self,
        check: str,
        requirement: str,
        deviations: Sequence[object],
        what: str,
        conditions: Sequence[Condition] = (),
    ) -> str:
        """Nothing may deviate: measured is how many did; the first is told."""
        note = f"first of {len(deviations)}: {deviations[0]}" if deviations else ""
        return self.point(
            check, requirement, len(deviations), high=0, what=what, conditions=conditions, note=note[:300]
        )

    def inapplicable(self, check: str, requirement: str, why: str, conditions: Sequence[Condition] = ()) -> None:
        """Record that a check does not apply to this device."""
        self._record(check, requirement, decision.INAPPLICABLE, "", conditions, why, NONE, "1", None, None, None)

    def _record(
        self,
        check: str,
        requirement: str,
        verdict: str,
        what: str,
        conditions: Sequence[Condition],
        note: str,
        budget: Budget,
        unit: str,
        measured: Fraction | None,
        low: Fraction | None,
        high: Fraction | None,
    ) -> None:
        shown = [(n, v if isinstance(v, str) else figures.exact_text(v), u) for n, v, u in conditions]
        name = f"{check}[{', '.join(f'{n}={v} {u}'.strip() for n, v, u in shown)}]" if shown else check
        same = sum(p.id == name or p.id.startswith(name + " #") for p in self.points)
        expanded = budget.expanded
        self.points.append(
            Point(
                id=f"{name} #{same + 1}" if same else name,
                suite=self.suite,
                check=check,
                what=what,
                requirement=requirement,
                conditions=shown,
                measured="" if measured is None else figures.measured_text(measured, expanded),
                unit=unit,
                low="" if low is None else figures.exact_text(low),
                high="" if high is None else figures.exact_text(high),
                expanded=figures.expanded_text(expanded),
                k=f"{budget.k:g}" if expanded else "",
                verdict=verdict,
                certifies=table()[requirement].certifies and verdict != decision.INAPPLICABLE,
                note=note,
                budget=[
                    {
                        "input": line.name,
                        "unit": line.unit,
                        "distribution": line.distribution,
                        "u": f"{line.standard:.3g}",
                        "c": f"{line.sensitivity:.3g}",
                        "contribution": f"{line.contribution:.3g}",
                    }
                    for line in budget.lines
                    if line.standard
                ],
            )
        )
