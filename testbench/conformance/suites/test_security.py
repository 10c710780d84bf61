"""Roles, proofs, replay, forgery, waiting after failures, downgrade, the seal and the events that changes leave."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

from hostlink import events, session
from hostlink.errors import ProofError, Refused
from hostlink.events import Event
from hostlink.session import Key, Privileged
from protocol import events as kinds
from protocol import frame, messages, parameters
from protocol import session as roles
from protocol import status as codes
from testbench.conformance.bench import START, Bench, Device
from testbench.conformance.suites import cases
from testbench.conformance.suites.wire import answers, refusal, request

TRUST, PROTECTION, AUDIT = "tonne-trust", "welmec-p4", "d31-audit"
ROLES = (roles.INSTALLER, roles.LABORATORY, roles.MANUFACTURER)


@contextmanager
def provisioned(bench: Bench, update: bytes = bytes(60), **rig: Any) -> Iterator[tuple[Device, dict[int, Key]]]:
    """A meter with keys of the plan's seed, `update` the public one of its updates, and what the host draws at random drawn from
    that seed."""
    keys = {role: Key(role, bench.random.randbytes(roles.KEY_SIZE)) for role in ROLES}
    drawn = SimpleNamespace(token_bytes=bench.random.randbytes)
    with mock.patch.object(session, "secrets", drawn), bench.device(bench.profile.image, **rig) as device:
        installer, laboratory, manufacturer = (keys[role].secret for role in ROLES)
        device.meter.provision(installer, laboratory, manufacturer, update, entropy=bench.random.randbytes(32))
        device.settle()
        yield device, keys


def signed(device: Device, opened: session.Session, message: int, body: bytes) -> bytes:
    """The frame of a request under a session, its counter used."""
    header = bytes((device.meter.address, frame.CONTROL_MAC | frame.VERSION, 9, message))
    return frame.encode(device.meter.address, frame.CONTROL_MAC, 9, message, opened.protect(header, body))


def code_of(call: Any) -> int:
    """The code with which `call()` is refused, 0 if it is not."""
    try:
        call()
    except Refused as refused:
        return refused.code
    return 0


def proves(device: Device, key: Key) -> int:
    """The code with which a session with `key` is refused, 0 if the meter opens one: whatever it then proves of itself."""
    try:
        session.open_session(device.meter, key)
    except Refused as refused:
        return refused.code
    except ProofError:
        return 0
    return 0


def logged(device: Device, kind: int) -> list[Event]:
    """The events of one kind."""
    return [e for e in events.read(device.meter, kinds.log_of(kind)) if e.kind == kind]


CHANGES = {
    "set clock": (messages.CLOCK_SET, messages.CLOCK_SET_REQUEST.pack(START + 5000)),
    "begin blob": (messages.BLOB_BEGIN, messages.BLOB_BEGIN_REQUEST.pack(messages.PROFILE, 100, bytes(32))),
    "set parameter": (messages.PARAMETER_SET, bytes((parameters.SITE,)) + b"x" * 32),
    "break seal": (messages.SEAL_BREAK, b""),
    "rotate key": (messages.KEY_ROTATE, messages.KEY_ROTATE_REQUEST.pack(roles.MANUFACTURER, bytes(32))),
    "provision again": (
        messages.KEYS_PROVISION,
        messages.KEYS_PROVISION_REQUEST.pack(*[b"k" * 32] * 3, bytes(60), bytes(32)),
    ),
}


@cases(lambda plan: list(CHANGES))
def test_without_session(bench: Bench, case: str) -> None:
    """What changes something is refused without a proved session, and has no effect."""
    message, body = CHANGES[case]
    with provisioned(bench) as (device, _):
        before = device.meter.clock().utc
        got = refusal(answers(device, request(device, message, body)))
        after = device.meter.clock().utc
    right = got is not None and got[0] in (codes.NO_SESSION, codes.NOT_ALLOWED)
    bench.point(
        "security.no_session",
        TRUST,
        int(not right),
        high=0,
        what="taken without a session",
        conditions=[("change", case, "")],
    )
    bench.point(
        "security.no_effect",
        PROTECTION,
        int(before != after),
        high=0,
        what="had an effect",
        conditions=[("change", case, "")],
    )


@cases(lambda plan: [roles.ROLES[role] for role in ROLES])
def test_roles(bench: Bench, case: str) -> None:
    """Each role may do what it may, and nothing above it."""
    role = next(number for number, name in roles.ROLES.items() if name == case)
    wrong = []
    with provisioned(bench) as (device, keys), Privileged(device.meter, keys[role]):
        meter = device.meter
        for name, call, needs in (
            ("set clock", lambda: meter.set_clock(START + 100), roles.INSTALLER),
            ("close seal", lambda: meter.close_seal(), roles.INSTALLER),
            ("break seal", lambda: meter.ask(messages.SEAL_BREAK), roles.LABORATORY),
            (
                "rotate the manufacturer's key",
                lambda: meter.rotate_key(roles.MANUFACTURER, b"n" * 32),
                roles.MANUFACTURER,
            ),
        ):
            code = code_of(call)
            if bool(code) != (role < needs):
                wrong.append(f"{name}: {codes.REFUSALS.get(code, 'done')}")
    bench.none("security.roles", TRUST, wrong, "of 4 changes, taken or refused wrongly", [("role", case, "")])


def test_replay(bench: Bench) -> None:
    """A privileged frame is taken once."""
    with provisioned(bench) as (device, keys):
        opened = session.open_session(device.meter, keys[roles.INSTALLER])
        first, second = (
            signed(device, opened, messages.CLOCK_SET, messages.CLOCK_SET_REQUEST.pack(START + after))
            for after in (1000, 2000)
        )
        taken = answers(device, first) + answers(device, second)
        again = [refusal(answers(device, wire)) for wire in (first, second, first, second)]
        clock = int(device.meter.clock().utc.timestamp())
        refused = device.meter.trust().refused_macs
    done = sum(not got[1] & frame.CONTROL_REFUSED for got in taken)
    bench.point("security.signed", TRUST, done, low=2, what="of 2 signed frames, taken")
    wrong = [got for got in again if got is None or got[0] != codes.REPLAYED]
    bench.none("security.replay", TRUST, wrong, "of 4 replayed frames, not refused as such")
    late = clock - (START + 2000)
    bench.point(
        "security.replay_effect", PROTECTION, late, low=0, high=1, unit="s", what="clock less the time last set"
    )
    bench.point("security.refused_counted", AUDIT, refused, low=4, high=4, what="refused frames counted")


def test_forgery(bench: Bench) -> None:
    """Every bit of MAC and counter, and of the body, flipped in turn."""
    body = messages.CLOCK_SET_REQUEST.pack(START + 9999)
    wrong = []
    with provisioned(bench) as (device, keys):
        opened = session.open_session(device.meter, keys[roles.LABORATORY])
        header = bytes((device.meter.address, frame.CONTROL_MAC | frame.VERSION, 9, messages.CLOCK_SET))
        good = opened.protect(header, body)
        for bit in range(8 * len(good)):
            spoilt = bytearray(good)
            spoilt[bit // 8] ^= 1 << bit % 8
            wire = frame.encode(device.meter.address, frame.CONTROL_MAC, 9, messages.CLOCK_SET, bytes(spoilt))
            got = refusal(answers(device, wire))
            if got is None or got[0] not in (codes.BAD_MAC, codes.REPLAYED):
                wrong.append(f"bit {bit}: {got}")
        clock = int(device.meter.clock().utc.timestamp())
    bench.none("security.forgery", TRUST, wrong, f"of {8 * len(good)} frames with one wrong bit, taken")
    bench.point("security.forgery_effect", PROTECTION, int(clock > START + 5000), high=0, what="had an effect")


def test_another_key(bench: Bench) -> None:
    """A session cannot be opened with a key that is not the meter's; after three failures it stays shut, longer each time."""
    waits = []
    with provisioned(bench) as (device, keys):
        wrong_key = Key(roles.INSTALLER, bytes(31) + b"\1")
        seen = []
        for _ in range(6):
            seen.append(proves(device, wrong_key))
            waits.append(device.meter.trust().locked)
            device.advance(waits[-1])
            device.settle()
        right = proves(device, keys[roles.INSTALLER])
        device.advance(60)
        device.settle()
        for _ in range(3):
            proves(device, wrong_key)
        shut = proves(device, keys[roles.INSTALLER])
        failures = logged(device, kinds.AUTHENTICATION_FAILED)
    bench.point("security.wrong_key", TRUST, int(seen != [codes.BAD_MAC] * 6), high=0, what="a wrong key proves")
    growing = all(later > sooner for sooner, later in itertools.pairwise(waits[2:])) and waits[2] > 0
    bench.point(
        "security.lockout",
        TRUST,
        int(growing),
        low=1,
        what="shut longer after each failure from the third on",
        note=str(waits),
    )
    bench.point("security.lockout_ends", TRUST, right, high=0, what="the right key refused when the wait is over")
    bench.point("security.locked", TRUST, int(shut == codes.LOCKED), low=1, what="the right key waits too")
    bench.point("security.failure_logged", AUDIT, len(failures), low=9, high=9, what="of 9 failures, logged")


