"""What is known of a register: measurement uncertainty by the GUM (JCGM 100), and Monte Carlo (JCGM 101) beside it.

A 95 % bound is kept asymmetric: each side is a standard uncertainty of its own (distance / 1.96). The GUM part takes the
sensitivities from `uncertainties` and combines, for the lower and the upper side apart, whichever side of each input pulls that
way. Monte Carlo draws two-piece normal deviates with the same bounds, and limits of error as rectangles.
"""

import ast
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from hostlink.factors import gwp_sets
from hostlink.profile.aga8 import Detail
from hostlink.profile.compiled import Compiled
from hostlink.profile.compiler import UNITS
from hostlink.profile.model import Term
from hostlink.profile.units import magnitude, unit
from protocol.registers import CO2E, QUANTITIES

COVERAGE = 1.959963985
"""Two-sided 95 % of the normal distribution."""
SAMPLES = 20_000
SEED = 20_231_124


@dataclass(frozen=True)
class Input:
    """One uncertain input: value and standard uncertainties of either side, in SI; `rectangle` is its half-width or 0."""

    value: float
    below: float
    above: float
    rectangle: float = 0.0


@dataclass(frozen=True)
class Uncertainty:
    """Of one register at typical conditions: 95 %, relative to the rate, below and above; `shares` of the variance by input."""

    rate: float
    gum: tuple[float, float]
    monte_carlo: tuple[float, float]
    shares: dict[str, float]


def of_register(made: Compiled, quantity: int, direction: int) -> Uncertainty | None:
    """The uncertainty of what the terms of a gas and direction add up to; None if nothing about them is uncertain."""
    terms = _weighted(made, quantity, direction)
    inputs = _inputs(made, terms)
    uncertain = {name: i for name, i in inputs.items() if i.below or i.above}
    if not uncertain:
        return None
    rate, sensitivities = _linear(made, terms, inputs)
    below = above = 0.0
    parts = {}
    for name, slope in sensitivities.items():
        i = inputs[name]
        down, up = (i.below, i.above) if slope >= 0 else (i.above, i.below)
        parts[name] = (slope * max(down, up)) ** 2
        below += (slope * down) ** 2
        above += (slope * up) ** 2
    scale = COVERAGE / rate
    total = sum(parts.values())
    shares = {name: part / total for name, part in sorted(parts.items(), key=lambda p: -p[1]) if part}
    return Uncertainty(
        rate, (scale * sqrt(below), scale * sqrt(above)), _monte_carlo(made, terms, inputs, rate), shares
    )


def _weighted(made: Compiled, quantity: int, direction: int) -> list[tuple[Term, float]]:
    """The terms of a register, each with what a register unit of it counts there: its GWP in a CO2e register."""
    terms = [t for t in made.profile.terms.values() if t.direction == direction]
    if quantity != CO2E:
        return [(t, 1.0) for t in terms if t.quantity == quantity]
    gwp = gwp_sets()[made.profile.gwp] if made.profile.gwp else {}
    return [(t, float(gwp[QUANTITIES[t.quantity]].number)) for t in terms if QUANTITIES[t.quantity] in gwp]


def without_bounds(made: Compiled) -> list[str]:
    """Factors for which the source gives no bounds: nothing is known of them, which is not zero."""
    return [name for name, factor in made.factors.items() if factor.bounds is None]


def _inputs(made: Compiled, terms: list[tuple[Term, float]]) -> dict[str, Input]:
    """Every input of the terms at typical conditions: channels at their highest rate, conditions at their fallback."""
    profile = made.profile
    used = {
        node.id
        for t, _ in terms
        for node in ast.walk(ast.parse(t.formula.strip(), mode="eval"))
        if isinstance(node, ast.Name)
    }
    for name in list(used):
        if name in profile.conversions:
            used |= {profile.conversions[name].pressure, profile.conversions[name].temperature}
    found = {}
    for c in profile.channels.values():
        value = float((c.quantum * c.rate).to_root_units().magnitude)
        half = value * float(c.error or 0)
        found[c.name] = Input(value, half / sqrt(3), half / sqrt(3), half)
    for k in profile.conditions.values():
        size = float(k.step.to_root_units().magnitude)
        sigma = float(k.error or 0) * size / COVERAGE
        found[k.name] = Input(k.fallback * size, sigma, sigma)
    for f in made.factors.values():
        found[f.name] = _factor(f)
    for table in profile.tables.values():
        found[table.name] = found[table.fallback]
    return {name: found[name] for name in sorted(used) if name in found}


