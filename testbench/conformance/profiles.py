"""Emission profiles that the suites run: images, and the exact factors they stand for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache, cached_property

from hostlink.errors import UsageError
from hostlink.profile import ready as ready_profiles
from hostlink.profile.aga8 import Detail
from hostlink.profile.compiled import Compiled, Row
from hostlink.profile.compiler import compile_profile
from hostlink.profile.image import ProfileImage
from protocol import messages
from protocol import registers as r
from testbench.conformance.section import PlanError

SHOWN = {r.VOLUME: 2, r.ENERGY: 3}
"""Which value of a short reading (`messages.READING_REPLY`) has a channel's index, by the channel's quantity."""


@dataclass(frozen=True)
class Profile:
    """A profile with one channel and one constant factor: `quantum` in the channel's unit, `factor` mg CO2 a quantum, exactly.

    `shown` is the place of the channel's index in a short reading.
    """

    name: str
    parts: ProfileImage
    quantum: Fraction
    factor: Fraction
    shown: int

    @cached_property
    def image(self) -> bytes:
        """As the device stores it."""
        return self.parts.pack()

    def counted(self, reading: bytes) -> int:
        """The channel's index in the body of a READING reply."""
        return messages.READING_REPLY.unpack_from(reading)[self.shown]

    @property
    def unit(self) -> str:
        """What `quantum` is in."""
        return r.UNITS[self.parts.channels[0].unit]

    @property
    def constant(self) -> int:
        """What a quantum adds to the register, in 2**-64 mg, as the device has it."""
        term = self.parts.terms[0]
        return term.constant << 32 * term.shift


@cache
def ready(name: str, pulse: str = "") -> Compiled:
    """A ready profile, or one from a TOML file, compiled; the first period where it has several. Raises PlanError.

    `pulse`, if given, replaces the quantum of its first channel: "10 L".
    """
    try:
        read = ready_profiles.load(name)
        if pulse:
            read = ready_profiles.load(name, **{next(iter(read.channels)): pulse})
        return compile_profile(read)[0]
    except UsageError as error:
        raise PlanError(f"profile {name}: {error}") from None


@cache
def named(name: str, pulse: str = "") -> Profile:
    """As `ready`, for a profile with one channel and one constant factor. Raises PlanError if it is another kind."""
    made = ready(name, pulse)
    rows = [row for row in made.rows if row.term]
    if len(made.profile.channels) != 1 or len(rows) != 1 or rows[0].inputs:
        raise PlanError(f"profile {name}: expected one channel and one constant factor")
    channel = next(iter(made.profile.channels.values()))
    if channel.quantity not in SHOWN:
        raise PlanError(f"profile {name}: expected a channel that counts volume or energy")
    quantum = channel.mantissa * Fraction(10) ** channel.exponent
    return Profile(name, made.parts, quantum, rows[0].exact, SHOWN[channel.quantity])


def exact_gain(made: Compiled, row: Row, count: int, inputs: Mapping[str, int], time: int) -> Fraction:
    """What `count` quanta add to a row's register, in its unit, by exact factors; conversions by DETAIL (pyaga8).

    `inputs` are the conditions' raw values by name, `time` UNIX seconds at the interval's start.
    """
    total = row.exact * count
    for name in row.inputs:
        if name in made.surfaces:
            total *= detail_factor(made, name, inputs) / made.surfaces[name].scale
        elif name in made.slots:
            slots = made.slots[name]
            total *= slots.values[slot_name(made, name, time)] / Fraction(slots.scale.magnitude)
        else:
            total *= inputs[name]
    return total


def detail_factor(made: Compiled, name: str, inputs: Mapping[str, int]) -> Fraction:
    """Base volume a volume and pascal by AGA8 DETAIL as pyaga8 has it."""
    surface, conversion = made.surfaces[name], made.profile.conversions[name]
    p = inputs[conversion.pressure] * surface.pressure.step
    t = inputs[conversion.temperature] * surface.temperature.step
    pb, tb = surface.base
    gas = Detail(surface.gas.fractions)
    return Fraction(gas.z(float(pb), float(tb))) * tb / (pb * t * Fraction(gas.z(float(p), float(t))))


def slot_name(made: Compiled, name: str, time: int) -> str:
    """The factor that a time-of-use table names for an interval that begins at `time`."""
    table = made.profile.tables[name]
    local = datetime.fromtimestamp(time + 60 * made.profile.utc_offset, UTC)
    kind = 3 if local.date() in table.holidays else max(local.weekday() - 4, 0)
    row = table.rows[table.calendar[4 * (local.month - 1) + kind]]
    return table.slots[row[local.hour]]
