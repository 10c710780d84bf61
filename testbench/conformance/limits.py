"""Maximum permissible errors, in percent. Where each number was read stands in `requirements.toml`."""

from fractions import Fraction

GAS = {"0.5": (Fraction(1), Fraction(1, 2)), "1": (Fraction(2), Fraction(1)), "1.5": (Fraction(3), Fraction(3, 2))}
"""Class: Qmin ≤ Q < Qt, Qt ≤ Q ≤ Qmax; initial verification. Classes 1 and 1.5: MID Annex IV; class 0.5: R 137."""
GAS_REQUIREMENT = {"0.5": "r137-mpe", "1": "mid-gas-mpe", "1.5": "mid-gas-mpe"}

SAME_SIGN = {"1": (Fraction(1, 2), "mid-gas-same-sign"), "1.5": (Fraction(1), "mid-gas-same-sign-1.5")}
WEIGHTED_MEAN = {"0.5": Fraction(1, 5), "1": Fraction(2, 5), "1.5": Fraction(3, 5)}
TURNDOWN = {"1": (20, 5), "1.5": (150, 10)}
"""Class: least Qmax/Qmin and Qmax/Qt, MID Annex IV."""

_CLASSES = "ABCDE"
_ABOVE_ITR = {"1": "2.0 1.0 0.5 0.2 0.1", "0.5L": "2.0 1.0 0.6 0.3 0.15", "0.8C": "2.0 1.0 0.6 0.3 0.15",
              "0.25L": "- 3.5 1.0 0.5 0.25", "0.5C": "- 2.5 1.0 0.5 0.25"}  # fmt: skip
_BELOW_ITR = {"1": "2.5 1.5 1.0 0.4 0.2", "0.5L": "2.5 1.5 1.0 0.5 0.25", "0.8C": "2.5 1.5 1.0 0.5 0.25"}
POWER_FACTORS = {
    "1": Fraction(1),
    "0.5L": Fraction(1, 2),
    "0.8C": Fraction(4, 5),
    "0.25L": Fraction(1, 4),
    "0.5C": Fraction(1, 2),
}

STARTING = {
    "direct": {"A": 50, "B": 40, "C": 40, "D": 40},
    "transformer": {"A": 50, "B": 40, "C": 20, "D": 20, "E": 20},
}
"""Starting current in thousandths of Itr."""


def gas(accuracy: str, flow: Fraction, transitional: Fraction) -> Fraction:
    """MPE at `flow`."""
    return GAS[accuracy][flow >= transitional]


def energy(
    accuracy: str, power_factor: str, current: Fraction, minimum: Fraction, transitional: Fraction
) -> Fraction | None:
    """MPE at a current (A) and power factor by JJG 596-2026 / R 46; None where the class has no limit."""
    rows = _ABOVE_ITR if current >= transitional else _BELOW_ITR
    if power_factor not in rows:
        return None
    text = rows[power_factor].split()[_CLASSES.index(accuracy)]
    if text == "-":
        return None
    if current < minimum:
        return Fraction(text) * minimum / current if power_factor == "1" else None
    return Fraction(text)
