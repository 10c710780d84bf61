"""Proof that nothing on the device can outgrow its room within the declared life, by interval arithmetic over integers."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import ceil
from typing import Any

from hostlink.profile.compiled import Compiled, Row
from protocol import image as layout
from protocol import registers as r

_LIMBS = 8
_YEAR = 31_556_952


def ranges(made: Compiled) -> list[dict[str, Any]]:
    """Every place where a number could outgrow its room, the most it can be there, and the room. Raises ProfileError."""
    profile = made.profile
    found = []

    def room(what: str, most: int, limit: int, *at: str) -> None:
        found.append(
            {"what": what, "highest": str(most), "bits": most.bit_length(), "room_bits": limit.bit_length() - 1}
        )
        if most >= limit:
            profile.document.fail(
                at or ("profile", "life"), f"{what} can reach {most}, there is room for less than {limit}"
            )

    names = list(profile.channels)
    lives = ceil(profile.life / profile.interval)
    gains = [0] * len(made.registers)
    for n, limit in enumerate(made.limits):
        room(f"quanta of {names[n]} in an interval", limit, 1 << 32, "channels", names[n], "highest_rate")
        room(f"index of {names[n]} over the life", limit * lives, 1 << 64)
    for n, condition in enumerate(profile.conditions.values()):
        room(f"condition {condition.name}", made.image.conditions[n][5], layout.SMALL)
    for n, name in enumerate(made.tables):
        room(f"table {name}", made.image.highest(layout.TABLE_BASE + n), layout.SMALL)
    for name, surface in made.surfaces.items():
        eighths = 0xFFFF << layout.SURFACE_EIGHTHS_BITS
        room(
            f"surface {name}: step of {surface.nodes} times position",
            eighths << layout.SURFACE_FRACTION_BITS,
            layout.SMALL,
        )
    for row in made.rows:
        product = row.raw * made.highest(row)
        width = 16 * (_LIMBS - 2 * row.shift)
        what = row.term or "activity"
        room(f"{what}: constant times live factors", product, 1 << width - 16)
        gain = (product << 32 * row.shift) * made.limits[row.channel] * lives
        for register in _registers(row):
            gains[register] += gain
    for n, gain in enumerate(gains):
        room(f"register {n} over the life", gain, 1 << 128)
    return found


def rollover(made: Compiled) -> str:
    """The first date at which a register could be full, counting at the highest rate from the start of validity."""
    gains = [0] * len(made.registers)
    for row in made.rows:
        for register in _registers(row):
            gains[register] += (row.raw * made.highest(row) << 32 * row.shift) * made.limits[row.channel]
    full = [Fraction(1 << 128, gain) for gain in gains if gain] + [
        Fraction(1 << 64, limit) for limit in made.limits if limit
    ]
    seconds = int(min(full)) * made.profile.interval
    begin = datetime.fromtimestamp(made.image.header[14], UTC)
    if seconds >= (datetime.max.replace(tzinfo=UTC) - begin).total_seconds():
        return f"not before the year 9999 ({seconds // _YEAR:,} years at the highest rate)"
    return f"{begin + timedelta(seconds=seconds):%Y-%m-%d}"


def _registers(row: Row) -> set[int]:
    """The registers that a row may add to."""
    return {row.register, row.register if row.twin == r.NO_REGISTER else row.twin}
