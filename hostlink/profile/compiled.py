"""What the compiler makes: rows of the kernel, tables, registers, and from them the binary profile."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from fractions import Fraction
from functools import cached_property

from hostlink.profile import image as pieces
from hostlink.profile.model import Base, Factor, Profile
from hostlink.profile.slots import Slots
from hostlink.profile.surface import Surface
from protocol import image as layout
from protocol import registers as r


@dataclass(frozen=True)
class Row:
    """One row of the kernel: register units a quantum and raw factors, exactly and as the device has it."""

    term: str
    channel: int
    register: int
    twin: int
    exact: Fraction
    raw: int
    shift: int
    inputs: tuple[str, ...]
    factors: tuple[int, ...]

    @property
    def quantized(self) -> Fraction:
        """What the device's constant stands for."""
        return Fraction(self.raw << 32 * self.shift, 1 << r.FRACTION_BITS)


@dataclass
class Compiled:
    """A profile's image for one period, and what it was made from."""

    profile: Profile
    valid: tuple[date, date] | None
    factors: dict[str, Factor]
    registers: list[pieces.Register] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    surfaces: dict[str, Surface] = field(default_factory=dict)
    slots: dict[str, Slots] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)
    bases: dict[str, Base | None] = field(default_factory=dict)

    @cached_property
    def parts(self) -> pieces.ProfileImage:
        """What the binary profile is packed from."""
        return _parts(self)

    @cached_property
    def data(self) -> bytes:
        """The binary profile. Raises ProfileError if the meter would refuse it."""
        try:
            return self.parts.pack()
        except layout.ImageError as error:
            self.profile.document.fail(("profile",), error)

    @cached_property
    def image(self) -> layout.Image:
        """The binary profile, parsed as the device does."""
        return layout.Image(self.data)

    @property
    def limits(self) -> list[int]:
        """Most quanta of one interval, by channel."""
        return [-(-c.rate * self.profile.interval // 1) for c in self.profile.channels.values()]

    def highest(self, row: Row) -> int:
        """The highest product that the live factors of a row can take on the device."""
        product = 1
        for factor in row.factors:
            product *= self.image.highest(factor)
        return product


def _parts(made: Compiled) -> pieces.ProfileImage:
    profile = made.profile
    channels = [
        pieces.Channel(c.quantity, c.unit, c.exponent, c.mantissa, limit, c.direction)
        for c, limit in zip(profile.channels.values(), made.limits, strict=True)
    ]
    conditions = [
        pieces.Condition(k.quantity, k.unit, k.exponent, k.source, k.low, k.high, k.fallback)
        for k in profile.conditions.values()
    ]
    terms = [pieces.Term(x.channel, x.register, x.raw, x.shift, x.factors, x.twin) for x in made.rows]
    tables = [
        pieces.Table(layout.SURFACE, made.surfaces[name].data)
        if name in made.surfaces
        else pieces.Table(layout.TIME_OF_USE, made.slots[name].data)
        for name in made.tables
    ]
    start, end = (0, 0xFFFFFFFF) if made.valid is None else (_seconds(day, profile.utc_offset) for day in made.valid)
    volume, energy = (
        next((n for n, c in enumerate(channels) if c.quantity == wanted), r.NO_REGISTER)
        for wanted in (r.VOLUME, r.ENERGY)
    )
    return pieces.ProfileImage(
        profile.name, channels, made.registers, terms, conditions, tables, profile.interval, volume, energy,
        _headline(made), profile.commit_quanta, profile.commit_seconds, start, end, profile.utc_offset,
    )  # fmt: skip


def _headline(made: Compiled) -> int:
    for wanted in (r.CO2E, r.CO2, r.CH4, r.N2O):
        for n, register in enumerate(made.registers):
            if (register.quantity, register.direction) == (wanted, r.EMITTED):
                return len(made.profile.channels) + n
    return r.NO_REGISTER


def _seconds(day: date, utc_offset: int) -> int:
    at = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) - 60 * utc_offset
    return min(max(at, 0), 0xFFFFFFFF)
