"""Reads a profile: TOML to `model.Profile`, everything checked but the formulas (`formula`, `compiler`).

docs/profiles.md is the reference of every key; a test compiles each of its examples.
"""

import re
from fractions import Fraction
from typing import Any

from hostlink import factors as library
from hostlink.profile import sources
from hostlink.profile.calendar import read_tables
from hostlink.profile.document import Document, ProfileError, Table
from hostlink.profile.model import Channel, Condition, Conversion, Profile, Term
from hostlink.profile.units import magnitude, quantity, unit
from protocol import registers as r

NAME_BYTES = 32
COUNTED = {"volume": (r.VOLUME, r.CUBIC_METRE), "energy": (r.ENERGY, r.WATT_HOUR), "mass": (r.MASS, r.GRAM)}
LIVE = {
    "pressure": (r.PRESSURE, (r.PASCAL,)),
    "temperature": (r.TEMPERATURE, (r.KELVIN,)),
    "fraction": (r.FRACTION, (r.ONE,)),
    "concentration": (r.CONCENTRATION, (r.GRAM_PER_CUBIC_METRE,)),
    "flow": (r.FLOW, (r.CUBIC_METRE_PER_SECOND,)),
    "intensity": (r.INTENSITY, (r.GRAM_PER_WATT_HOUR, r.GRAM_PER_CUBIC_METRE)),
}
GASES = {"CO2": r.CO2, "CH4": r.CH4, "N2O": r.N2O, "base volume": r.BASE_VOLUME}
DIRECTIONS = {word: code for code, word in r.DIRECTIONS.items()}
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")


def parse(text: str, name: str = "profile") -> Profile:
    """The profile in a text. Raises ProfileError."""
    return interpret(Document(text, name), {})


def interpret(document: Document, quanta: dict[str, str]) -> Profile:
    """The profile of a document; `quanta` replace channels' quanta, `{"gas": "10 dm³"}`. Raises ProfileError."""
    known = "profile commit channels conditions compositions factors conversions tables terms baselines"
    for key in document.root:
        if key not in known.split():
            document.fail((key,), f"unknown table; known: {known}")
    head, commit = document.table("profile"), document.table("commit")
    name = head.text("name")
    if not name or len(name.encode()) > NAME_BYTES:
        head.fail("name", f"expected a name of 1 to {NAME_BYTES} bytes, it has {len(name.encode())}")
    gwp = head.text("gwp", None)
    if gwp is not None and gwp not in library.gwp_sets():
        head.fail("gwp", f"expected one of {', '.join(library.gwp_sets())}, got {gwp!r}")
    interval = _seconds(head, "interval", "15 min")
    if not 1 <= interval <= 3600 or 86_400 % interval:
        head.fail("interval", f"expected 1 s to 3600 s that divide a day, got {interval} s")
    gases = sources.read_gases(document)
    profile = Profile(
        document=document,
        name=name,
        life=_amount(head, "life", "s"),
        interval=interval,
        valid=head.between("valid", None),
        utc_offset=_utc_offset(head),
        gwp=gwp,
        commit_quanta=commit.take("quanta", int, 100),
        commit_seconds=_seconds(commit, "every", "15 min"),
        channels={n: _channel(document, n, quanta.get(n)) for n in _names(document, "channels")},
        conditions={n: _condition(document, n) for n in _names(document, "conditions")},
        factors=sources.read_factors(document, gases),
        conversions={n: _conversion(document, n, gases) for n in _names(document, "conversions")},
        tables=read_tables(document),
        terms={n: _term(document, "terms", n) for n in _names(document, "terms")},
        baselines={n: _term(document, "baselines", n) for n in _names(document, "baselines")},
    )
    head.done()
    commit.done()
    unknown = sorted(set(quanta) - set(profile.channels))
    if unknown:
        raise ProfileError(f"{document.name}: expected a channel ({', '.join(profile.channels)}), got {unknown[0]!r}")
    _check_names(profile)
    return profile


def _names(document: Document, group: str) -> list[str]:
    names = list(document.table(group).values)
    if not names and group in ("channels", "terms"):
        document.fail((group,), f"expected at least one [{group}.NAME], there is none")
    for name in names:
        if not _IDENTIFIER.fullmatch(name):
            document.fail(
                (group, name), f"expected a name of small letters, digits and _ that formulas can use, got {name!r}"
            )
    return names


def _check_names(profile: Profile) -> None:
    seen: dict[str, str] = {}
    groups = ("channels", "conditions", "factors", "conversions", "tables")
    for group in groups:
        for name in getattr(profile, group):
            if name in seen:
                profile.document.fail((group, name), f"the name {name!r} is taken by [{seen[name]}.{name}]")
            seen[name] = group
    for table in profile.tables.values():
        for slot in (*table.slots, table.fallback):
            if slot not in profile.factors:
                profile.document.fail(
                    ("tables", table.name), f"expected the name of a factor in each slot, got {slot!r}"
                )
    for conversion in profile.conversions.values():
        for key, kind in (("pressure", r.PRESSURE), ("temperature", r.TEMPERATURE)):
            which = getattr(conversion, key)
            if which not in profile.conditions or profile.conditions[which].quantity != kind:
                profile.document.fail(
                    ("conversions", conversion.name, key), f"expected a condition of quantity {key}, got {which!r}"
                )


