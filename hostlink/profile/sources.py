"""Factors and gas compositions of a profile: where each value comes from, and when it holds."""

from datetime import date
from fractions import Fraction
from itertools import pairwise

from hostlink import factors as library
from hostlink.errors import UsageError
from hostlink.profile.detail import Gas
from hostlink.profile.document import Document, Table
from hostlink.profile.model import Base, Bounds, Factor
from hostlink.profile.units import magnitude, number, quantity, unit

GAS_CONSTANT = Fraction("8.314462618")
"""J/(mol K), CODATA 2018, for molar volumes."""
PROPERTIES = {"co2 per volume": "kgCO2/m³", "carbon per volume": "kgC/m³", "methane per volume": "kgCH4/m³"}
_TOLERANCE = Fraction(1, 10**6)
"""How far mole fractions may be from one in sum: what six printed digits allow."""


def base(text: str) -> Base:
    """Base conditions from `20 °C, 101.325 kPa`. Raises UsageError."""
    parts = text.split(",")
    if len(parts) != 2:
        raise UsageError(f'expected base conditions such as "20 °C, 101.325 kPa", got {text!r}')
    return Base(magnitude(quantity(parts[1].strip()), "Pa"), magnitude(quantity(parts[0].strip()), "K"))


def read_base(table: Table) -> Base | None:
    """The key `base` of a table, None without it."""
    text = table.text("base", None)
    return None if text is None else table.apply("base", base, text)


def read_gases(document: Document) -> dict[str, tuple[Gas, str]]:
    """`[compositions.*]`: each gas and its source. Raises ProfileError for fractions that do not sum to one."""
    gases = {}
    for name in document.table("compositions").values:
        table = document.table("compositions", name)
        if "library" in table:
            id_ = table.text("library")
            found = table.apply("library", library.composition, id_)
            fractions, source = found.fractions, f"{found.source}, {found.place}"
        else:
            given = document.table("compositions", name, "fractions")
            table.take("fractions", dict)
            fractions = {key: given.apply(key, number, value) for key, value in given.values.items()}
            source = f"{table.text('source')}, {table.text('place')}"
            total = sum(fractions.values())
            if abs(total - 1) > _TOLERANCE or any(x < 0 for x in fractions.values()):
                table.fail("fractions", f"expected mole fractions that sum to one, they sum to {float(total):.6f}")
            fractions = {key: x / total for key, x in fractions.items()}
        table.done()
        gases[name] = table.apply("library" if "library" in table else "fractions", Gas, fractions), source
    return gases


def read_factors(document: Document, gases: dict[str, tuple[Gas, str]]) -> dict[str, tuple[Factor, ...]]:
    """`[factors.*]`: each with its versions, contiguous in time. Raises ProfileError for a gap or an overlap."""
    factors = {}
    for name, given in document.table("factors").values.items():
        if isinstance(given, list):
            versions = [_factor(document.table("factors", name, n), name, gases) for n in range(len(given))]
            versions.sort(key=lambda version: version.valid[0] if version.valid else date.min)
            _check_versions(document, name, versions)
        else:
            versions = [_factor(document.table("factors", name), name, gases)]
        factors[name] = tuple(versions)
    return factors


def _check_versions(document: Document, name: str, versions: list[Factor]) -> None:
    for first, second in pairwise(versions):
        if first.valid is None or second.valid is None:
            document.fail(("factors", name), "expected valid = [from, to] in each of several versions")
        end, start = first.valid[1], second.valid[0]
        if end != start:
            word = "a gap" if end < start else "an overlap"
            document.fail(
                ("factors", name), f"expected one version after the other, there is {word} from {end} to {start}"
            )


def _factor(table: Table, name: str, gases: dict[str, tuple[Gas, str]]) -> Factor:
    valid = table.between("valid", None)
    if "library" in table:
        found = _from_library(table, name, valid)
    elif "composition" in table:
        found = _from_composition(table, name, valid, gases)
    else:
        found = _written(table, name, valid)
    table.done()
    return found


