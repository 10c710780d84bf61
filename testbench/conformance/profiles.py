"""Emission profiles that the suites run: images, and the exact factors they stand for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache

from hostlink.errors import UsageError
from hostlink.profile import ready as ready_profiles
from hostlink.profile.aga8 import Detail
from hostlink.profile.compiled import Compiled, Row
from hostlink.profile.compiler import compile_profile
from hostlink.profile.image import Channel, ProfileImage, Register, Term
from protocol import registers as r
from testbench.conformance.plan import Plan
from testbench.conformance.section import PlanError
from testbench.demo import NATURAL_GAS


@dataclass(frozen=True)
class Profile:
    """One profile: its image, the quantum of channel 0 in the channel's unit, and mg CO2 a quantum, exactly."""

    name: str
    image: bytes
    quantum: Fraction
    factor: Fraction


def parts(pulse: Fraction = Fraction(1, 100), name: str = "natural-gas") -> ProfileImage:
    """Natural gas by GB/T 32151.34 defaults, pulses of `pulse` m³: the parts of the image."""
    return ProfileImage(
        name,
        [Channel(r.VOLUME, r.CUBIC_METRE, -6, int(pulse * 10**6), 1_000_000)],
        [Register(r.CO2, r.EMITTED, r.GRAM, -3)],
        [Term(0, 0, round(NATURAL_GAS * pulse * 2**32), 1)],
        volume=0,
        emissions=1,
    )


def gas(pulse: Fraction = Fraction(1, 100)) -> Profile:
    """`parts`, packed, with its exact factor."""
    return Profile("natural-gas", parts(pulse).pack(), pulse, NATURAL_GAS * pulse)


@cache
def ready(name: str) -> Compiled:
    """A ready profile, or one from a TOML file, compiled; the first period where it has several. Raises PlanError."""
    try:
        return compile_profile(ready_profiles.load(name))[0]
    except UsageError as error:
        raise PlanError(f"profile {name}: {error}") from None


def named(name: str) -> Profile:
    """A profile with one channel and one constant factor, for accuracy tests. Raises PlanError if it is another kind."""
    made = ready(name)
    rows = [row for row in made.rows if row.term]
    if len(made.profile.channels) != 1 or len(rows) != 1 or rows[0].inputs:
        raise PlanError(f"profile {name}: expected one channel and one constant factor for accuracy tests")
    channel = next(iter(made.profile.channels.values()))
    quantum = channel.mantissa * Fraction(10) ** channel.exponent
    return Profile(name, made.data, quantum, rows[0].exact)


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


def first(plan: Plan) -> Profile:
    """The profile that the device is identified with."""
    section = plan.flow or plan.load
    return named(section.profile if section else "natural-gas")