def _amount(table: Table, key: str, wanted: str, default: Any = ...) -> Fraction:
    return table.apply(key, lambda: magnitude(quantity(table.text(key, default)), wanted))


def _seconds(table: Table, key: str, default: str) -> int:
    found = _amount(table, key, "s", default)
    if found.denominator != 1:
        table.fail(key, f"expected whole seconds, got {float(found)} s")
    return int(found)


def _utc_offset(table: Table) -> int:
    found = _OFFSET.fullmatch(table.text("utc_offset", "+00:00"))
    if not found or int(found.group(2)) > 14 or int(found.group(3)) > 59:
        table.fail("utc_offset", f'expected an offset such as "+08:00", got {table.values["utc_offset"]!r}')
    minutes = 60 * int(found.group(2)) + int(found.group(3))
    return minutes if found.group(1) == "+" else -minutes


def _channel(document: Document, name: str, changed: str | None) -> Channel:
    table = document.table("channels", name)
    code, its_unit = table.choice("quantity", COUNTED)
    quantum = table.apply("quantum", quantity, changed or table.text("quantum"))
    table.take("quantum", str)
    exponent, mantissa = _decimal(table, "quantum", quantum, its_unit)
    if mantissa >= 1 << 64:
        table.fail("quantum", "expected a quantum of at most 19 digits")
    size = table.apply("quantum", magnitude, quantum, r.UNITS[its_unit])
    rate = _amount(table, "highest_rate", f"{r.UNITS[its_unit]}/s") / size
    error = _relative(table, "limit_of_error")
    found = Channel(
        name, code, table.choice("direction", DIRECTIONS, "consumed"), its_unit, exponent, mantissa, quantum, rate,
        sources.read_base(table), error,
    )  # fmt: skip
    table.done()
    return found


def _condition(document: Document, name: str) -> Condition:
    table = document.table("conditions", name)
    code, units = table.choice("quantity", LIVE)
    step = table.apply("step", quantity, table.text("step"))
    its_unit = next((u for u in units if unit(r.UNITS[u]).dimensionality == step.dimensionality), units[0])
    exponent, mantissa = _decimal(table, "step", step, its_unit)
    if mantissa != 1:
        table.fail("step", f"expected a power of ten of {r.UNITS[its_unit]}, got {table.text('step')}")
    size = magnitude(step, r.UNITS[its_unit])

    def steps(key: str, text: object) -> Fraction:
        return table.apply(key, lambda: magnitude(quantity(text), r.UNITS[its_unit]) / size)

    between = table.take("range", list)
    if len(between) != 2:
        table.fail("range", 'expected [low, high] such as ["0.8 bar", "10 bar"]')
    low, high = (round(steps("range", text)) for text in between)
    fallback = round(steps("fallback", table.text("fallback")))
    if not 0 <= low <= fallback <= high or high >= 1 << 30:
        table.fail("range", f"expected 0 <= low <= fallback <= high < 2^30 steps, got {low}, {fallback}, {high}")
    error = table.text("error", None)
    source = table.take("input", int, 0 if code == r.INTENSITY else ...)
    found = Condition(
        name, code, its_unit, exponent, step, source, low, high, fallback,
        None if error is None else _condition_error(table, error, fallback, steps),
    )  # fmt: skip
    table.done()
    return found


def _condition_error(table: Table, text: str, fallback: int, steps: Any) -> Fraction:
    if text.rstrip().endswith("%"):
        return fallback * table.apply("error", lambda: magnitude(quantity(text), "1"))
    # A difference, not a state: 0.5 K, never 0.5 °C.
    return steps("error", text)


def _conversion(document: Document, name: str, gases: dict[str, Any]) -> Conversion:
    table = document.table("conversions", name)
    which = table.text("composition")
    if which not in gases:
        table.fail(
            "composition", f"expected one of [compositions]: {', '.join(gases) or 'there is none'}, got {which!r}"
        )
    within = _amount(table, "within", "1", "50 ppm")
    found = Conversion(
        name, gases[which][0], which, table.text("pressure"), table.text("temperature"),
        table.apply("base", sources.base, table.text("base")), within,
    )  # fmt: skip
    table.done()
    return found


def _term(document: Document, group: str, name: str) -> Term:
    table = document.table(group, name)
    found = Term(
        name,
        table.choice("gas", GASES),
        table.choice("direction", DIRECTIONS, "consumed" if table.values.get("gas") == "base volume" else "emitted"),
        table.text("formula"),
    )
    table.done()
    return found


def _relative(table: Table, key: str) -> Fraction | None:
    return _amount(table, key, "1") if table.text(key, None) is not None else None


def _decimal(table: Table, key: str, amount: Any, its_unit: int) -> tuple[int, int]:
    """`(exponent, mantissa)` of an amount in a unit, exactly; mantissa without trailing zeros."""
    size = table.apply(key, magnitude, amount, r.UNITS[its_unit])
    if size <= 0:
        table.fail(key, "expected more than nothing")
    exponent = 0
    while size.denominator != 1:
        size *= 10
        exponent -= 1
        if exponent < -30:
            table.fail(key, f"expected a decimal number of {r.UNITS[its_unit]}: the device keeps digits, not quotients")
    mantissa = int(size)
    while mantissa % 10 == 0:
        mantissa //= 10
        exponent += 1
    return exponent, mantissa
