"""AGA8 DETAIL for one gas, on any kind of number: decimals give the same digits on every machine, intervals give proofs.

AGA Report No. 8 Part 1 (2017), equations for Z of a mixture; coefficients as published by NIST (`factors/data/aga8_*`). For a
fixed composition `Z - 1` is a sum of `c * T**-u * D**m * exp(-D**k)` over the reduced density D. Compilers check every value
that they use against `pyaga8`; this module exists because a proof needs the formula, and a profile the same bytes everywhere.
"""

from collections.abc import Callable, Mapping
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import cache
from typing import Any

from hostlink.errors import UsageError
from hostlink.factors.library import rows

CONTEXT = Context(prec=34)
R = Decimal("8.31451")
"""J/(mol K), the gas constant that belongs to the equation."""
_NEWTON_STEPS = 40

Sum = dict[tuple[int, int], Any]
"""`{(m, k): c}`: the sum of `c * D**m * exp(-D**k)`, no exponential where k is 0."""


def decimal(value: Fraction | int) -> Decimal:
    """A fraction as a decimal of 34 digits."""
    value = Fraction(value)
    return CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator))


@cache
def components() -> dict[str, dict[str, Decimal]]:
    """The parameters of each component that DETAIL knows, in the equation's order."""
    return {row.pop("component"): {k: Decimal(v) for k, v in row.items()} for row in rows("aga8_detail_components.csv")}


