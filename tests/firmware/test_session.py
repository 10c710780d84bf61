"""Sessions on the real firmware: who may do what, what is refused, what survives; and what a MAC costs on a 32-bit target."""

import struct
import time

import pytest

from hostlink.errors import ProofError, Refused, UsageError
from hostlink.meter import Meter
from hostlink.session import Key, Privileged, open_session
from protocol import frame, messages, session
from protocol import status as codes
from testbench import attack
from testbench.bench.trust import MAC_LIMIT, mac_cost
from testbench.emulators.mps2 import Mps2
from testbench.micropython import run
from testbench.rigs.unix import UnixRig
from tests.firmware.keys import INSTALLER, LABORATORY, SECRETS, START, refused


@pytest.fixture
def meter(factory_new: Meter) -> Meter:
    factory_new.provision(*SECRETS.values())
    return factory_new


def test_a_factory_new_meter_takes_changes_and_keys_once(factory_new: Meter) -> None:
    assert not factory_new.trust().provisioned
    assert factory_new.reading().status & codes.SEAL_OPEN
    factory_new.set_clock(START + 5)
    with refused(codes.NOT_READY):
        open_session(factory_new, INSTALLER)
    with refused(codes.BAD_VALUE):
        factory_new.provision(b"i" * 32, bytes(32), b"m" * 32)
    assert factory_new.provision(*SECRETS.values()).provisioned
    with refused(codes.NOT_ALLOWED):
        factory_new.provision(*SECRETS.values())
    with pytest.raises(Refused, match="it takes the key of the installer; name a key file"):
        factory_new.set_clock(START + 5)


def test_the_signing_key_appears_after_provisioning(meter: Meter) -> None:
    limit = time.monotonic() + 20
    while not any(meter.trust().public):
        assert time.monotonic() < limit
        time.sleep(0.05)
    trust = meter.trust()
    assert struct.unpack_from(">III", trust.public) == (3, 5, 3)
    assert trust.signatures_left == 32**3


def test_a_session_opens_and_ends(meter: Meter, rig: UnixRig) -> None:
    with Privileged(meter, INSTALLER):
        assert meter.set_clock(START + 9).utc.timestamp() == START + 9
        assert meter.trust().role == session.INSTALLER
    assert meter.trust().role == session.NOBODY
    with refused(codes.NO_SESSION):
        meter.set_clock(START)
    meter.session = open_session(meter, INSTALLER)
    rig.clock.advance(899_000)
    rig.clock.settle()
    meter.set_clock(START)
    rig.clock.advance(900_000)
    rig.clock.settle()
    with refused(codes.NO_SESSION):
        meter.set_clock(START)


def test_wrong_keys_shut_the_meter_ever_longer(meter: Meter, rig: UnixRig) -> None:
    wrong = Key(session.INSTALLER, b"?" * 32)
    for left in (0, 0, 2):
        with pytest.raises(Refused, match=rf"does not prove \({left}\)"):
            open_session(meter, wrong)
    for wait in (2, 4, 8, 16):
        with refused(codes.LOCKED):
            open_session(meter, INSTALLER)
        rig.clock.advance(1000 * (wait - 1))
        rig.clock.settle()
        with refused(codes.LOCKED):
            open_session(meter, INSTALLER)
        rig.clock.advance(1000)
        rig.clock.settle()
        with refused(codes.BAD_MAC):
            open_session(meter, wrong)
    assert meter.trust().failures == 7
    rig.clock.advance(32_000)
    rig.clock.settle()
    with Privileged(meter, INSTALLER):
        assert meter.trust().failures == 0


def test_cutting_power_neither_forgets_failures_nor_shortens_the_wait(meter: Meter, rig: UnixRig) -> None:
    wrong = Key(session.INSTALLER, b"?" * 32)
    for _ in range(3):
        with refused(codes.BAD_MAC):
            open_session(meter, wrong)
    rig.clock.advance(2000)
    rig.clock.settle()
    with refused(codes.BAD_MAC):
        open_session(meter, wrong)
    for passed in (0, 3000):
        rig.clock.advance(passed)
        rig.clock.settle()
        rig.power.off()
        rig.power.on()
        assert (meter.trust().failures, meter.trust().locked) == (4, 4)
        with refused(codes.LOCKED):
            open_session(meter, INSTALLER)
    rig.clock.advance(4000)
    rig.clock.settle()
    with Privileged(meter, INSTALLER):
        pass
    rig.power.off()
    rig.power.on()
    assert (meter.trust().failures, meter.trust().locked) == (0, 0)
    with refused(codes.NO_SESSION):
        meter.set_clock(START)


def test_a_challenge_serves_once(meter: Meter) -> None:
    asked = messages.SESSION_OPEN_REQUEST.pack(1, bytes(16))
    assert meter.ask(messages.SESSION_OPEN, asked) != meter.ask(messages.SESSION_OPEN, asked)
    proof = messages.SESSION_PROVE_REQUEST.pack(1, bytes(16))
    with refused(codes.BAD_MAC):
        meter.ask(messages.SESSION_PROVE, proof)
    with refused(codes.NOT_READY):
        meter.ask(messages.SESSION_PROVE, proof)
    meter.ask(messages.SESSION_OPEN, asked)
    with refused(codes.NOT_READY):
        meter.ask(messages.SESSION_PROVE, messages.SESSION_PROVE_REQUEST.pack(2, bytes(16)))


