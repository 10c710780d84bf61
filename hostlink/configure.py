"""The installer's job: identify, clock, pulse weights, base conditions, profile, read back as a diff, seal, and a record of it."""

import time as wall
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from hostlink.errors import ProofError, UsageError
from hostlink.keys import KeyFile, enter
from hostlink.meter import Meter
from hostlink.trust import Parameter
from hostlink.values import utc
from protocol import parameters, registers
from protocol import session as roles
from protocol import status as flags
from protocol.image import Image
from protocol.records import TAG_SIZE

SCHEMA = 1
CLOCK_TOLERANCE = 2
"""Seconds by which a clock just set may differ."""
UNITS = {
    "m3": (0, registers.VOLUME, registers.CUBIC_METRE),
    "dm3": (-3, registers.VOLUME, registers.CUBIC_METRE),
    "L": (-3, registers.VOLUME, registers.CUBIC_METRE),
    "cm3": (-6, registers.VOLUME, registers.CUBIC_METRE),
    "mL": (-6, registers.VOLUME, registers.CUBIC_METRE),
    "Wh": (0, registers.ENERGY, registers.WATT_HOUR),
    "kWh": (3, registers.ENERGY, registers.WATT_HOUR),
    "kg": (3, registers.MASS, registers.GRAM),
    "g": (0, registers.MASS, registers.GRAM),
}
"""What stands on a meter's plate beside its pulse: exponent, quantity, unit."""

Push = Callable[[Meter, bytes], Any]


@dataclass(frozen=True)
class Plan:
    """What is wanted; None leaves a thing as it is. `pulses` by channel, `profile` an image, `time` UNIX seconds."""

    time: int | None = None
    pulses: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)
    base_temperature: int | None = None
    base_pressure: int | None = None
    site: str | None = None
    profile: bytes | None = None
    seal: bool = False


@dataclass(frozen=True)
class Change:
    """One line of the diff: as it was, as it was wanted, and as it was read back."""

    what: str
    before: str
    wanted: str
    after: str

    @property
    def done(self) -> bool:
        """The meter says what was wanted."""
        return self.wanted == self.after


@dataclass
class Outcome:
    """What was done; `as_json` is the record to keep."""

    serial: str
    changes: list[Change]
    record: dict[str, Any]

    @property
    def done(self) -> bool:
        """Everything reads back as it was wanted."""
        return all(change.done for change in self.changes)


def pulse(text: str) -> tuple[int, int, int, int]:
    """A pulse weight as `protocol.parameters.WEIGHT` from "10 L" or "0.01 m3". Raises UsageError."""
    parts = text.split()
    if len(parts) != 2 or parts[1] not in UNITS:
        raise UsageError(f"expected a pulse weight such as '10 L', a unit of {', '.join(UNITS)}; got {text!r}")
    try:
        sign, digits, exponent = Decimal(parts[0]).as_tuple()
        mantissa, exponent = parameters.normal(int("".join(map(str, digits))), int(exponent))
    except (InvalidOperation, ValueError):
        raise UsageError(f"expected a number and a unit, got {text!r}") from None
    shift, quantity, unit = UNITS[parts[1]]
    exponent += shift
    if sign or not 0 < mantissa < 1 << 32 or not -128 <= exponent < 128:
        raise UsageError(f"expected a pulse weight above zero of at most nine digits, got {text!r}")
    return mantissa, exponent, quantity, unit


def configure(meter: Meter, plan: Plan, keys: KeyFile | None, push: Push) -> Outcome:
    """Do `plan` and read everything back. `push(meter, image)` sends a profile.

    A meter without keys needs no `keys`. The seal is closed only if all reads back as wanted. Raises UsageError, LinkError,
    DataError; ProofError if something reads back otherwise.
    """
    identity = meter.identify()
    trust = meter.trust()
    if trust.provisioned and keys is None:
        raise UsageError(f"expected --keys: {identity.serial} has keys, and takes changes from who holds one")
    if plan.seal and not trust.provisioned:
        raise UsageError(f"{identity.serial} has no keys yet and cannot be sealed; first `tonne keys provision`")
    session: AbstractContextManager[Any] = enter(meter, keys) if keys and trust.provisioned else nullcontext()
    changes: list[Change] = []
    effective = None
    with session as opened:
        role = roles.ROLES[opened.role] if opened else "nobody"
        if plan.time is not None:
            changes.append(_clock(meter, plan.time))
        changes += [_set(meter, number, *fields) for number, fields in _wanted(plan)]
        if plan.profile is not None:
            change, effective = _profile(meter, plan.profile, push)
            changes.append(change)
        if plan.seal and all(change.done for change in changes):
            before = "closed" if trust.sealed else "open"
            meter.close_seal()
            changes.append(Change("seal", before, "closed", "closed" if meter.trust().sealed else "open"))
    record = {
        "schema": SCHEMA,
        "made": wall.strftime("%Y-%m-%dT%H:%M:%SZ", wall.gmtime()),
        "by": role,
        "serial": identity.serial,
        "hardware": identity.hardware,
        "firmware": identity.firmware,
        "software": identity.software.hex(),
        "changes": [
            {"what": c.what, "before": c.before, "wanted": c.wanted, "after": c.after, "done": c.done} for c in changes
        ],
        "profile_from": effective,
        "meter": state(meter),
    }
    outcome = Outcome(identity.serial, changes, record)
    if not outcome.done:
        wrong = ", ".join(f"{c.what}: wanted {c.wanted}, read {c.after}" for c in changes if not c.done)
        raise ProofError(f"{identity.serial} does not read back as it was configured: {wrong}")
    return outcome


