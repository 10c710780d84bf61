"""The certificate: what fixed point can cost over the declared life, and what can never happen. JSON, and text for people.

For each register `|device - exact| <= a + b * (sum of its terms)`. `a` is what the quantized constants are off by at the highest
rate over the whole life; `b` what a term with live factors is off by, relative: its constant, its surface's interpolation and
rounding, its slots. All bounds are exact fractions until they are written, rounded up.
"""

from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from math import ceil
from typing import Any

from hostlink.profile import uncertainty
from hostlink.profile.compiled import Compiled, Row
from hostlink.profile.ranges import ranges, rollover
from hostlink.values import Amount
from hostlink.values import Register as Named
from protocol import registers as r

SCHEMA = 1
_UP = Context(prec=4, rounding=ROUND_CEILING)


def bounds(made: Compiled) -> dict[int, tuple[Fraction, Fraction]]:
    """`(a, b)` of each register: `a` in its unit, `b` relative."""
    found: dict[int, tuple[Fraction, Fraction]] = {}
    for row in made.rows:
        for register in {row.register, row.register if row.twin == r.NO_REGISTER else row.twin}:
            a, b = found.get(register, (Fraction(0), Fraction(0)))
            off = abs(row.quantized - row.exact)
            if row.inputs:
                relative = off / row.exact if row.exact else Fraction(0)
                found[register] = a, max(b, (1 + relative) * (1 + _live_error(made, row)) - 1)
            else:
                found[register] = a + off * _life_counts(made, row.channel), b
    return found


def _life_counts(made: Compiled, channel: int) -> int:
    rate = list(made.profile.channels.values())[channel].rate
    return ceil(rate * made.profile.life)


def _live_error(made: Compiled, row: Row) -> Fraction:
    product = Fraction(1)
    for name in row.inputs:
        if name in made.surfaces:
            product *= 1 + made.surfaces[name].bound
        elif name in made.slots:
            product *= 1 + made.slots[name].bound
    return product - 1


def register_name(made: Compiled, n: int) -> str:
    """A register in words: `CO2 emitted in error`."""
    register = made.registers[n]
    return Named(n, register.quantity, register.direction, Amount(0, "")).name


def unit_name(made: Compiled, n: int) -> str:
    """A register's unit for people."""
    return {r.BASE_VOLUME: "cm³", r.ACTIVITY: "1"}.get(made.registers[n].quantity, "mg")


def certificate(made: Compiled) -> dict[str, Any]:
    """The certificate as plain values, ready for JSON."""
    profile = made.profile
    fitting = ranges(made)
    return {
        "schema": SCHEMA,
        "profile": profile.name,
        "fingerprint": made.image.fingerprint.hex(),
        "bytes": len(made.data),
        "valid": None if made.valid is None else [day.isoformat() for day in made.valid],
        "life_years": float(profile.life / 31_557_600),
        "gwp": profile.gwp,
        "statement": "|device - exact| <= a + b * sum of the register's terms, for whatever the meter counts within the declared"
        " rates, ranges and life",
        "registers": [
            {
                "register": register_name(made, n),
                "unit": unit_name(made, n),
                "a": str(up(a)),
                "b_ppm": str(up(b * 10**6)),
                "text": f"{up(a):f} {unit_name(made, n)} + {up(b * 10**6):f} ppm",
            }
            for n, (a, b) in sorted(bounds(made).items())
            if made.registers[n].quantity != r.ACTIVITY
        ],
        "constants": [
            {
                "term": row.term,
                "register": register_name(made, row.register),
                "exact": f"{float(row.exact):.12g}",
                "unit": f"{unit_name(made, row.register)} a quantum"
                + "".join(f" and step of {name}" for name in row.inputs),
                "raw": row.raw,
                "fraction_bits": r.FRACTION_BITS - 32 * row.shift,
                "quantization_ppm": str(up(abs(row.quantized / row.exact - 1) * 10**6 if row.exact else Fraction(0))),
            }
            for row in made.rows
            if row.term
        ],
        "surfaces": [
            {
                "surface": name,
                "nodes": list(surface.nodes),
                "bytes": len(surface.data),
                "scale_per_Pa": f"{float(surface.scale):.12g}",
                "interpolation_ppm": str(up(surface.interpolation * 10**6)),
                "rounding_ppm": str(up(surface.rounding * 10**6)),
                "composition": profile.conversions[name].composition,
                "base": str(profile.conversions[name].base),
            }
            for name, surface in made.surfaces.items()
        ],
        "tables": [
            {"table": name, "quantization_ppm": str(up(slots.bound * 10**6))} for name, slots in made.slots.items()
        ],
        "ranges": fitting,
        "rollover": rollover(made),
        "commit": f"at most {profile.commit_quanta} quanta or {profile.commit_seconds} s are lost to a power cut",
        "factors": [_factor(made, name) for name in made.factors],
        "uncertainty": _uncertainties(made),
        "factors_without_bounds": uncertainty.without_bounds(made),
    }


def _factor(made: Compiled, name: str) -> dict[str, Any]:
    f = made.factors[name]
    return {
        "factor": name,
        "value": f.written,
        "unit": f.unit,
        "bounds95": None if f.bounds is None else [f"{float(b):.9g}" for b in (f.bounds.lower, f.bounds.upper)],
        "source": f.source,
        "place": f.place,
        "library": f.library,
        "base": None if f.base is None else str(f.base),
        "valid": None if f.valid is None else [day.isoformat() for day in f.valid],
        "doubt": f.doubtful or None,
    }


def _uncertainties(made: Compiled) -> list[dict[str, Any]]:
    found = []
    for quantity, direction in dict.fromkeys((x.quantity, x.direction & ~r.IN_ERROR) for x in made.registers):
        if quantity == r.ACTIVITY:
            continue
        u = uncertainty.of_register(made, quantity, direction)
        if u is not None:
            words = Named(0, quantity, direction, Amount(0, "")).name
            found.append(
                {
                    "register": words,
                    "at": "highest rates, conditions at their fallback",
                    "gum_95_percent": [f"-{100 * u.gum[0]:.2g}", f"+{100 * u.gum[1]:.2g}"],
                    "monte_carlo_95_percent": [f"-{100 * u.monte_carlo[0]:.2g}", f"+{100 * u.monte_carlo[1]:.2g}"],
                    "samples": uncertainty.SAMPLES,
                    "shares_percent": {name: round(100 * share) for name, share in u.shares.items()},
                }
            )
    return found


def up(value: Fraction) -> Decimal:
    """A bound with four digits, rounded up; never below the bound."""
    if not value:
        return Decimal(0)
    exact = Context(prec=60, rounding=ROUND_CEILING).divide(Decimal(value.numerator), Decimal(value.denominator))
    return _UP.plus(exact)