def _from_library(table: Table, name: str, valid: tuple | None) -> Factor:
    id_ = table.text("library")
    entry = table.apply("library", library.entry, id_)
    its_base = read_base(table)
    if entry.base and its_base is None:
        table.fail(
            "library", f'{id_} is per {entry.base}: expected base = "20 °C, 101.325 kPa" or whichever state applies'
        )
    bounds = _bounds(table, table.apply("library", unit, entry.unit))
    if bounds is None and entry.lower95 and entry.upper95:
        bounds = Bounds(Fraction(entry.lower95), Fraction(entry.upper95))
    value = entry.number * unit(entry.unit)
    doubt = f"{entry.confidence}; {entry.note}".strip("; ") if entry.doubtful else ""
    return Factor(name, value, bounds, entry.unit, entry.value, entry.source, entry.place, its_base, valid, id_, doubt)


def _written(table: Table, name: str, valid: tuple | None) -> Factor:
    text = table.text("unit")
    its_unit = table.apply("unit", unit, text)
    if "value" not in table:
        table.fail("", "expected value = …, library = … or composition = …, there is none")
    given = table.values["value"]
    value = table.apply("value", number, given)
    table.take("value", object)
    source, place = table.text("source"), table.text("place")
    if not source.strip() or not place.strip():
        table.fail("source", "expected a source and the place in it, got empty text")
    return Factor(
        name,
        value * its_unit,
        _bounds(table, its_unit, value),
        text,
        str(given),
        source,
        place,
        read_base(table),
        valid,
    )


def _from_composition(table: Table, name: str, valid: tuple | None, gases: dict[str, tuple[Gas, str]]) -> Factor:
    which = table.text("composition")
    if which not in gases:
        table.fail(
            "composition", f"expected one of [compositions]: {', '.join(gases) or 'there is none'}, got {which!r}"
        )
    gas, source = gases[which]
    kind = table.choice("property", {word: word for word in PROPERTIES})
    state = table.apply("base", base, table.text("base"))
    value, text = gas_property(gas, kind, state), PROPERTIES[kind]
    its_unit = unit(text)
    return Factor(
        name, value * its_unit, _bounds(table, its_unit, value), text, f"{float(value):.9g}",
        f"AGA8 DETAIL for {which}: {source}", f"{kind} at {state}", state, valid,
    )  # fmt: skip


def gas_property(gas: Gas, kind: str, state: Base) -> Fraction:
    """kg a cubic metre at `state` of all its carbon as CO2, of its carbon, or of its methane."""
    moles = state.pressure / (gas.z(state.pressure, state.temperature) * GAS_CONSTANT * state.temperature)
    entry = library.entry
    if kind == "methane per volume":
        return moles * gas.fractions.get("methane", Fraction(0)) * entry("gas/methane/molar-mass").number / 1000
    atoms = sum(x * _atoms(component) for component, x in gas.fractions.items())
    if kind == "co2 per volume":
        return moles * atoms * entry("gas/carbon-dioxide/molar-mass").number / 1000
    return moles * atoms * Fraction("12.011") / 1000


def _atoms(component: str) -> Fraction:
    known = {"n-nonane": 9, "n-decane": 10}
    if component in known:
        return Fraction(known[component])
    return library.entry(f"gas/{component.replace(' ', '-')}/carbon").number


def _bounds(table: Table, its_unit: object, value: Fraction | None = None) -> Bounds | None:
    """95 % bounds: `bounds = [lower, upper]` in the factor's unit."""
    given = table.take("bounds", list, None)
    if given is None:
        return None
    if len(given) != 2:
        table.fail("bounds", "expected [lower, upper], the 95 % bounds in the factor's unit")
    lower, upper = (table.apply("bounds", number, bound) for bound in given)
    if lower > upper or (value is not None and not lower <= value <= upper):
        table.fail("bounds", "expected lower <= value <= upper")
    return Bounds(lower, upper)