def state(meter: Meter) -> dict[str, Any]:
    """The meter as it now is, in plain values."""
    now = meter.registers()
    trust = meter.trust()
    return {
        "time": f"{now.time.utc:%Y-%m-%dT%H:%M:%SZ}",
        "clock_valid": now.time.valid,
        "status": flags.names(now.status),
        "profile": meter.identify().fingerprint.hex(),
        "registers": [{"name": r.name, "value": str(r.amount.decimal), "unit": r.amount.unit} for r in now.registers],
        "parameters": {p.name: shown(p) for p in meter.parameters()},
        "sealed": bool(trust.sealed),
        "seal_counter": trust.seal_counter,
        "public": trust.public.hex(),
    }


def shown(parameter: Parameter) -> str:
    """A parameter's value in words."""
    fields = parameter.fields
    if parameter.number in range(parameters.PULSE_WEIGHT, parameters.PULSE_WEIGHT + parameters.CHANNELS):
        if not fields["mantissa"]:
            return "as the profile says"
        value = Decimal(fields["mantissa"]).scaleb(fields["exponent"])
        return f"{value.normalize():f} {registers.UNITS.get(fields['unit'], fields['unit'])}"
    if "gain" in fields:
        gain, (name, other) = fields["gain"], list(fields.items())[1]
        return f"gain {gain:+d} ppm, {name} {other:+d}" if gain or other else "not adjusted"
    if "text" in fields:
        return fields["text"].rstrip(b"\0").decode(errors="replace")
    if parameter.number == parameters.BASE_TEMPERATURE:
        return f"{Decimal(fields['value']) / 100} K"
    return f"{fields['value']} Pa" if parameter.number == parameters.BASE_PRESSURE else str(fields["value"])


def _wanted(plan: Plan) -> list[tuple[int, tuple[Any, ...]]]:
    wanted: list[tuple[int, tuple[Any, ...]]] = []
    for channel, weight in sorted(plan.pulses.items()):
        if not 0 <= channel < parameters.CHANNELS:
            raise UsageError(f"expected a channel of 0 to {parameters.CHANNELS - 1}, got {channel}")
        wanted.append((parameters.PULSE_WEIGHT + channel, weight))
    if plan.base_temperature is not None:
        wanted.append((parameters.BASE_TEMPERATURE, (plan.base_temperature,)))
    if plan.base_pressure is not None:
        wanted.append((parameters.BASE_PRESSURE, (plan.base_pressure,)))
    if plan.site is not None:
        text = plan.site.encode()
        if len(text) > parameters.TABLE[parameters.SITE][0].size:
            raise UsageError(f"expected a site of at most 32 bytes, got {len(text)}")
        wanted.append((parameters.SITE, (text,)))
    return wanted


def _set(meter: Meter, number: int, *fields: Any) -> Change:
    before = meter.parameter(number)
    wanted = parameters.TABLE[number][0].pack(*fields)
    if before.raw != wanted:
        meter.set_parameter(number, *fields)
    after = meter.parameter(number)
    words = shown(after) if after.raw == wanted else f"bytes {wanted.hex()}"
    return Change(before.name, shown(before), words, shown(after))


def _clock(meter: Meter, time: int) -> Change:
    before = meter.clock()
    after = meter.set_clock(time)
    wanted = f"{utc(time):%Y-%m-%d %H:%M:%S}Z"
    near = after.valid and 0 <= int(after.utc.timestamp()) - time <= CLOCK_TOLERANCE
    return Change("clock", str(before), wanted, wanted if near else str(after))


def _profile(meter: Meter, data: bytes, push: Push) -> tuple[Change, str | None]:
    image = Image(data)
    before = meter.identify().fingerprint
    wanted = image.fingerprint
    if wanted == before:
        return Change("profile", before.hex(), wanted.hex(), before.hex()), None
    effective = push(meter, data).effective
    held = meter.profile(wanted[:TAG_SIZE]).fingerprint
    return Change("profile", before.hex(), wanted.hex(), held.hex()), f"{effective.utc:%Y-%m-%dT%H:%M:%SZ}"
