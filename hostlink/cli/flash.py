"""`tonne flash`: boards made meters, several at once."""

from __future__ import annotations

import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hostlink.calibrate.plan import load
from hostlink.calibrate.run import bench_command
from hostlink.cli.options import Captures, Timeout
from hostlink.cli.progress import bars
from hostlink.cli.secret import PassphraseFile, open_keys
from hostlink.errors import DataError, FlashError, UsageError
from hostlink.flash import station
from hostlink.flash.compile import of_board, pico_application, software_digest, source_root
from hostlink.flash.ledger import Ledger, Unit, label
from hostlink.flash.plan import Plan, Reference
from protocol.image import Image, ImageError

STEPS = ("prompt", "files", "copy", "verify", "start", "identity", "keys", "clock", "calibrate", "reference", "test")


def flash(
    profile: Annotated[Path, typer.Option(help="emission profile, compiled (`tonne profile compile`)")],
    board: Annotated[Path, typer.Option(help="board.json: link and inputs; the serial number is added")],
    serials: Annotated[str, typer.Option(help="serial numbers: a pattern, or the one of a single board")] = "TN-{:06d}",
    port: Annotated[list[str] | None, typer.Option("--port", "-p", help="flash only this; repeat for more")] = None,
    records: Annotated[Path, typer.Option(help="one record a unit: a SQLite file; labels go beside it")] = Path(
        "out/station/units.sqlite"
    ),
    reference: Annotated[
        str | None,
        typer.Option(
            help="command that feeds each channel and prints how many quanta, or the fewest and most that may be counted, as"
            " [10, [995, 1005]]; gets serial and port"
        ),
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="the manufacturer's key file: each unit gets keys of its own (`tonne keys new`)")
    ] = None,
    passphrase_file: PassphraseFile = None,
    calibration: Annotated[
        Path | None, typer.Option(help="steps of the calibration bench: a TOML file (docs/calibration.md)")
    ] = None,
    captures: Captures = None,
    timeout: Timeout = None,
    erase: Annotated[bool, typer.Option("--erase", help="clear a board that holds other files")] = False,
) -> None:
    """Flash, provision, calibrate and test every Pico on USB (or each --port). Run it again to go on where it broke off."""
    steps = load(calibration) if calibration else None
    image, config = _profile(profile), _config(board)
    opened = open_keys(keys, passphrase_file) if keys else None
    urls = station.ports(port or [], serials)
    application = pico_application()
    plan = Plan(
        of_board(application, config),
        (source_root() / "firmware/boards/pico_boot.py").read_bytes(),
        image,
        config,
        serials,
        erase,
        _command(reference) if reference else None,
        opened,
        steps,
        partial(bench_command, steps.command) if steps else None,
        captures=captures,
        timeout=timeout,
        image=software_digest(application),
    )
    ledger = Ledger(records)
    console = Console()
    with bars(STEPS, console) as progress:
        outcomes = station.run(urls, plan, ledger, progress)
    ledger.close()
    console.print(_table(outcomes))
    for outcome in outcomes:
        if outcome.unit and outcome.passed:
            (records.parent / f"{outcome.unit.serial}.label.txt").write_text(label(outcome.unit))
    failed = [outcome for outcome in outcomes if not outcome.passed]
    if len(failed) == 1 == len(outcomes) and failed[0].error:
        raise failed[0].error
    if failed:
        first = f"{failed[0].port}: {failed[0].reason}"
        raise FlashError(f"{len(failed)} of {len(outcomes)} boards failed; {first}")


def _profile(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        Image(data)
    except OSError as error:
        raise UsageError(f"--profile: cannot read {path}: {error.strerror}") from None
    except ImageError as error:
        raise DataError(f"--profile: {path}: {error}") from None
    return data


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"--board: cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"--board: {path} is not JSON: {error}") from None
    missing = [key for key in ("address", "link", "channels") if not isinstance(config, dict) or key not in config]
    if missing:
        raise DataError(f"--board: {path} lacks {', '.join(missing)}: see docs/pico.md")
    return {key: value for key, value in config.items() if key != "serial"}


def _command(command: str) -> Reference:
    def feed(unit: Unit) -> list[Any]:
        try:
            done = subprocess.run([command, unit.serial, unit.port], capture_output=True, text=True, check=False)
        except OSError as error:
            raise FlashError(f"cannot run the reference {command}: {error.strerror}") from None
        try:
            fed = json.loads(done.stdout)
        except ValueError:
            fed = None
        if done.returncode or not isinstance(fed, list):
            words = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it printed nothing"]
            raise FlashError(f"the reference {command} failed (exit code {done.returncode}): {words[0]}")
        return fed

    return feed


def _table(outcomes: list[station.Outcome]) -> Table:
    table = Table(title="units", title_justify="left")
    for column in ("port", "serial number", "result", "step", "reason"):
        table.add_column(column)
    for outcome in outcomes:
        unit = outcome.unit
        result = "[green]passed[/]" if outcome.passed else "[red]failed[/]"
        table.add_row(outcome.port, unit.serial if unit else "", result, unit.step if unit else "", escape(outcome.reason))
    return table
