"""`tonne inspect` and `tonne statements`: what a meter says, verified with its public key alone."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hostlink import inspect as job
from hostlink import statements as signed
from hostlink import transport
from hostlink.cli.options import Address, Baud, Capture, Json, Port, Timeout
from hostlink.errors import ProofError, UsageError
from hostlink.meter import connect

Public = Annotated[
    str | None, typer.Option(help="the meter's public key: JSON of `tonne keys show-public`, or hexadecimal digits")
]


def inspect(
    port: Port,
    public: Public = None,
    since: Annotated[Path | None, typer.Option(help="JSON of the last visit: show only what happened since")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="folder for the JSON and the page to print")] = None,
    address: Address = 255,
    baud: Baud = transport.DEFAULT_BAUD,
    timeout: Timeout = None,
    capture: Capture = None,
    as_json: Json = False,
) -> None:
    """Inspect a meter: identity, software, seal, events, statements verified on the spot. Exit code 1 if something is wrong."""
    last = job.previous(since) if since else None
    with connect(port, address, baud, timeout, capture=capture) as meter:
        key = job.public_key(public, meter.identify().serial) if public else None
        found = job.visit(meter, key, last)
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _show(found)
    if out is not None:
        for path in job.write(found, out):
            if not as_json:
                print(f"wrote {path}")
    if found["findings"]:
        raise ProofError(f"{found['serial']}: {len(found['findings'])} finding(s): {'; '.join(found['findings'])}")


def statements(
    port: Port,
    public: Public = None,
    first: Annotated[int, typer.Option(help="number of the first statement", min=0)] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="folder to keep the statements in, one file each")
    ] = None,
    address: Address = 255,
    baud: Baud = transport.DEFAULT_BAUD,
    timeout: Timeout = None,
    capture: Capture = None,
    as_json: Json = False,
) -> None:
    """Read a meter's signed statements and verify them with its public key."""
    with connect(port, address, baud, timeout, capture=capture) as meter:
        serial = meter.identify().serial
        key = job.public_key(public, serial) if public else None
        found = [signed.verify(data, key) if key else signed.parse(data) for data in signed.read(meter, first)]
    proof = signed.prove(found if key else ())
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
            for statement in found:
                (out / f"statement-{statement.sequence:06d}.bin").write_bytes(statement.raw)
        except OSError as error:
            raise UsageError(f"cannot write to {out}: {error.strerror}") from None
    if as_json:
        print(json.dumps([s.as_json() | {"verified": bool(key)} for s in found], indent=2))
    else:
        for s in found:
            print(
                f"{s.sequence:6} {s.start:%Y-%m-%d %H:%M}Z to {s.end:%Y-%m-%d %H:%M}Z  records {s.first} to {s.next - 1}"
            )
        print(proof.evidence if key else "not verified: name the meter's --public key")
    if proof.wrong:
        raise ProofError(f"{serial}: {'; '.join(proof.wrong)}")


def _show(found: dict[str, Any]) -> None:
    console = Console(markup=False)
    table = Table(title=f"{found['serial']}, {found['hardware']}, firmware {found['firmware']}", title_justify="left")
    table.add_column("what")
    table.add_column("value", overflow="fold")
    for name in ("software", "profile", "time", "sealed", "seal_counter", "failed_proofs", "signatures_left", "key"):
        table.add_row(name.replace("_", " "), str(found[name]))
    for register in found["registers"]:
        table.add_row(register["name"], f"{register['value']} {register['unit']}")
    table.add_row("evidence", found["evidence"])
    console.print(table)
    for event in found["events"]:
        console.print(f"{event['time']} {event['event']}, {event['by']}: {event['details']}", highlight=False)
    for finding in found["findings"]:
        console.print(f"FOUND {finding}", style="bold red", highlight=False)