def _factor(f: Any) -> Input:
    value = float(f.value.to_root_units().magnitude)
    if f.bounds is None:
        return Input(value, 0.0, 0.0)
    size = float(unit(f.unit).to_root_units().magnitude)
    sides = abs(value - float(f.bounds.lower) * size), abs(float(f.bounds.upper) * size - value)
    return Input(value, sides[0] / COVERAGE, sides[1] / COVERAGE)


def _linear(
    made: Compiled, terms: list[tuple[Term, float]], inputs: dict[str, Input]
) -> tuple[float, dict[str, float]]:
    """The rate in register units a second, and its derivative by each uncertain input."""
    from uncertainties import ufloat, wrap

    variables: dict[str, Any] = {
        name: ufloat(i.value, max(i.below, i.above)) if i.below or i.above else i.value for name, i in inputs.items()
    }
    for name, function in _conversions(made).items():
        c = made.profile.conversions[name]
        if c.pressure in inputs and c.temperature in inputs:
            variables[name] = wrap(function)(variables[c.pressure], variables[c.temperature])
    total = _sum(terms, variables)
    if isinstance(total, float):
        return total, {}
    by_variable = total.derivatives
    return total.nominal_value, {
        name: by_variable[v]
        for name, v in variables.items()
        if name in inputs and not isinstance(v, float) and v in by_variable
    }


def _monte_carlo(
    made: Compiled, terms: list[tuple[Term, float]], inputs: dict[str, Input], rate: float
) -> tuple[float, float]:
    random = np.random.default_rng(SEED)
    drawn: dict[str, Any] = {}
    for name, i in inputs.items():
        if i.rectangle:
            drawn[name] = i.value + random.uniform(-i.rectangle, i.rectangle, SAMPLES)
        else:
            z = random.standard_normal(SAMPLES)
            drawn[name] = i.value + z * np.where(z < 0, i.below, i.above)
    for name, function in _conversions(made).items():
        c = made.profile.conversions[name]
        if c.pressure in drawn and c.temperature in drawn:
            drawn[name] = np.array(
                [function(p, t) for p, t in zip(drawn[c.pressure], drawn[c.temperature], strict=True)]
            )
    total = np.broadcast_to(_sum(terms, drawn), (SAMPLES,))
    low, high = np.quantile(total, (0.025, 0.975))
    return 1 - float(low) / rate, float(high) / rate - 1


def _conversions(made: Compiled) -> dict[str, Any]:
    """Each conversion as a function of Pa and K, by pyaga8."""
    functions = {}
    for name, conversion in made.profile.conversions.items():
        detail = Detail(conversion.gas.fractions)
        pb, tb = float(conversion.base.pressure), float(conversion.base.temperature)
        zb = detail.z(pb, tb)

        # Pint's root unit of mass is the gram: pressures come in grams a metre and second squared, 1000 a pascal.
        def function(p: float, t: float, d: Detail = detail, k: float = zb * tb / pb) -> float:
            return k * p / 1000 / (t * d.z(p / 1000, t))

        functions[name] = function
    return functions


def _sum(terms: list[tuple[Term, float]], variables: dict[str, Any]) -> Any:
    """The terms added up in root units; formulas were checked by `formula.evaluate`."""
    total: Any = 0.0
    for term, weight in terms:
        code = compile(ast.parse(term.formula.strip(), mode="eval"), "formula", "eval")
        size = float(magnitude(unit(UNITS[term.quantity][0]), _root(term)))
        total = total + eval(code, {"__builtins__": {}}, variables) * weight / size
    return total


def _root(term: Term) -> str:
    return "m^3" if UNITS[term.quantity][0] == "cm^3" else "g"


def rounded(value: float) -> float:
    """Two significant digits: what 20,000 samples can tell."""
    return float(f"{value:.2g}")
