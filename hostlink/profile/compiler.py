"""From a profile to integers: the binary image and everything that a certificate has to say about it.

Each formula becomes monomials, each monomial one row of the device's kernel: a constant times a channel's count times at most
three live factors. A row over live conditions adds to a twin register while one of them is in error, and its count times
factors is summed once more, exactly, in an activity register: from that a record can be replayed.
"""

from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Any

from hostlink import factors as library
from hostlink.errors import UsageError
from hostlink.profile import formula
from hostlink.profile import image as parts
from hostlink.profile.compiled import Compiled, Row
from hostlink.profile.model import Factor, Profile, Term
from hostlink.profile.ranges import ranges
from hostlink.profile.slots import quantize
from hostlink.profile.surface import Axis, gas_conversion
from hostlink.profile.units import magnitude, registry
from protocol import image as layout
from protocol import registers as r

MASS = ("mg", r.GRAM, -3)
UNITS = {r.CO2: MASS, r.CH4: MASS, r.N2O: MASS, r.CO2E: MASS, r.BASE_VOLUME: ("cm^3", r.CUBIC_METRE, -6)}
"""A register's unit for pint, and for the image with its exponent."""
COARSEST = Fraction(1, 10**6)
"""Most that quantizing one constant may cost, relative."""
MOST_LIVE = 3


def compile_profile(profile: Profile) -> list[Compiled]:
    """One image for each period in which all factors hold one version. Raises ProfileError."""
    return [_compile(profile, period) for period in _periods(profile)]


def _periods(profile: Profile) -> list[tuple[date, date] | None]:
    bounded = [v for versions in profile.factors.values() for v in versions if v.valid]
    if profile.valid is None:
        if bounded:
            profile.document.fail(
                ("profile",), f"expected valid = [from, to], for factor {bounded[0].name} holds for a time only"
            )
        return [None]
    start, end = profile.valid
    for versions in profile.factors.values():
        first, last = versions[0], versions[-1]
        if first.valid and last.valid and (first.valid[0] > start or last.valid[1] < end):
            profile.document.fail(
                ("factors", first.name),
                f"expected validity over {start} to {end}, it is {first.valid[0]} to {last.valid[1]}: a gap",
            )
    cuts = {v.valid[0] for v in bounded if v.valid and start < v.valid[0] < end}
    return list(pairwise(sorted({start, end} | cuts)))


def _compile(profile: Profile, valid: tuple[date, date] | None) -> Compiled:
    factors = {name: _version(versions, valid) for name, versions in profile.factors.items()}
    made = Compiled(profile, valid, factors)
    conditions = list(profile.conditions)
    for name, conversion in profile.conversions.items():
        axes = []
        for which in (conversion.pressure, conversion.temperature):
            c = profile.conditions[which]
            axes.append(Axis(conditions.index(which), c.low, c.high, magnitude(c.step, r.UNITS[c.unit])))
        base = (conversion.base.pressure, conversion.base.temperature)
        try:
            made.surfaces[name] = gas_conversion(conversion.gas, base, axes[0], axes[1], conversion.within)
        except UsageError as error:
            profile.document.fail(("conversions", name), error)
        made.tables.append(name)
    for name, table in profile.tables.items():
        made.slots[name] = quantize(profile, table, factors)
        made.tables.append(name)
    symbols = _symbols(made)
    for term in profile.terms.values():
        _add_term(made, term, symbols)
    if not any(row.inputs for row in made.rows) and profile.conversions:
        profile.document.fail(("conversions",), "expected a term that uses the conversion, none does")
    for baseline in profile.baselines:
        avoided(made, baseline, 1)
    ranges(made)
    return made


def _version(versions: tuple[Factor, ...], valid: tuple[date, date] | None) -> Factor:
    return next(v for v in versions if v.valid is None or valid is None or v.valid[0] <= valid[0] < v.valid[1])


def _symbols(made: Compiled) -> dict[str, tuple[tuple[str, ...], Any]]:
    """Every name that a formula may use: its live inputs, and what stands before them."""
    profile = made.profile
    symbols: dict[str, tuple[tuple[str, ...], Any]] = {}
    for c in profile.channels.values():
        symbols[c.name] = (c.name,), c.quantum
        made.bases[c.name] = c.base
    for k in profile.conditions.values():
        symbols[k.name] = (k.name,), k.step
    for f in made.factors.values():
        symbols[f.name] = (), f.value
        made.bases[f.name] = f.base
    for name, surface in made.surfaces.items():
        pressure = profile.conversions[name].pressure
        per_pascal = registry().Quantity(surface.scale, "1/Pa")
        symbols[name] = (pressure, name), profile.conditions[pressure].step * per_pascal
        made.bases[name] = profile.conversions[name].base
    for name, slots in made.slots.items():
        symbols[name] = (name,), slots.scale
    return symbols


def _add_term(made: Compiled, term: Term, symbols: dict[str, tuple[tuple[str, ...], Any]]) -> None:
    profile, at = made.profile, ("terms", term.name, "formula")
    try:
        monomials, used = formula.evaluate(term.formula, symbols)
        _check_bases(made, used)
        for inputs, amount in monomials.items():
            wanted = UNITS[term.quantity][0]
            channel, live = _split(made, inputs)
            value = magnitude(amount, wanted)
            if value < 0:
                raise UsageError(
                    "a register never goes down: write what is taken off as a term of its own, credited or removed"
                )
            _add_row(made, term.name, term.quantity, term.direction, channel, value, live)
            if profile.gwp and term.quantity in (r.CO2, r.CH4, r.N2O):
                gwp = library.gwp_sets()[profile.gwp][r.QUANTITIES[term.quantity]].number
                _add_row(made, term.name, r.CO2E, term.direction, channel, value * gwp, live)
    except UsageError as error:
        profile.document.fail(at, error)


