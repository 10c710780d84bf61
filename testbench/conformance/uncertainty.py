"""The uncertainty of one result by the GUM (JCGM 100:2008): contributions, combination, coverage factor, expanded U.

The model is a function of the inputs; `uncertainties` propagates through it (GUM 5.1.2, uncorrelated inputs), so sensitivity
coefficients are derived, not typed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

NORMAL, RECTANGULAR, TRIANGULAR = "normal", "rectangular", "triangular"
DIVISORS = {RECTANGULAR: math.sqrt(3), TRIANGULAR: math.sqrt(6)}
"""Half width to standard uncertainty: GUM 4.3.7 and 4.3.9."""

COVERAGE = "95.45"
"""Coverage probability of U, percent."""
STUDENT = (
    (1, 13.97), (2, 4.53), (3, 3.31), (4, 2.87), (5, 2.65), (6, 2.52), (7, 2.43), (8, 2.37), (9, 2.32), (10, 2.28),
    (11, 2.25), (12, 2.23), (13, 2.21), (14, 2.20), (15, 2.18), (16, 2.17), (17, 2.16), (18, 2.15), (19, 2.14),
    (20, 2.13), (25, 2.11), (30, 2.09), (35, 2.07), (40, 2.06), (45, 2.06), (50, 2.05), (100, 2.025), (math.inf, 2.0),
)  # fmt: skip
"""Degrees of freedom and t for 95.45 %: GUM Table G.2. A test recomputes it from the distribution."""


@dataclass(frozen=True)
class Input:
    """One quantity of the model, in `unit`. `width` is a half width, or for `normal` an expanded uncertainty with its `k`."""

    name: str
    value: float
    width: float
    unit: str
    distribution: str = RECTANGULAR
    k: float = 2.0
    freedom: float = math.inf

    @property
    def standard(self) -> float:
        """Standard uncertainty, in the unit of `value`."""
        return self.width / (self.k if self.distribution == NORMAL else DIVISORS[self.distribution])


@dataclass(frozen=True)
class Line:
    """A row of the budget: an input and what it adds to the result, in the result's unit."""

    name: str
    unit: str
    distribution: str
    standard: float
    sensitivity: float

    @property
    def contribution(self) -> float:
        """|sensitivity| × standard uncertainty."""
        return abs(self.sensitivity) * self.standard


@dataclass(frozen=True)
class Budget:
    """Combined and expanded uncertainty of a result."""

    lines: tuple[Line, ...]
    combined: float
    freedom: float
    k: float

    @property
    def expanded(self) -> Fraction:
        """U = k u_c."""
        return Fraction(self.k * self.combined)


NONE = Budget((), 0.0, math.inf, 2.0)
"""Of a count or a comparison of bytes: it has no uncertainty."""


def evaluate(model: Callable[..., Any], inputs: Sequence[Input]) -> Budget:
    """The budget of `model(*values)` at the inputs' values. A component without width stays out of it."""
    from uncertainties import ufloat

    variables = [ufloat(i.value, i.standard) if i.width else i.value for i in inputs]
    result = model(*variables)
    derivatives = getattr(result, "derivatives", {})
    lines = tuple(
        Line(i.name, i.unit, i.distribution, i.standard, float(derivatives.get(v, 0.0)))
        for i, v in zip(inputs, variables, strict=True)
    )
    return _combine(lines, [i.freedom for i in inputs])


def coverage_factor(freedom: float) -> float:
    """k for 95.45 % at effective degrees of freedom, truncated to the next lower row of Table G.2 (GUM G.4.1)."""
    return [t for row, t in STUDENT if row <= max(freedom, 1)][-1]


def _combine(lines: tuple[Line, ...], freedoms: list[float]) -> Budget:
    combined = math.sqrt(sum(line.contribution**2 for line in lines))
    spread = sum(line.contribution**4 / f for line, f in zip(lines, freedoms, strict=True))
    freedom = combined**4 / spread if spread else math.inf  # Welch-Satterthwaite, GUM (G.2b)
    return Budget(lines, combined, freedom, coverage_factor(freedom))
