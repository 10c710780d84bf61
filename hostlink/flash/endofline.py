"""What is done over the link once a board serves as a meter: identity, keys, clock, calibration, reference, self-test."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from hostlink.calibrate.run import Calibration
from hostlink.errors import FlashError, LinkError, PortError
from hostlink.flash.ledger import Unit
from hostlink.flash.plan import Plan, Progress
from hostlink.keys import ROLES, KeyFile, enter
from hostlink.meter import Meter, connect
from hostlink.tables import values
from protocol import messages, selftest
from protocol.image import Image

START_S = 30.0
CLOCK_LIMIT_S = 2.0


def finish(unit: Unit, plan: Plan, step: Progress) -> None:
    """All of it; `unit.detail` gets what was found. Raises FlashError, LinkError, UsageError."""
    with _meter(unit, plan) as meter:
        step("identity", 0, 1)
        _identify(meter, unit, plan)
        step("keys", 0, 1)
        _give_keys(meter, unit, plan.keys)
        step("clock", 0, 1)
        _set_clock(meter, unit, plan.keys, plan.clock)
        step("calibrate", 0, 1)
        _calibrate(meter, unit, plan, step)
        step("reference", 0, 1)
        _count(meter, unit, plan)
        step("test", 0, 1)
        _test(meter, unit)


class _meter:
    """The meter behind a port once it serves: the port may go and come back while the board restarts."""

    def __init__(self, unit: Unit, plan: Plan) -> None:
        self._url, self._address, self._clock, self._timeout = unit.port, plan.config["address"], plan.clock, plan.timeout
        self._capture = plan.captures / f"{unit.serial}.tonne" if plan.captures else None

    def __enter__(self) -> Meter:
        limit = max(START_S, START_S * (self._timeout or 0))
        end = self._clock() + limit
        while True:
            try:
                self._open = connect(
                    self._url, self._address, timeout=self._timeout, capture=self._capture, clock=self._clock
                )
                meter = self._open.__enter__()
                try:
                    meter.ask(messages.IDENTIFY, timeout=self._timeout or 1.0, retries=0)
                    return meter
                except BaseException:
                    self._open.__exit__(None, None, None)
                    raise
            except (LinkError, PortError) as error:
                if self._clock() > end:
                    raise FlashError(f"the meter did not start within {limit:.0f} s: {error}") from None
                time.sleep(0.2)

    def __exit__(self, *raised: Any) -> None:
        self._open.__exit__(None, None, None)


def _identify(meter: Meter, unit: Unit, plan: Plan) -> None:
    identity = meter.identify()
    fingerprint = Image(plan.profile).fingerprint
    unit.detail |= {"firmware": identity.firmware, "software": identity.software.hex(), "address": meter.address}
    unit.detail["profile"] = identity.fingerprint.hex()
    for what, expected, got in (
        ("serial number", (unit.serial,), identity.serial),
        ("software digest", plan.softwares, identity.software.hex()),
        ("profile", (fingerprint.hex(),), identity.fingerprint.hex()),
    ):
        if got not in expected:
            raise FlashError(f"expected {what} {' or '.join(filter(None, expected))}, the meter says {got}")


def _give_keys(meter: Meter, unit: Unit, keys: KeyFile | None) -> None:
    """Give a factory-new meter its keys; one that has some must prove that they are these."""
    provisioned = bool(meter.trust().provisioned)
    unit.detail["keys"] = provisioned or keys is not None
    if keys is None:
        return
    if not provisioned:
        installer, laboratory, manufacturer = (keys.key(role, unit.serial).secret for role in ROLES)
        meter.provision(installer, laboratory, manufacturer, keys.update_public)
    with enter(meter, keys):
        pass


def _set_clock(meter: Meter, unit: Unit, keys: KeyFile | None, clock: Callable[[], float] = time.monotonic) -> None:
    """Set the clock and read it back. What passes in between is known to within the two exchanges, which a slow line makes long."""
    if unit.detail["keys"] and keys is None:
        raise FlashError("the meter has keys already, and its clock takes one of them: give them with --keys")
    session: AbstractContextManager[Any] = enter(meter, keys) if unit.detail["keys"] and keys else nullcontext()
    with session:
        now, began = int(time.time()), clock()
        meter.set_clock(now)
        is_set = clock()
    asked = clock()
    shown = meter.clock().utc.timestamp() - now
    least, most = asked - is_set, clock() - began
    off = min(shown - least, 0) or max(shown - most, 0)
    unit.detail["clock_off_s"] = round(off, 3)
    if abs(off) > CLOCK_LIMIT_S:
        raise FlashError(f"the clock is {off:+.1f} s off after it was set, at most {CLOCK_LIMIT_S} s are allowed")


def _calibrate(meter: Meter, unit: Unit, plan: Plan, step: Progress) -> None:
    """The record has what was done up to a failure."""
    if plan.calibration is None or plan.bench is None:
        unit.detail["calibration"] = None
        return
    job = Calibration(
        meter, plan.bench(unit.port), plan.calibration.settle_s, lambda seconds: _wait(plan.clock, seconds)
    )
    unit.detail["calibration"] = job.record
    job.run(plan.calibration, unit.serial, plan.keys, False, lambda done, total: step("calibrate", done, total))


def _wait(clock: Callable[[], float], seconds: float) -> None:
    end = clock() + seconds
    while (left := end - clock()) > 0:
        time.sleep(min(left, 0.05))


def _count(meter: Meter, unit: Unit, plan: Plan) -> None:
    """What a reference feeds in must be counted: a pulse input to the quantum, an energy chip within what its limit makes of it."""
    if plan.reference is None:
        unit.detail["reference"] = None
        return
    channels = meter.identify().channels
    before = [register.amount.whole for register in meter.registers().registers[:channels]]
    fed = plan.reference(unit)
    after = [register.amount.whole for register in meter.registers().registers[:channels]]
    counted = [late - early for late, early in zip(after, before, strict=True)]
    unit.detail["reference"] = {"fed": fed, "counted": counted}
    bounds = [(each, each) if isinstance(each, int) else (min(each), max(each)) for each in fed]
    good = [low <= count <= high for (low, high), count in zip(bounds, counted, strict=False)]
    if len(bounds) != len(counted) or not all(good):
        raise FlashError(f"the reference fed {fed} quanta, the meter counted {counted}")


def _test(meter: Meter, unit: Unit) -> None:
    got = values(messages.SELF_TEST_REPLY, meter.ask(messages.SELF_TEST))
    unit.detail["self_test"] = {"done": selftest.names(got["done"]), "failed": selftest.names(got["failed"])}
    unit.detail |= {key: got[key] for key in ("errors", "heap_used", "heap_free")}
    unit.detail["index"] = [str(register.amount.decimal) for register in meter.registers().registers]
    if got["failed"]:
        raise FlashError(f"self-test failed: {', '.join(selftest.names(got['failed']))}")