def _split(made: Compiled, inputs: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    channels = [name for name in inputs if name in made.profile.channels]
    if len(channels) != 1:
        found = " and ".join(channels) or "none"
        raise UsageError(f"expected one channel in each product, got {found}: the device weighs what a channel counts")
    live = tuple(name for name in inputs if name not in made.profile.channels)
    if len(live) > MOST_LIVE:
        raise UsageError(f"expected at most {MOST_LIVE} live factors beside the channel, got {', '.join(live)}")
    return list(made.profile.channels).index(channels[0]), live


def _check_bases(made: Compiled, used: set[str]) -> None:
    stated = {name: made.bases[name] for name in sorted(used) if made.bases.get(name)}
    if len(set(stated.values())) > 1:
        raise UsageError("base conditions disagree: " + "; ".join(f"{name} at {base}" for name, base in stated.items()))
    converted = [name for name in used if name in made.surfaces]
    for name in used & set(made.profile.channels):
        channel = made.profile.channels[name]
        if channel.quantity != r.VOLUME:
            continue
        if converted and channel.base:
            raise UsageError(
                f"{name} counts base volume already ({channel.base}), {converted[0]} would convert it again"
            )
        if stated and not converted and not channel.base:
            one = next(iter(stated))
            raise UsageError(
                f'{one} is per m³ at {stated[one]}, {name} has no base: add base = "…" to the channel or convert it'
            )


def _add_row(
    made: Compiled, term: str, quantity_: int, direction: int, channel: int, value: Fraction, live: tuple[str, ...]
) -> None:
    conditions = list(made.profile.conditions)
    factors = tuple(
        conditions.index(name) if name in conditions else layout.TABLE_BASE + made.tables.index(name) for name in live
    )
    _, unit, exponent = UNITS[quantity_]
    measured = [n for n, name in enumerate(live) if _is_live(made, name)]
    if measured:
        _activity(made, channel, tuple(live[n] for n in measured), tuple(factors[n] for n in measured))
    register = _register(made, parts.Register(quantity_, direction, unit, exponent))
    twin = (
        _register(made, parts.Register(quantity_, direction | r.IN_ERROR, unit, exponent))
        if measured
        else r.NO_REGISTER
    )
    raw, shift = _constant(value)
    made.rows.append(Row(term, channel, register, twin, value, raw, shift, live, factors))


def _activity(made: Compiled, channel: int, live: tuple[str, ...], factors: tuple[int, ...]) -> None:
    """The exact sum of count times live factors, and its twin, one pair for each product that occurs."""
    if any(row.channel == channel and row.inputs == live and not row.term for row in made.rows):
        return
    made.registers.append(parts.Register(r.ACTIVITY, r.CONSUMED, r.ONE, 0))
    made.registers.append(parts.Register(r.ACTIVITY, r.IN_ERROR, r.ONE, 0))
    at = len(made.registers) - 2
    made.rows.append(Row("", channel, at, at + 1, Fraction(1, 1 << r.FRACTION_BITS), 1, 0, live, factors))


def _is_live(made: Compiled, name: str) -> bool:
    """Whether an input can be in error: a measured condition, and a surface over such."""
    condition = made.profile.conditions.get(name)
    return name in made.surfaces or (condition is not None and condition.quantity != r.INTENSITY)


def _register(made: Compiled, wanted: parts.Register) -> int:
    if wanted not in made.registers:
        made.registers.append(wanted)
    return made.registers.index(wanted)


def _constant(value: Fraction) -> tuple[int, int]:
    """`(raw, shift)` nearest to a value in register units. Raises UsageError outside what the device can hold finely."""
    for shift in (0, 1):
        raw = round(value * (1 << r.FRACTION_BITS - 32 * shift))
        if raw < 1 << 64:
            break
    else:
        raise UsageError(
            f"expected less than 2^32 units of the register a quantum, got {float(value):.4g}: take a smaller quantum"
        )
    error = abs(Fraction(raw << 32 * shift, 1 << r.FRACTION_BITS) - value)
    if value and error > COARSEST * value:
        raise UsageError(
            f"{float(value):.3g} units of the register a quantum is too little to be kept within 1 ppm: coarser steps"
            " of the conditions, or a larger quantum"
        )
    return raw, shift


def avoided(made: Compiled, name: str, count: int) -> Fraction:
    """What `count` quanta avoid against a stated baseline, mg: a figure of the host's, in no register. Raises ProfileError."""
    term = made.profile.baselines[name]
    try:
        monomials, _ = formula.evaluate(term.formula, _symbols(made))
        if len(monomials) != 1 or len(next(iter(monomials))) != 1:
            raise UsageError("expected one channel and constants in a baseline")
        return magnitude(next(iter(monomials.values())), "mg") * count
    except UsageError as error:
        made.profile.document.fail(("baselines", name, "formula"), error)
