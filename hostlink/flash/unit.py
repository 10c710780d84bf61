"""The way of one board to a meter: steps that can be broken off anywhere and run again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hostlink.calibrate.plan import Plan as CalibrationPlan
from hostlink.calibrate.run import Bench, Calibration
from hostlink.errors import BoardError, FlashError, LinkError, PortError, TonneError
from hostlink.flash.board import Board, Found, digest
from hostlink.flash.compile import pico_starter, software_digest
from hostlink.flash.ledger import FAILED, PASSED, Ledger, Unit
from hostlink.keys import ROLES, KeyFile, enter
from hostlink.meter import Meter, connect
from hostlink.tables import values
from protocol import messages, selftest
from protocol.image import Image

OURS = ("firmware", "protocol", "updates", "board.json", "boot.py", "main.py", "slots.mpy", "profile.bin", "new.part")
START_S = 30.0
CLOCK_LIMIT_S = 2.0
_OF_THE_BOARD = ("hardware", "micropython", "uid")

Progress = Callable[[str, int, int], None]
"""Told the step, what of it is done, and its total."""
Reference = Callable[[Unit], Sequence[int | Sequence[int]]]
"""Feeds a known number of quanta to each channel of a unit and returns them, or the fewest and the most that may be counted."""


@dataclass(frozen=True)
class Plan:
    """What a board shall become. `config` is board.json without the serial number, `pattern` as for `Ledger.begin`.

    erase: clear a filesystem that holds foreign files. reference: for the test of what is counted. keys: the manufacturer's, of
    which each unit's are made; without them a unit stays factory-new. calibration: the bench's steps, which `bench(port)` carries
    out. clock: of time-outs. timeout: seconds for a reply, where the board is slower than its line. image: digest of what an image
    of this release has frozen in.
    """

    application: Mapping[str, bytes]
    boot: bytes
    profile: bytes
    config: Mapping[str, Any]
    pattern: str
    erase: bool = False
    reference: Reference | None = None
    keys: KeyFile | None = None
    calibration: CalibrationPlan | None = None
    bench: Callable[[str], Bench] | None = None
    clock: Callable[[], float] = time.monotonic
    timeout: float | None = None
    image: bytes = b""
    softwares: tuple[str, ...] = field(init=False)
    """The digests that the meter may name as its software: of `application`, and of an image of the same release."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "softwares", (software_digest(self.application).hex(), self.image.hex()))


def flash(url: str, plan: Plan, ledger: Ledger, progress: Progress = lambda *_: None) -> Unit:
    """Make the board behind `url` a meter. A failure is in the record returned; only what no record can hold is raised.

    Raises PortError and BoardError for a board that cannot even be told apart, UsageError for a serial number of another.
    """
    with Board(url) as board:
        progress("prompt", 0, 1)
        try:
            board.prompt()
        except BoardError as error:
            silent = error
        else:
            found = board.inspect()
            unit = ledger.begin(found.uid, url, plan.pattern)
            return _recorded(unit, ledger, progress, lambda step: _flash(board, found, unit, plan, step))
    return _closed(url, plan, ledger, progress, silent)


def _closed(url: str, plan: Plan, ledger: Ledger, progress: Progress, silent: BoardError) -> Unit:
    """Go on with a unit whose prompt is closed: a meter's image that has its board.json already."""
    try:
        with connect(url, plan.config["address"], timeout=plan.timeout, clock=plan.clock) as meter:
            serial = meter.identify().serial
    except LinkError:
        raise silent from None
    known = ledger.unit(serial)
    if known is None:
        raise BoardError(
            f"{url}: {serial} is a meter already, its prompt is closed, and these records do not have it; to make it anew, see"
            " docs/pico.md, The image for production"
        )
    unit = ledger.begin(known.uid, url, plan.pattern)
    unit.detail = {key: known.detail[key] for key in _OF_THE_BOARD if key in known.detail}
    return _recorded(unit, ledger, progress, lambda step: _finish(unit, plan, step))


