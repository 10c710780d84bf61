"""`tonne flash` end to end on emulated Picos: images and files, closed prompts, pulled cables, several boards at once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hostlink.errors import BoardError
from hostlink.flash import station
from hostlink.flash.board import Board
from hostlink.flash.compile import pico_application, software_digest
from hostlink.flash.ledger import FAILED, PASSED, Ledger, Unit
from hostlink.flash.unit import flash
from hostlink.keys import KeyFile
from hostlink.meter import connect
from protocol import events
from testbench.emulators.pico import Pico
from testbench.rigs.pico import SERVING_PIN, Pump, get_files, put_files
from tests.hostlink.boards import CONFIG, PROFILE, plan
from tests.test_commands import tonne


def told(steps: list[str]) -> object:
    return lambda step, done, total: steps.append(step) if step not in steps[-1:] else None


KEYSTROKES = (
    b"\x03",
    b"\x03" * 50,
    b"\r\x03\x03",
    b"\x01",
    b"\x02",
    b"\x04",
    b"\x05",
    b"\r\x03\x03\x01print(1)\x04",
    b"\x03\x04\x03\x04",
)
"""Interrupt, raw prompt, friendly prompt, soft reset, paste mode: all that MicroPython's REPL listens to."""


@pytest.mark.pico
def test_an_image_becomes_a_meter_whose_prompt_stays_shut(
    meter_uf2: Path, pico_uf2: Path, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of production, end to end on the emulated Pico: image, serial number, keys; then nobody gets a prompt."""
    board = Pico(meter_uf2)
    board.on()
    board.drive(5, True)
    pump = Pump(board)
    keys = KeyFile.new(tmp_path / "maker.keys", "correct horse")
    (tmp_path / "passphrase").write_text("correct horse\n")
    (tmp_path / "profile.bin").write_bytes(PROFILE)
    (tmp_path / "board.json").write_text(json.dumps(CONFIG))
    given = {
        "profile": tmp_path / "profile.bin",
        "board": tmp_path / "board.json",
        "keys": keys.path,
        "passphrase-file": tmp_path / "passphrase",
        "records": tmp_path / "units.sqlite",
        "port": pump.usb.url,
        "timeout": 20,
    }
    done = tonne("flash", *(f"--{name}={value}" for name, value in given.items()))
    assert done.returncode == 0, done.stdout + done.stderr
    (unit,) = ledger.units()
    assert (unit.result, unit.step, unit.serial) == (PASSED, "test", "TN-000001")
    assert "TN-000001" in (tmp_path / "TN-000001.label.txt").read_text()
    assert set(get_files(board)) == {"board.json", "profile.bin"}

    uptime = 0
    for url, typed in ((pump.usb.url, KEYSTROKES), (pump.link.url, KEYSTROKES[-2:])):
        with connect(url, address=1, clock=lambda: board.now) as meter:
            for pressed in typed:
                meter.transport._port.write(pressed)
                assert meter.identify().serial == unit.serial
            now = meter.status()
            assert now["uptime"] >= uptime and now["reset"] == events.RESET_SOFTWARE, "it never started anew"
            uptime = now["uptime"]
    with Board(pump.usb.url) as closed, pytest.raises(BoardError, match="its REPL is closed"):
        closed.prompt(attempts=1, seconds=0.5)

    steps: list[str] = []
    monkeypatch.setattr("hostlink.flash.board._LISTEN_S", 0.3)
    made = plan(image=software_digest(pico_application()), keys=keys, clock=lambda: board.now, timeout=1.0)
    unit = flash(pump.usb.url, made, ledger, told(steps))  # type: ignore[arg-type]
    assert (unit.result, unit.attempts) == (PASSED, 2), f"{unit.step}: {unit.reason}"
    assert steps[:2] == ["prompt", "identity"] and unit.detail["hardware"] == "Raspberry Pi Pico with RP2040"
    other = Ledger(tmp_path / "other.sqlite")
    with pytest.raises(BoardError, match="TN-000001 is a meter already, its prompt is closed, and these records"):
        flash(pump.usb.url, made, other)
    other.close()
    pump.close()

    board.off()
    board.on()
    board.drive(5, True)
    end = board.now + 5
    while not board.level(SERVING_PIN) and board.now < end:
        board.usb.send(b"\x03\x03\x01")
        board.run_for(0.002)
    assert board.level(SERVING_PIN), "interrupts from power-up on keep it from nothing"
    assert b"REPL" not in board.usb.received and b">>>" not in board.usb.received

    board.off()
    board.bootsel(pico_uf2)
    board.on()
    pump = Pump(board)
    with Board(pump.usb.url) as back:
        back.prompt()
        assert back.inspect().uid == unit.uid, "MicroPython's own image gives the prompt again"
    pump.close()
    board.off()


@pytest.mark.pico
def test_another_micropython_is_in_the_units_record(
    pico_uf2: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hostlink.flash.board.VERSIONS", ((1, 24), (1, 23)))
    board = Pico(pico_uf2)
    board.on()
    pump = Pump(board)
    unit = flash(pump.usb.url, plan(clock=lambda: board.now), ledger)
    pump.close()
    assert (unit.result, unit.step) == (FAILED, "files")
    assert (
        unit.reason == "expected MicroPython 1.24 or 1.23, found micropython 1.25.0: put that image on the board first"
    )
    assert ledger.units() == [unit] and board.read_files() == {}
    board.off()


@pytest.mark.pico
@pytest.mark.slow
def test_a_full_filesystem_is_told_and_nothing_starts(pico_uf2: Path, ledger: Ledger) -> None:
    """340 of the 376 KiB are what the plan wants there; the rest of the plan does not fit."""
    there = {"firmware/there.mpy": bytes(340 * 1024)}
    board = Pico(pico_uf2)
    put_files(board, there)
    board.on()
    pump = Pump(board)
    made = plan(application={**there, "firmware/more.mpy": os.urandom(40 * 1024)}, clock=lambda: board.now)
    unit = flash(pump.usb.url, made, ledger)
    pump.close()
    assert (unit.result, unit.step) == (FAILED, "copy")
    assert unit.reason == "cannot write firmware/more.mpy: the board's filesystem is full"
    assert "main.py" not in get_files(board)
    board.off()


@pytest.mark.pico
@pytest.mark.slow
def test_a_pulled_cable_is_recorded_and_the_next_run_makes_a_meter(pico_uf2: Path, ledger: Ledger) -> None:
    """On the emulated Pico: foreign files refused, erased on demand, the cable out mid-copy, resumed, run a third time."""
    board = Pico(pico_uf2)
    board.files({"somebody.py": b"print('mine')"})
    board.on()
    board.drive(5, True)
    application = pico_application(CONFIG)
    pump = Pump(board)
    made = plan(application=application, clock=lambda: board.now)
    unit = flash(pump.usb.url, made, ledger)
    assert unit.result == FAILED and "not the meter's: somebody.py; --erase" in unit.reason
    assert set(board.read_files()) == {"somebody.py"}

    def pull(step: str, done: int, total: int) -> None:
        if step == "copy" and done > 8000:
            pump.usb.unplug()

    unit = flash(pump.usb.url, plan(application=application, erase=True, clock=lambda: board.now), ledger, pull)
    assert (unit.result, unit.step) == (FAILED, "copy"), unit.reason
    assert "went away" in unit.reason
    pump.close()
    assert "main.py" not in get_files(board) and not set(application) & set(get_files(board)), "it was on the way"

    pump = Pump(board)
    steps: list[str] = []
    unit = flash(pump.usb.url, made, ledger, told(steps))  # type: ignore[arg-type]
    assert unit.result == PASSED, f"{unit.step}: {unit.reason}"
    assert (unit.reason, unit.attempts, unit.serial) == ("", 3, "TN-000001")
    assert unit.detail["software"] == software_digest(application).hex()
    assert steps[-2:] == ["reference", "test"]
    assert set(get_files(board)) == {*application, "board.json", "profile.bin", "slots.mpy", "main.py"}
    steps.clear()
    unit = flash(pump.usb.url, made, ledger, told(steps))  # type: ignore[arg-type]
    assert unit.result == PASSED, f"{unit.step}: {unit.reason}"
    assert "copy" not in steps
    pump.close()
    board.off()


@pytest.mark.pico
@pytest.mark.slow
def test_several_boards_at_once_and_those_that_fail_stop_no_other(
    meter_uf2: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three ports: a board, one whose reference is not what it counts, and one that is not there."""
    monkeypatch.setattr("hostlink.flash.board._LISTEN_S", 0.3)
    pumps = []
    for number in range(2):
        board = Pico(meter_uf2, uid=bytes([0xE6, 0x60, 0, 0, 0, 0, 0, number]))
        board.on()
        board.drive(5, True)
        pumps.append(Pump(board))
    urls = [pump.usb.url for pump in pumps]

    def reference(unit: Unit) -> list[int]:
        return [0 if unit.port == urls[0] else 1]

    image = software_digest(pico_application())
    made = plan(image=image, reference=reference, clock=lambda: min(pump.board.now for pump in pumps))
    told_of: dict[str, list[str]] = {}
    outcomes = station.run([*urls, "/dev/ttyACM99"], made, ledger, lambda url: told(told_of.setdefault(url, [])))  # type: ignore[arg-type, return-value]
    assert [outcome.passed for outcome in outcomes] == [True, False, False]
    assert outcomes[1].reason == "the reference fed [1] quanta, the meter counted [0]"
    assert "no such port" in outcomes[2].reason and outcomes[2].unit is None
    assert [told_of[url][-1] for url in urls] == ["test", "reference"]
    assert sorted((unit.uid[-2:], unit.result, unit.step) for unit in ledger.units()) == [
        ("00", PASSED, "test"),
        ("01", FAILED, "reference"),
    ]
    assert len({unit.serial for unit in ledger.units()}) == 2

    made = plan(image=image, clock=lambda: min(pump.board.now for pump in pumps), timeout=1.0)
    outcomes = station.run(urls, made, ledger, lambda url: lambda *_: None)
    assert [outcome.passed for outcome in outcomes] == [True, True], "run again, it goes on with what failed"
    assert [unit.attempts for unit in ledger.units()] == [2, 2]
    for pump in pumps:
        pump.close()
