"""Time-of-use tables as the device has them: slot values in steps of a power of ten, 30 bits each."""

import struct
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from hostlink.errors import UsageError
from hostlink.profile.model import Factor, Profile, TimeOfUse
from hostlink.profile.units import dimension, magnitude, unit
from protocol import image as layout

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Slots:
    """`data` as a table of the image; a raw value is in steps of the first slot's unit. `bound` is relative to the exact value."""

    data: bytes
    step: Fraction
    scale: Any
    values: dict[str, Fraction]
    raw: dict[str, int]
    bound: Fraction


def quantize(profile: Profile, table: TimeOfUse, factors: dict[str, Factor]) -> Slots:
    """The slots of a table in the unit of its first. Raises ProfileError if their dimensions differ."""
    names = list(dict.fromkeys((*table.slots, table.fallback)))
    text = factors[names[0]].unit
    values = {}
    for name in names:
        try:
            values[name] = magnitude(factors[name].value, text)
        except UsageError:
            profile.document.fail(
                ("tables", table.name),
                f"expected {dimension(unit(text))} in every slot as in {names[0]}, {name} has {dimension(factors[name].value)}",
            )
    most = max(values.values())
    exponent = -30
    while most / Fraction(10) ** exponent >= layout.SMALL:
        exponent += 1
    step = Fraction(10) ** exponent
    raw = {name: round(value / step) for name, value in values.items()}
    errors = [abs(raw[name] * step / value - 1) for name, value in values.items() if value]
    slots = struct.pack(f"<{len(table.slots)}I", *(raw[name] for name in table.slots))
    hours = bytes(slot for row in table.rows for slot in row)
    days = struct.pack(f"<{len(table.holidays)}H", *((day - _EPOCH).days for day in table.holidays))
    head = layout.TIME_OF_USE_HEAD.pack(raw[table.fallback], len(table.slots), len(table.rows), len(table.holidays))
    data = head + slots + bytes(table.calendar) + hours + days
    return Slots(data, step, step * unit(text), values, raw, max(errors, default=Fraction(0)))