def test_session_ends(bench: Bench) -> None:
    """A session ends when it is not used, and when it is closed."""
    with provisioned(bench) as (device, keys):
        with Privileged(device.meter, keys[roles.INSTALLER]):
            device.advance(1000)
            device.settle()
            idle = code_of(lambda: device.meter.set_clock(START))
            device.meter.session = session.open_session(device.meter, keys[roles.INSTALLER])
            reopened = device.meter.session
            stale = signed(device, reopened, messages.CLOCK_SET, messages.CLOCK_SET_REQUEST.pack(START + 3))
        closed = refusal(answers(device, stale))
    bench.point("security.idle", TRUST, int(idle == codes.NO_SESSION), low=1, what="ended after 900 s without use")
    bench.point(
        "security.closed",
        TRUST,
        int(closed is not None and closed[0] == codes.NO_SESSION),
        low=1,
        what="ended when closed",
    )


def test_seal(bench: Bench) -> None:
    """Sealed, a legally relevant parameter breaks the seal, which is counted, shown and logged with old, new and actor."""
    (channel,) = bench.profile.parts.channels
    layout = parameters.WEIGHT
    weight, other = (layout.pack(mantissa, -2, channel.quantity, channel.unit) for mantissa in (0, 2))
    set_other = bytes((parameters.PULSE_WEIGHT,)) + other
    with provisioned(bench) as (device, keys):
        meter = device.meter
        with Privileged(meter, keys[roles.INSTALLER]):
            meter.ask(messages.PARAMETER_SET, bytes((parameters.PULSE_WEIGHT,)) + weight)
            meter.close_seal()
            sealed, status = meter.trust(), meter.reading().status
            installer = code_of(lambda: meter.ask(messages.PARAMETER_SET, set_other))
            unchanged = meter.parameter(parameters.PULSE_WEIGHT).raw
            site = code_of(lambda: meter.ask(messages.PARAMETER_SET, bytes((parameters.SITE,)) + b"s" * 32))
        with Privileged(meter, keys[roles.LABORATORY]):
            meter.ask(messages.PARAMETER_SET, set_other)
            broken, open_status = meter.trust(), meter.reading().status
            frozen = code_of(lambda: meter.ask(messages.PARAMETER_SET, bytes((parameters.FRACTION_BITS, 32))))
        changed = meter.parameter(parameters.PULSE_WEIGHT).raw
        opened = logged(device, kinds.SEAL_OPENED)
        configured = logged(device, kinds.CONFIGURATION)
        breaks = events.breaks(list(events.read(meter, kinds.LEGAL)))
    bench.point("security.sealed", AUDIT, sealed.sealed, low=1, high=1, what="sealed")
    bench.point("security.seal_shown", AUDIT, int(bool(status & codes.SEAL_OPEN)), high=0, what="still shown as open")
    bench.point(
        "security.seal_holds",
        TRUST,
        int(installer == codes.SEALED and unchanged == weight),
        low=1,
        what="the installer cannot change it",
    )
    bench.point("security.market", TRUST, site, high=0, what="a parameter of the site, refused under seal")
    bench.point(
        "security.frozen", TRUST, int(frozen == codes.NOT_ALLOWED), low=1, what="a frozen parameter cannot be changed"
    )
    bench.point(
        "security.seal_counted",
        AUDIT,
        broken.seal_counter - sealed.seal_counter,
        low=1,
        high=1,
        what="breaking it is counted",
    )
    bench.point(
        "security.seal_open",
        AUDIT,
        int(not broken.sealed and bool(open_status & codes.SEAL_OPEN)),
        low=1,
        what="open and shown so",
    )
    bench.point("security.seal_change", TRUST, int(changed == other), low=1, what="the laboratory's change is in force")
    bench.point("security.seal_logged", AUDIT, len(opened), low=1, high=1, what="the break is in the legal log")
    last = configured[-1] if configured else None
    right = last is not None and (last.actor, last.subject) == (roles.LABORATORY, parameters.PULSE_WEIGHT)
    right = right and last is not None and (last.old, last.new) == (parameters.shown(weight), parameters.shown(other))
    bench.point(
        "security.change_logged", AUDIT, int(right), low=1, what="change logged with parameter, old, new and actor"
    )
    bench.none("security.log_chain", AUDIT, breaks, "breaks in the log's chain", [("log", "legal", "")])


