"""The error of an indication in percent of a reference, and its uncertainty budget; for volume and energy alike."""

import math
import statistics
from collections.abc import Sequence
from fractions import Fraction

from testbench.conformance.plan import Instrument
from testbench.conformance.uncertainty import NORMAL, TRIANGULAR, Budget, Input, evaluate


def quanta(mpe: Fraction, ratio: Fraction) -> int:
    """Quanta of a test run so that U of resolution stays below a third of what the decision rule allows (MPE / ratio)."""
    return math.ceil(2 / math.sqrt(6) * 3 * 100 / float(mpe) * float(ratio))


def percent_error(
    amount: Fraction, quantum: Fraction, errors: Sequence[Fraction], instrument: Instrument | None, reference: str
) -> Budget:
    """E = 100 (indicated - reference) / reference, mean of `errors` in percent, each over a run of `amount`.

    The register stops at whole quanta, at start and at end alike: the difference is triangular over ± one quantum (GUM 4.3.9).
    Scatter of the runs that is more than this one digit is a Type A component of the mean with n - 1 degrees of freedom
    (GUM 4.2.3); less is what the digit does, and counted there.
    """
    value = float(amount)
    source = f"{reference}: {instrument.name} {instrument.serial}" if instrument else f"{reference}: exact"
    expanded = value * float(instrument.expanded) / 100 if instrument else 0.0
    more_than_a_digit = max(errors) - min(errors) > 100 * quantum / amount
    scatter = statistics.stdev(float(e) for e in errors) / math.sqrt(len(errors)) if more_than_a_digit else 0.0
    return evaluate(
        lambda indicated, given, runs: 100 * (indicated - given) / given + runs,
        [
            Input("indication: resolution", value, float(quantum), TRIANGULAR),
            Input(source, value, expanded, NORMAL, float(instrument.k) if instrument else 2.0),
            Input("scatter of the runs", 0.0, scatter, NORMAL, 1.0, max(len(errors) - 1, 1)),
        ],
    )
