"""Emission profiles that the suites run: images, and the exact factors they stand for."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from hostlink.profile.image import Channel, ProfileImage, Register, Term
from protocol import registers as r
from testbench.conformance.plan import Plan
from testbench.conformance.section import PlanError
from testbench.demo import NATURAL_GAS

GRID = Fraction("0.5703") * 1000
"""mg CO2 per Wh: 0.5703 kg/kWh, MEE letter for the national grid, 2022 (shipped table of grid factors)."""


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


def electricity(name: str = "electricity") -> Profile:
    """Purchased electricity with one grid factor; pulses of 1 Wh."""
    image = ProfileImage(
        name,
        [Channel(r.ENERGY, r.WATT_HOUR, 0, 1, 2_000_000)],
        [Register(r.CO2, r.EMITTED, r.GRAM, -3)],
        [Term(0, 0, round(GRID * 2**32), 1)],
        energy=0,
        emissions=1,
    )
    return Profile(name, image.pack(), Fraction(1), GRID)


SHIPPED: dict[str, Callable[[], Profile]] = {"natural-gas": gas, "electricity": electricity}


def named(name: str) -> Profile:
    """The profile of that name. Raises PlanError."""
    if name not in SHIPPED:
        raise PlanError(f"profile {name}: expected one of {', '.join(SHIPPED)}")
    return SHIPPED[name]()


def first(plan: Plan) -> Profile:
    """The profile that the device is identified with."""
    section = plan.flow or plan.load
    return named(section.profile if section else "natural-gas")
