"""Decision rules: from a value, its uncertainty and its limits to a verdict (ISO/IEC 17025 7.8.6, JCGM 106, ILAC-G8)."""

from fractions import Fraction

PASS, FAIL, INCONCLUSIVE, INAPPLICABLE = "pass", "fail", "inconclusive", "inapplicable"
VERDICTS = (PASS, FAIL, INCONCLUSIVE, INAPPLICABLE)

SIMPLE, GUARD = "simple acceptance", "guard band"
RULES = {
    SIMPLE: (
        "Pass if the measured value lies within the limits, provided that U is at most the limit divided by the plan's ratio; "
        "if U is larger: inconclusive. A value on the limit has a risk of up to 50 % of false acceptance and of false "
        "rejection."
    ),
    GUARD: (
        "Acceptance limits are the limits less a guard band w = U. Within them: pass, with a risk of false acceptance of at "
        "most 2.5 %. Outside the limits by more than U: fail, with a risk of false rejection of at most 2.5 %. Between: "
        "inconclusive."
    ),
}


def decide(
    rule: str, measured: Fraction, expanded: Fraction, low: Fraction | None, high: Fraction | None, ratio: Fraction
) -> str:
    """The verdict on one value; a limit of None is none. `ratio` is the least (half span of limits) / U of simple acceptance."""
    if rule == GUARD:
        if _within(measured, low, high, -expanded):
            return PASS
        return INCONCLUSIVE if _within(measured, low, high, expanded) else FAIL
    if expanded * ratio > _reach(low, high):
        return INCONCLUSIVE
    return PASS if _within(measured, low, high, Fraction(0)) else FAIL


def _within(measured: Fraction, low: Fraction | None, high: Fraction | None, wider: Fraction) -> bool:
    return (low is None or low - wider <= measured) and (high is None or measured <= high + wider)


def _reach(low: Fraction | None, high: Fraction | None) -> Fraction:
    if low is not None and high is not None:
        return (high - low) / 2
    bound = high if high is not None else low
    return abs(bound) if bound is not None else Fraction(0)
