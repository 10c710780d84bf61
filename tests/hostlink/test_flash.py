"""`tonne flash`: every bad input as one line; keys and clock of a unit. End to end: `test_flash_pico`."""

from __future__ import annotations

import json
import os
import pty
import tty
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hostlink.cli import app
from hostlink.errors import BoardError, CompileError, FlashError, PortError, ProofError, Refused, UsageError
from hostlink.flash import station
from hostlink.flash.board import Board
from hostlink.flash.compile import compile_packages, pico_application, software_digest
from hostlink.flash.endofline import _give_keys, _set_clock
from hostlink.flash.ledger import Ledger, Unit
from hostlink.flash.unit import flash
from hostlink.keys import KeyFile
from hostlink.meter import connect
from testbench.emulators.mps2 import Mps2
from testbench.rigs.unix import UnixRig
from tests.hostlink.boards import CONFIG, PROFILE, plan
from tests.test_commands import tonne


def test_no_board_and_two_alike_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(station, "find", list)
    with pytest.raises(UsageError, match="found none"):
        station.ports([], "TN-{}")
    monkeypatch.setattr(station, "find", lambda: ["/dev/ttyACM0", "/dev/ttyACM1"])
    assert station.ports([], "TN-{}") == ["/dev/ttyACM0", "/dev/ttyACM1"]
    with pytest.raises(UsageError, match=r"found 2 alike .*name one with --port"):
        station.ports([], "TN-7")
    with pytest.raises(UsageError, match="each port once"):
        station.ports(["a", "a"], "TN-{}")


def test_a_port_that_is_not_there_or_busy_is_told() -> None:
    with pytest.raises(PortError, match="no such port"):
        Board("/dev/ttyACM99")
    master, slave = pty.openpty()
    tty.setraw(slave)
    import serial

    with serial.Serial(os.ttyname(slave), exclusive=True), pytest.raises(PortError, match="another program holds it"):
        Board(os.ttyname(slave))
    os.close(master)
    os.close(slave)


def test_the_commands_exit_codes_tell_no_board_from_no_port(tmp_path: Path) -> None:
    profile, board = tmp_path / "profile.bin", tmp_path / "board.json"
    profile.write_bytes(PROFILE)
    board.write_text(json.dumps(CONFIG))
    common = ("flash", "--profile", profile, "--board", board, "--records", tmp_path / "units.sqlite")
    done = tonne(*common, "--port", "/dev/ttyACM99")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1) and "no such port" in done.stderr
    if not station.find():
        done = tonne(*common)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "found none" in done.stderr


def test_a_port_where_nobody_answers_is_told() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    with Board(os.ttyname(slave)) as board, pytest.raises(BoardError, match="expected MicroPython's prompt"):
        board.prompt(attempts=1, seconds=0.1)
    os.close(master)
    os.close(slave)


@pytest.mark.pico
def test_a_board_of_another_kind_is_told(mps2: Mps2, ledger: Ledger) -> None:
    """A real one: MicroPython 1.25 on a Cortex-M3."""
    said = r"expected Raspberry Pi Pico .*found micropython 1\.25\.0 on mps2-an385"
    with mps2.at_its_own_pace() as url, pytest.raises(BoardError, match=said):
        flash(url, plan(), ledger)
    assert ledger.units() == []


def test_what_the_command_is_given_is_checked_before_any_board(tmp_path: Path) -> None:
    profile, board = tmp_path / "profile.bin", tmp_path / "board.json"
    profile.write_bytes(PROFILE)
    board.write_text(json.dumps(CONFIG))
    run = CliRunner().invoke
    for arguments, expected in (
        (["--profile", "missing.bin", "--board", str(board)], "cannot read missing.bin"),
        (["--profile", str(board), "--board", str(board)], "not a profile image"),
        (["--profile", str(profile), "--board", str(profile)], "is not JSON"),
    ):
        done = run(app(), ["flash", *arguments])
        assert done.exit_code == 1 and expected in str(done.exception), arguments
    board.write_text('{"address": 1}')
    done = run(app(), ["flash", "--profile", str(profile), "--board", str(board)])
    assert "lacks link, channels" in str(done.exception)


def test_the_digest_is_the_one_the_meter_makes(tmp_path: Path) -> None:
    from testbench.micropython import evaluate

    files = pico_application()
    for path, data in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    code = "from firmware.identity import software_digest\nresult = software_digest(given).hex()"
    assert evaluate(code, str(tmp_path)) == software_digest(files).hex()


def test_code_that_does_not_compile_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def f(:\n")
    with pytest.raises(CompileError, match=r"mpy-cross cannot compile .*broken.py for armv6m"):
        compile_packages([tmp_path / "broken.py"], "armv6m")


def test_keys_and_clock_of_a_unit_first_and_again(tmp_path: Path) -> None:
    """The steps behind the restart, on the unix rig."""
    passphrase = "correct horse"
    keys = KeyFile.new(tmp_path / "maker.keys", passphrase)
    unit = Unit("aa", "TONNE-0001", "p")
    with UnixRig(PROFILE) as rig, connect(rig.url, address=1) as meter:
        _give_keys(meter, unit, None)
        _set_clock(meter, unit, None)
        assert unit.detail["keys"] is False
        _give_keys(meter, unit, keys)
        _set_clock(meter, unit, keys)
        assert meter.trust().provisioned and abs(unit.detail["clock_off_s"]) <= 2
        _give_keys(meter, unit, keys)
        others = KeyFile.new(tmp_path / "other.keys", passphrase)
        with pytest.raises((Refused, ProofError)):
            _give_keys(meter, unit, others)
        _give_keys(meter, unit, None)
        with pytest.raises(FlashError, match="give them with --keys"):
            _set_clock(meter, unit, None)
        passing = iter((0.0, 0.1, 3.2, 3.3))  # more time between the two exchanges than this meter's clock has seen
        with pytest.raises(FlashError, match=r"the clock is -3\.\d s off"):
            _set_clock(meter, unit, keys, lambda: next(passing))


# End to end