ENOUGH = 5000
"""Changes after which a log that never refuses is given up on."""


def test_full_logs(bench: Bench) -> None:
    """The ordinary log forgets its oldest events and keeps the newest; the legal one refuses a change it cannot log."""
    with bench.device(bench.profile.image) as device:
        meter, sets = device.meter, 0
        while not sets or next(events.read(meter, kinds.ORDINARY)).sequence == 0:
            for _ in range(100):
                sets += 1
                meter.set_clock(START + sets)
            if sets > ENOUGH:
                break
        ordinary = list(events.read(meter, kinds.ORDINARY))
        changes, refused = 0, 0
        while not refused and changes < ENOUGH:
            wanted = bytes((parameters.SITE,)) + b"%032d" % changes
            refused = code_of(lambda wanted=wanted: meter.ask(messages.PARAMETER_SET, wanted))
            changes += not refused
        site = meter.parameter(parameters.SITE).raw
        legal = list(events.read(meter, kinds.LEGAL))
    newest = ordinary[-1] if ordinary else None
    kept = newest is not None and (newest.kind, int.from_bytes(newest.new, "little")) == (kinds.CLOCK_SET, START + sets)
    bench.point("security.newest_event", AUDIT, int(kept), low=1, what="the newest event is kept when the log is full")
    found = events.breaks(ordinary)
    bench.none("security.log_chain", AUDIT, found, "breaks in the log's chain", [("log", "ordinary, full", "")])
    logged = sum(e.kind == kinds.CONFIGURATION for e in legal)
    bench.point(
        "security.change_without_event", AUDIT, changes - logged, low=0, high=0, what="changes without an event"
    )
    bench.point(
        "security.log_full", AUDIT, int(refused != codes.EXHAUSTED), high=0, what="a change is taken with the log full"
    )
    unchanged = site == b"%032d" % (changes - 1)
    bench.point("security.log_full_effect", AUDIT, int(not unchanged), high=0, what="what was refused had an effect")


