"""`tonne read`, `tonne watch`, `tonne ports`."""

import json
import time
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from hostlink import transport
from hostlink.cli.options import Address, Baud, Capture, Json, Port, Timeout
from hostlink.meter import Identity, Registers, connect
from protocol import status as flags


def read(
    port: Port,
    address: Address = 255,
    baud: Baud = transport.DEFAULT_BAUD,
    timeout: Timeout = None,
    as_json: Json = False,
    capture: Capture = None,
) -> None:
    """Read a meter: who it is, its registers, its status."""
    with connect(port, address, baud, timeout, capture=capture) as meter:
        identity, now = meter.identify(), meter.registers()
    if as_json:
        print(json.dumps(_as_json(identity, now), indent=2, ensure_ascii=False))
    else:
        Console(markup=False).print(_table(identity, now))


def watch(
    port: Port,
    address: Address = 255,
    baud: Baud = transport.DEFAULT_BAUD,
    timeout: Timeout = None,
    every: Annotated[float, typer.Option(help="seconds between readings", min=0)] = 1.0,
    count: Annotated[int, typer.Option(help="end after so many readings; 0 goes on until interrupted", min=0)] = 0,
    capture: Capture = None,
) -> None:
    """Read a meter again and again, every so many seconds, until interrupted (or COUNT times)."""
    with connect(port, address, baud, timeout, capture=capture) as meter:
        identity = meter.identify()
        with Live(_table(identity, meter.registers()), auto_refresh=False) as live:
            shown = 1
            while not count or shown < count:
                time.sleep(every)
                live.update(_table(identity, meter.registers()), refresh=True)
                shown += 1


def ports() -> None:
    """List the serial ports of this computer."""
    found = transport.ports()
    if not found:
        print("no serial ports; URLs such as socket://host:port need none")
    for device, description, hardware in found:
        print(f"{device}\t{description}\t{hardware}")


def _table(identity: Identity, now: Registers) -> Table:
    table = Table(title=f"{identity.serial}, {identity.hardware}, firmware {identity.firmware}", title_justify="left")
    table.add_column("register")
    table.add_column("value", justify="right")
    table.add_column("unit")
    for register in now.registers:
        table.add_row(register.name, f"{register.amount.shown:,f}", register.amount.unit)
    table.add_section()
    table.add_row("time", str(now.time), "")
    table.add_row("status", ", ".join(flags.names(now.status)) or "good", "")
    table.add_row("profile", identity.fingerprint.hex()[:16], "")
    table.add_row("software", identity.software.hex()[:16], "")
    return table


def _as_json(identity: Identity, now: Registers) -> dict:
    return {
        "serial": identity.serial,
        "hardware": identity.hardware,
        "firmware": identity.firmware,
        "software": identity.software.hex(),
        "profile": identity.fingerprint.hex(),
        "time": _iso(now.time.utc),
        "clock_valid": now.time.valid,
        "status": flags.names(now.status),
        "registers": [
            {"number": r.number, "name": r.name, "value": str(r.amount.decimal), "unit": r.amount.unit}
            for r in now.registers
        ],
    }


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