class Gas:
    """A gas of given mole fractions, which sum to one. `size` is K³ in L/mol: the reduced density is `size * density`.

    Raises UsageError for a component that DETAIL does not know.
    """

    def __init__(self, fractions: Mapping[str, Fraction]) -> None:
        unknown = [name for name in fractions if name not in components()]
        if unknown:
            raise UsageError(
                f"expected components that AGA8 DETAIL knows ({', '.join(components())}), got {', '.join(unknown)}"
            )
        self.fractions = dict(fractions)
        with localcontext(CONTEXT):
            self._terms = self._mix({name: decimal(x) for name, x in fractions.items() if x})

    def _mix(self, x: dict[str, Decimal]) -> list[tuple[Decimal, Sum]]:
        """`[(u, sum)]`: Z - 1 is the sum of `T**-u * sum`."""
        c = components()
        pairs = {(p["first"], p["second"]): p for p in rows("aga8_detail_pairs.csv")}
        one = Decimal(1)
        names = [name for name in c if name in x]

        def binary(i: str, j: str, kind: str) -> Decimal:
            return Decimal(pairs[i, j][kind]) if (i, j) in pairs else one

        power = Decimal("2.5")
        size = sum((x[i] * c[i]["K"] ** power for i in names), Decimal(0)) ** 2
        energy = sum((x[i] * c[i]["E"] ** power for i in names), Decimal(0)) ** 2
        orientation = sum((x[i] * c[i]["G"] for i in names), Decimal(0))
        quadrupole = sum((x[i] * c[i]["Q"] for i in names), Decimal(0))
        high = sum((x[i] ** 2 * c[i]["F"] for i in names), Decimal(0))
        both = [(i, j) for n, i in enumerate(names) for j in names[n + 1 :]]
        for i, j in both:
            weight = 2 * x[i] * x[j]
            size += weight * (binary(i, j, "K") ** 5 - 1) * (c[i]["K"] * c[j]["K"]) ** power
            energy += weight * (binary(i, j, "U") ** 5 - 1) * (c[i]["E"] * c[j]["E"]) ** power
            orientation += weight * (binary(i, j, "G") - 1) * (c[i]["G"] + c[j]["G"]) / 2
        size **= Decimal("0.6")
        energy **= Decimal("0.2")
        self.size = size

        def virial(term: dict[str, str], i: str, j: str) -> Decimal:
            a, b = c[i], c[j]
            value = (binary(i, j, "E") * (a["E"] * b["E"]).sqrt()) ** Decimal(term["u"]) * (a["K"] * b["K"]) ** Decimal(
                "1.5"
            )
            if term["g"] == "1":
                value *= binary(i, j, "G") * (a["G"] + b["G"]) / 2
            for flag, kind, root in (("q", "Q", False), ("f", "F", True), ("s", "S", False), ("w", "W", False)):
                if term[flag] == "1":
                    value *= (a[kind] * b[kind]).sqrt() if root else a[kind] * b[kind]
            return value

        terms = []
        for term in rows("aga8_detail_terms.csv"):
            n, b, k = int(term["n"]), int(term["b"]), int(term["k"])
            a, u = Decimal(term["a"]), Decimal(term["u"])
            found: Sum = {}
            if n <= 18:
                second = sum((x[i] ** 2 * virial(term, i, i) for i in names), Decimal(0))
                second += sum(2 * x[i] * x[j] * virial(term, i, j) for i, j in both)
                found[1, 0] = a * second / size
            if n >= 13:
                weight = a * energy**u
                for flag, value in (("g", orientation), ("q", quadrupole**2), ("f", high)):
                    if term[flag] == "1":
                        weight *= value
                if n <= 18:
                    found[1, 0] -= weight
                found[b, k] = found.get((b, k), 0) + b * weight
                if k:
                    found[b + k, k] = found.get((b + k, k), 0) - k * weight
            found = {at: value for at, value in found.items() if value}
            if found:
                terms.append((u, found))
        return terms

    def isotherm(self, power: Callable[[Decimal], Any], weight: Callable[[Decimal], Any] = lambda _: 1) -> Sum:
        """The sum over D at one temperature: `power(u)` is T**-u; `weight(u)` a factor, of a derivative by T."""
        total: Sum = {}
        for u, found in self._terms:
            scale = power(u) * weight(u)
            for at, value in found.items():
                part = scale * value
                total[at] = total[at] + part if at in total else part
        return total

    def density(self, pressure: Decimal, temperature: Decimal, isotherm: Sum | None = None) -> Decimal:
        """Reduced density at Pa and K by Newton's method, 30 digits. Raises UsageError if there is none near the ideal gas."""
        with localcontext(CONTEXT):
            at = isotherm or self.at(temperature)
            slope = derivative(at)
            target = pressure / 1000 / (R * temperature) * self.size
            d = target
            for _ in range(_NEWTON_STEPS):
                z = 1 + evaluate(at, d, Decimal.exp)
                step = (d * z - target) / (z + d * evaluate(slope, d, Decimal.exp))
                d -= step
                if abs(step) < d * Decimal("1e-30"):
                    return d
        raise UsageError(f"expected a gas at {pressure} Pa and {temperature} K, AGA8 DETAIL finds no density there")

    def at(self, temperature: Decimal) -> Sum:
        """The isotherm at a temperature in K."""
        with localcontext(CONTEXT):
            root = 1 / temperature.sqrt()
            return self.isotherm(lambda u: root ** int(2 * u))  # every u is a multiple of one half

    def z(self, pressure: Fraction, temperature: Fraction) -> Fraction:
        """The compressibility factor at Pa and K, to some 30 digits."""
        p, t = decimal(pressure), decimal(temperature)
        with localcontext(CONTEXT):
            return Fraction(p / 1000 * self.size / (self.density(p, t) * R * t))


def evaluate(sums: Sum, d: Any, exp: Callable[[Any], Any]) -> Any:
    """The value of a sum at reduced density `d`; `exp` is the exponential of its kind of number."""
    powers = {0: 1, 1: d}
    for m in range(2, 1 + max(max(m, k) for m, k in sums)):
        powers[m] = powers[m - 1] * d
    decays = {k: exp(-powers[k]) for _, k in sums if k}
    total: Any = 0
    for (m, k), value in sums.items():
        part = value * powers[m]
        total = total + (part * decays[k] if k else part)
    return total


def derivative(sums: Sum) -> Sum:
    """The derivative by the reduced density."""
    found: Sum = {}
    for (m, k), value in sums.items():
        for at, part in (((m - 1, k), m * value if m else None), ((m + k - 1, k), -k * value if k else None)):
            if part is not None:
                found[at] = found[at] + part if at in found else part
    return found