def _recorded(unit: Unit, ledger: Ledger, progress: Progress, work: Callable[[Progress], None]) -> Unit:
    def step(name: str, done: int, total: int) -> None:
        if name != unit.step:
            unit.step = name
            ledger.save(unit)
        progress(name, done, total)

    try:
        work(step)
        unit.result = PASSED
    except (TonneError, OSError) as error:
        unit.result = FAILED
        unit.reason = str(error)
    ledger.save(unit)
    return unit


def _flash(board: Board, found: Found, unit: Unit, plan: Plan, step: Progress) -> None:
    unit.detail = {"hardware": found.machine, "micropython": ".".join(map(str, found.version)), "uid": found.uid}
    step("files", 0, 1)
    found.check()
    own = {"profile.bin": plan.profile, "board.json": _board_json(unit, plan)}
    if found.frozen:
        if found.frozen not in plan.softwares:
            raise BoardError(
                f"expected an image with the firmware {plan.softwares[-1][:8]}, this one has {found.frozen[:8]}: put the image"
                " of this release on the board (`make image`)"
            )
        _make_room(board, found, plan)
        _copy(board, own, step)
    else:
        _make_room(board, found, plan)
        _copy(board, {**plan.application, **own, **pico_starter()}, step)
    step("start", 0, 1)
    board.restart()
    board.close()
    _finish(unit, plan, step)


def _finish(unit: Unit, plan: Plan, step: Progress) -> None:
    with _meter(unit.port, plan) as meter:
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


def _make_room(board: Board, found: Found, plan: Plan) -> None:
    foreign = sorted(set(found.names) - set(OURS))
    if foreign and not plan.erase:
        raise BoardError(
            f"the board's filesystem holds files that are not the meter's: {', '.join(foreign)}; "
            "--erase removes them (the store stays)"
        )
    if foreign or not found.laid_out:
        board.lay_out(plan.boot)


def _board_json(unit: Unit, plan: Plan) -> bytes:
    return json.dumps({"serial": unit.serial, **plan.config}, sort_keys=True).encode()


def _copy(board: Board, files: Mapping[str, bytes], step: Progress) -> None:
    """Bring the board's files to `files`: what is there already stays, the last one makes it start, digests are read back."""
    there = board.digests()
    wanted = {path: digest(data) for path, data in files.items()}
    starter = list(files)[-1]
    if starter in there and there != wanted:
        board.remove([starter])
        del there[starter]
    stale = [path for path in there if path not in wanted]
    if stale:
        board.remove(stale)
    missing = [path for path in files if there.get(path) != wanted[path]]
    total = sum(len(files[path]) for path in missing)
    done = 0
    for path in missing:
        step("copy", done, total)
        board.write(path, files[path])
        done += len(files[path])
    if not missing and not stale:
        return
    step("verify", 0, 1)
    there = board.digests(missing)
    wrong = [path for path in missing if there.get(path) != wanted[path]]
    if wrong or set(there) != set(wanted):
        raise BoardError(
            f"files differ after copying: {', '.join(wrong) or 'some are left over'}; its flash may be worn"
        )


class _meter:
    """The meter behind a port once it serves: the port may go and come back while the board restarts."""

    def __init__(self, url: str, plan: Plan) -> None:
        self._url, self._address, self._clock, self._timeout = url, plan.config["address"], plan.clock, plan.timeout

    def __enter__(self) -> Meter:
        limit = max(START_S, START_S * (self._timeout or 0))
        end = self._clock() + limit
        while True:
            try:
                self._open = connect(self._url, self._address, timeout=self._timeout, clock=self._clock)
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
    """Set the clock and read it back; what passes in between is counted on the clock of the time-outs, the meter's own."""
    if unit.detail["keys"]:
        if keys is None:
            raise FlashError("the meter has keys already, and its clock takes one of them: give them with --keys")
        with enter(meter, keys):
            now, began = int(time.time()), clock()
            meter.set_clock(now)
    else:
        now, began = int(time.time()), clock()
        meter.set_clock(now)
    off = meter.clock().utc.timestamp() - (now + clock() - began)
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