def test_keys_rotate_downwards_and_never_travel_in_clear(meter: Meter) -> None:
    sent = bytearray()
    meter.transport._tap = lambda direction, data: sent.extend(data)
    fresh = {1: b"I" * 32, 2: b"L" * 32}
    with Privileged(meter, LABORATORY):
        for role, key in fresh.items():
            meter.rotate_key(role, key)
        with refused(codes.NOT_ALLOWED):
            meter.rotate_key(session.MANUFACTURER, b"M" * 32)
    for role, key in fresh.items():
        with refused(codes.BAD_MAC):
            open_session(meter, Key(role, SECRETS[role]))
        with Privileged(meter, Key(role, key)):
            assert meter.trust().role == role
    whitened = bytes(byte ^ frame.WHITENER for byte in sent)
    assert all(key[:8] not in whitened for key in [*fresh.values(), *SECRETS.values()])


def test_a_meter_that_does_not_know_the_key_is_told_apart(meter: Meter) -> None:
    honest = open_session(meter, INSTALLER)
    meter.session = type(honest)(session.INSTALLER, b"x" * 32)
    with refused(codes.BAD_MAC):
        meter.set_clock(START)
    meter.session = honest
    meter.set_clock(START)
    header = bytes((1, frame.VERSION | frame.CONTROL_REPLY | frame.CONTROL_MAC, 0, messages.CLOCK_SET))
    with pytest.raises(ProofError, match="somebody on the line"):
        honest.check(header, bytes(27))
    with pytest.raises(ProofError, match="without"):
        honest.check(header[:1] + bytes((frame.VERSION | frame.CONTROL_REPLY,)) + header[2:], bytes(27))


def test_a_key_never_shows_itself() -> None:
    assert repr(INSTALLER) == "Key(installer)"
    assert SECRETS[1].hex() not in repr([INSTALLER]) + str(INSTALLER)
    with pytest.raises(UsageError, match="32 bytes, got 3"):
        Key(1, b"abc")
    with pytest.raises(UsageError, match="got 7"):
        Key(7, b"a" * 32)


def test_nothing_an_attacker_sends_is_accepted() -> None:
    outcome = attack.run(5_000, seed=7)
    assert outcome.held, outcome.accepted + outcome.changed
    assert min(outcome.sent.values()) > 500
    assert outcome.refused["replayed or out of order"] > 500


def test_the_attack_notices_what_is_let_in() -> None:
    class Careless(attack.Attacker):
        def replayed(self) -> bytes:
            return bytes((1, frame.VERSION, 0, messages.SESSION_OPEN)) + messages.SESSION_OPEN_REQUEST.pack(
                1, bytes(16)
            )

    honest = session.NEEDS[messages.SESSION_OPEN]
    session.NEEDS[messages.SESSION_OPEN] = session.MANUFACTURER
    original = attack.Attacker
    attack.Attacker = Careless  # type: ignore[misc]
    try:
        assert not attack.run(320).held
    finally:
        attack.Attacker = original  # type: ignore[misc]
        session.NEEDS[messages.SESSION_OPEN] = honest


def test_a_mac_costs_at_most_30_000_instructions(mps2: Mps2) -> None:
    check, sign = mac_cost(mps2)
    assert 15_000 < check <= MAC_LIMIT
    assert sign <= MAC_LIMIT


def test_the_compiled_comparison_is_the_plain_one(mps2: Mps2) -> None:
    code = """
from firmware import kernel, native
a = bytes(range(40, 56))
for n in range(128):
    b = bytearray(b"." + a)
    assert native.equal(a, memoryview(b)[1:], 16) and kernel.equal(a, memoryview(b)[1:], 16)
    b[1 + n // 8] ^= 1 << n % 8
    assert not native.equal(a, memoryview(b)[1:], 16) and not kernel.equal(a, memoryview(b)[1:], 16)
assert native.equal is not kernel.equal
"""
    mps2.run(code)
    run(code)


def test_hashing_behind_a_prefix_is_hashing(mps2: Mps2) -> None:
    code = """
import hashlib
from firmware.trust.hasher import Hasher, Mac
from protocol import session
hasher = Hasher(b"p" * 64)
assert hasher.again
for size in (0, 1, 55, 56, 63, 64, 65, 300):
    assert hasher.digest(b"x" * size) == hashlib.sha256(b"p" * 64 + b"x" * size).digest()
    assert Mac(b"k" * 32).digest(b"x" * size) == session.Mac(b"k" * 32).digest(b"x" * size)
hasher.again = False
assert hasher.digest(b"abc") == hashlib.sha256(b"p" * 64 + b"abc").digest()
"""
    mps2.run(code)
    run(code)
