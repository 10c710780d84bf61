"""Parameters and the seal on the real firmware: who may change what, and the mark that a change leaves."""

import contextlib
import random
import struct

import pytest

from firmware.store.journal import Journal
from firmware.store.nor import RamNor
from firmware.trust.parameters import Parameters, size
from hostlink import events
from hostlink.errors import Refused
from hostlink.meter import Meter
from hostlink.session import Privileged
from protocol import events as kinds
from protocol import messages, parameters, session
from protocol import registers as quantities
from protocol import status as codes
from testbench.rigs.unix import UnixRig
from tests.firmware.keys import INSTALLER, LABORATORY, MANUFACTURER, SECRETS, refused

WEIGHT = (1, -2, quantities.VOLUME, quantities.CUBIC_METRE)
"""10 dm³ a pulse, as the profile's channel has it with other digits."""


@pytest.fixture
def sealed(factory_new: Meter) -> Meter:
    factory_new.provision(*SECRETS.values())
    with Privileged(factory_new, INSTALLER):
        factory_new.set_parameter(parameters.PULSE_WEIGHT, *WEIGHT)
        factory_new.set_parameter(parameters.BASE_PRESSURE, 101_325)
        assert factory_new.close_seal() == 0
    return factory_new


def legal(meter: Meter) -> list[events.Event]:
    return list(events.read(meter, kinds.LEGAL))


def test_a_factory_new_meter_takes_parameters_but_no_frozen_ones_and_no_seal(factory_new: Meter) -> None:
    assert factory_new.set_parameter(parameters.BASE_TEMPERATURE, 29_315).fields == {"value": 29_315}
    assert factory_new.parameter(parameters.BASE_TEMPERATURE).kind == parameters.SEALED
    assert factory_new.parameter(parameters.FRACTION_BITS).fields == {"value": 64}
    with refused(codes.NOT_ALLOWED):
        factory_new.set_parameter(parameters.FRACTION_BITS, 32)
    with refused(codes.NOT_READY):
        factory_new.close_seal()
    with refused(codes.NOT_FOUND):
        factory_new.parameter(99)
    with pytest.raises(Refused, match=r"wrong length \(33\)"):
        factory_new.ask(messages.PARAMETER_SET, bytes((parameters.SITE, 1, 2)))
    assert [p.number for p in factory_new.parameters()] == sorted(parameters.TABLE)


def test_the_seal_shows_and_shuts_out_the_installer(sealed: Meter, rig: UnixRig) -> None:
    assert not sealed.reading().status & codes.SEAL_OPEN
    assert sealed.trust().sealed
    with Privileged(sealed, INSTALLER):
        with refused(codes.SEALED):
            sealed.set_parameter(parameters.BASE_PRESSURE, 100_000)
        with refused(codes.NOT_ALLOWED):
            sealed.break_seal()
        assert sealed.set_parameter(parameters.SITE, b"Kessel 3").fields["text"].rstrip(b"\0") == b"Kessel 3"
    assert sealed.parameter(parameters.BASE_PRESSURE).fields == {"value": 101_325}
    assert (sealed.trust().sealed, sealed.trust().seal_counter) == (1, 0)
    rig.clock.advance(900_000)
    rig.clock.settle()
    assert [bool(record.status & codes.SEAL_OPEN) for record in sealed.records()][-1] is False


@pytest.mark.parametrize("key", [LABORATORY, MANUFACTURER])
def test_a_sealed_write_breaks_the_seal_counts_and_logs_old_and_new(sealed: Meter, key: object) -> None:
    with Privileged(sealed, key):
        sealed.set_parameter(parameters.BASE_PRESSURE, 100_000)
        assert sealed.reading().status & codes.SEAL_OPEN
        sealed.set_parameter(parameters.BASE_PRESSURE, 100_000)
        sealed.set_parameter(parameters.BASE_TEMPERATURE, 28_815)
        assert sealed.close_seal() == 1
        assert sealed.break_seal() == sealed.break_seal() == 2
    found = legal(sealed)
    role = session.ROLES[key.role]
    assert [(e.name, e.by, e.details) for e in found[-5:]] == [
        ("seal opened", role, "counter 0, counter 1"),
        ("configuration", role, f"parameter {parameters.BASE_PRESSURE}, old 101325, new 100000"),
        ("configuration", role, f"parameter {parameters.BASE_TEMPERATURE}, old 0, new 28815"),
        ("seal closed", role, "counter 1, counter 1"),
        ("seal opened", role, "counter 1, counter 2"),
    ]
    assert events.breaks(found) == []
    assert sealed.trust().seal_counter == 2


