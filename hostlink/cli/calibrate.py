"""`tonne calibrate`: meters adjusted against a reference, several at once."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hostlink import transport
from hostlink.calibrate.plan import Plan, load
from hostlink.calibrate.run import Calibration, bench_command
from hostlink.cli.options import Address, Baud, Captures
from hostlink.cli.progress import bars
from hostlink.cli.secret import Keys, PassphraseFile, open_keys
from hostlink.errors import CalibrationError, TonneError, UsageError
from hostlink.flash.ledger import Ledger
from hostlink.keys import KeyFile
from hostlink.meter import connect

SCHEMA = "tonne-calibration-1"
STEP = "calibrate"


@dataclass
class Outcome:
    """What became of the meter on a port."""

    port: str
    serial: str
    steps: list[dict[str, Any]]
    error: TonneError | None = None


def calibrate(
    plan: Annotated[Path, typer.Option(help="steps of the bench: a TOML file (docs/calibration.md)")],
    port: Annotated[list[str], typer.Option("--port", "-p", help="pyserial URL of a meter; repeat for more at once")],
    keys: Keys = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="folder of the records, one JSON file a meter")] = Path(
        "out/calibration"
    ),
    records: Annotated[
        Path | None, typer.Option(help="the station's records of `tonne flash`: what was done goes there, too")
    ] = None,
    break_seal: Annotated[bool, typer.Option("--break-seal", help="calibrate a sealed meter: its seal breaks")] = False,
    address: Address = 255,
    baud: Baud = transport.DEFAULT_BAUD,
    captures: Captures = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Measure meters against a reference, adjust what is off, measure again, and leave a record of each."""
    steps = load(plan)
    opened = open_keys(keys, passphrase_file) if keys else None
    if len(set(port)) != len(port):
        raise UsageError(f"expected each port once, got {', '.join(port)}")
    if records is not None and not records.exists():
        raise UsageError(f"expected the station's records in {records}, there is no such file")
    console = Console()
    with bars((STEP,), console) as begin, ThreadPoolExecutor(max_workers=len(port)) as pool:
        jobs = []
        for url in port:
            capture = captures / f"{re.sub(r'[^A-Za-z0-9]+', '_', url).strip('_')}.tonne" if captures else None
            told = _steps(begin(url))
            jobs.append(pool.submit(_one, url, address, baud, capture, steps, opened, break_seal, told))
        outcomes = [job.result() for job in jobs]
    for outcome in outcomes:
        _keep(outcome, out, records)
    console.print(_table(outcomes))
    failed = [outcome for outcome in outcomes if outcome.error]
    if len(failed) == 1 == len(outcomes) and failed[0].error:
        raise failed[0].error
    if failed:
        raise CalibrationError(f"{len(failed)} of {len(outcomes)} meters failed; {failed[0].port}: {failed[0].error}")


def _steps(told: Callable[[str, int, int], None]) -> Callable[[int, int], None]:
    return lambda done, total: told(STEP, done, total)


def _one(
    url: str,
    address: int,
    baud: int,
    capture: Path | None,
    plan: Plan,
    keys: KeyFile | None,
    break_seal: bool,
    told: Callable[[int, int], None],
) -> Outcome:
    outcome = Outcome(url, "", [])
    try:
        with connect(url, address, baud, capture=capture) as meter:
            outcome.serial = meter.identify().serial
            job = Calibration(meter, bench_command(plan.command, url), plan.settle_s, record=outcome.steps)
            job.run(plan, outcome.serial, keys, break_seal, told)
            told(1, 1)
    except TonneError as error:
        outcome.error = error
    return outcome


def _keep(outcome: Outcome, out: Path, records: Path | None) -> None:
    if not outcome.serial:
        return
    record = {
        "schema": SCHEMA,
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "serial": outcome.serial,
        "passed": outcome.error is None,
        "reason": str(outcome.error or ""),
        "steps": outcome.steps,
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{outcome.serial}.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise UsageError(f"{outcome.serial} was calibrated, but {out} cannot be written: {error.strerror}") from None
    if records is not None:
        ledger = Ledger(records)
        unit = ledger.unit(outcome.serial)
        if unit is not None:
            unit.detail["calibration"] = outcome.steps
            ledger.save(unit)
        ledger.close()
        if unit is None:
            raise UsageError(f"{records} has no unit {outcome.serial}: its record is in {out} only")


def _table(outcomes: list[Outcome]) -> Table:
    table = Table(title="calibration", title_justify="left")
    for column in ("serial number", "step", "before", "after", "limit", "adjusted", "result"):
        table.add_column(column)
    for outcome in outcomes:
        for step in outcome.steps:
            after = step.get("after")
            good = after is not None and abs(after) <= step["limit"]
            table.add_row(
                outcome.serial,
                step["step"],
                f"{step['before']:+g}",
                "" if after is None else f"{after:+g}",
                f"±{step['limit']:g} {step['unit']}",
                "yes" if step["adjusted"] else "no",
                "[green]passed[/]" if good else "[red]failed[/]",
            )
        if outcome.error:
            table.add_row(outcome.serial or outcome.port, "", "", "", "", "", f"[red]{escape(str(outcome.error))}[/]")
    return table
