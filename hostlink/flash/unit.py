"""The way of one board to a meter: steps that can be broken off anywhere and run again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from hostlink.errors import BoardError, LinkError, TonneError
from hostlink.flash.board import PROMPT_S, Board, Found, digest
from hostlink.flash.compile import pico_starter
from hostlink.flash.endofline import finish
from hostlink.flash.ledger import FAILED, PASSED, Ledger, Unit
from hostlink.flash.plan import Plan, Progress
from hostlink.meter import connect

OURS = ("firmware", "protocol", "updates", "board.json", "boot.py", "main.py", "slots.mpy", "profile.bin", "new.part")
_OF_THE_BOARD = ("hardware", "micropython", "uid")


def flash(url: str, plan: Plan, ledger: Ledger, progress: Progress = lambda *_: None) -> Unit:
    """Make the board behind `url` a meter. A failure is in the record returned; only what no record can hold is raised.

    Raises PortError and BoardError for a board that cannot even be told apart, UsageError for a serial number of another.
    """
    with Board(url) as board:
        progress("prompt", 0, 1)
        try:
            board.prompt(seconds=plan.timeout or PROMPT_S)
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
    return _recorded(unit, ledger, progress, lambda step: finish(unit, plan, step))


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
    finish(unit, plan, step)


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
        board.write(path, files[path], lambda part, before=done: step("copy", before + part, total))  # type: ignore[misc]
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