def test_a_meter_whose_profile_has_another_pulse_weight_is_not_sealed(sealed: Meter) -> None:
    with Privileged(sealed, LABORATORY):
        sealed.set_parameter(parameters.PULSE_WEIGHT, 1, -1, quantities.VOLUME, quantities.CUBIC_METRE)
        with pytest.raises(Refused, match=r"bad field value \(0\)"):
            sealed.close_seal()
        sealed.set_parameter(parameters.PULSE_WEIGHT, 1000, -5, quantities.VOLUME, quantities.CUBIC_METRE)
        assert sealed.close_seal() == 1
        sealed.set_parameter(parameters.PULSE_WEIGHT, 1, -2, quantities.ENERGY, quantities.WATT_HOUR)
        with refused(codes.BAD_VALUE):
            sealed.close_seal()


def test_failed_proofs_and_new_keys_are_logged(sealed: Meter) -> None:
    for _ in range(2):
        with refused(codes.BAD_MAC):
            Privileged(sealed, type(INSTALLER)(session.INSTALLER, b"?" * 32)).__enter__()
    with Privileged(sealed, MANUFACTURER):
        sealed.rotate_key(session.LABORATORY, b"L" * 32)
    failed = list(events.read(sealed, kinds.ORDINARY))
    assert [(e.name, e.details) for e in failed if e.kind == kinds.AUTHENTICATION_FAILED] == [
        ("authentication failed", f"role installer, failures before {n}, failures {n + 1}") for n in range(2)
    ]
    assert [e.by for e in legal(sealed) if e.kind == kinds.KEY_CHANGED] == ["meter", "manufacturer"]


def test_an_altered_event_shows_where(sealed: Meter) -> None:
    found = legal(sealed)
    raw = bytearray(found[1].raw)
    raw[12] ^= 1
    changed = [found[0], events.decode(bytes(raw), 1), *found[2:]]
    assert events.breaks(changed) == ["event 1: the chain breaks here"]
    assert events.breaks([found[0], *found[2:]]) == ["expected event 1, got 2"]


def test_nobody_resets_a_total(sealed: Meter, rig: UnixRig) -> None:
    rig.stimulus.pulses(0, 98_765)
    rig.clock.settle()
    before = [register.amount.raw for register in sealed.registers().registers]
    chosen = random.Random(4)
    codes_ = [code for code in messages.CATALOGUE if code not in (messages.SESSION_CLOSE, messages.KEY_ROTATE)]
    with Privileged(sealed, MANUFACTURER):
        for _ in range(600):
            message = chosen.choice([*codes_, chosen.randrange(256)])
            if message in (messages.SESSION_CLOSE, messages.KEY_ROTATE, messages.SESSION_PROVE):
                continue
            size = messages.CATALOGUE[message][1].size if message in messages.CATALOGUE else chosen.randrange(40)
            body = struct.pack("<B", chosen.randrange(8)) + chosen.randbytes(max(size - 1, 0))
            with contextlib.suppress(Refused):
                sealed.ask(message, body[:size] if chosen.random() < 0.9 else body + b"x")
            now = [register.amount.raw for register in sealed.registers().registers]
            assert now == before


def test_settings_outlive_an_update_that_brings_more_parameters() -> None:
    """What an older firmware kept is the beginning of what this one keeps."""
    flash = RamNor(2 * 1024, 1024)
    known = [n for n in parameters.CHANGEABLE if n < parameters.CALIBRATION]
    kept = {n: bytes([n] * parameters.TABLE[n][0].size) for n in known}
    assert Journal(flash, 0, 2, sum(map(len, kept.values()))).append(b"".join(kept.values())) is not False
    values = Parameters(Journal(flash, 0, 2, size()), {})
    assert {n: values.get(n) for n in known} == kept
    assert not any(values.get(parameters.CALIBRATION))
    assert values.set(parameters.CALIBRATION, b"\1\2\3\4\5\6")
    again = Parameters(Journal(flash, 0, 2, size()), {})
    assert {n: again.get(n) for n in known} == kept and again.get(parameters.CALIBRATION) == b"\1\2\3\4\5\6"