def test_events(bench: Bench) -> None:
    """What happens is logged once, in order, with its time."""
    with provisioned(bench) as (device, keys):
        device.advance(100)
        device.settle()
        with Privileged(device.meter, keys[roles.INSTALLER]):
            device.meter.set_clock(START + 5000)
        ordinary = list(events.read(device.meter, kinds.ORDINARY))
        legal = list(events.read(device.meter, kinds.LEGAL))
    clocks = [e for e in ordinary if e.kind == kinds.CLOCK_SET]
    right = len(clocks) == 1 and clocks[0].actor == roles.INSTALLER
    right = right and [int.from_bytes(x, "little") for x in (clocks[0].old, clocks[0].new)] == [
        START + 100,
        START + 5000,
    ]
    bench.point(
        "security.clock_logged", AUDIT, int(right), low=1, what="setting the clock logged with old, new and actor"
    )
    orders = [e.order for e in sorted(ordinary + legal, key=lambda e: e.order)]
    bench.point(
        "security.log_order",
        AUDIT,
        int(orders != list(range(len(orders)))),
        high=0,
        what="a gap in the order of events",
    )
    found = events.breaks(ordinary) + events.breaks(legal)
    bench.none("security.log_chain", AUDIT, found, "breaks in the logs' chains", [("log", "both", "")])
    powers = [e for e in ordinary if e.kind == kinds.POWER_UP]
    bench.point("security.power_logged", AUDIT, len(powers), low=1, high=1, what="power-ups logged")
