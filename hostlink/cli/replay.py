"""`tonne replay`: a capture's requests again, to another meter."""

from pathlib import Path
from typing import Annotated

import typer

from hostlink import capture as captures
from hostlink.cli.options import Baud, Capture, Port
from hostlink.errors import DataError
from hostlink.resend import describe, exchanges, resend
from hostlink.transport import DEFAULT_BAUD, Transport


def replay(
    file: Annotated[Path, typer.Argument(help="capture written with --capture, or a plain log of bytes")],
    port: Port,
    address: Annotated[int | None, typer.Option(help="ask this address, instead of the capture's own")] = None,
    baud: Baud = DEFAULT_BAUD,
    capture: Capture = None,
) -> None:
    """Ask a meter everything again that a capture asks; prints every answer that differs. Ends 1 if any does."""
    recorded = captures.load(file)
    if not exchanges(recorded):
        raise DataError(f"expected requests with replies in {file}, found none; was it written with --capture?")
    different = asked = 0
    with captures.recording(capture, port, baud) as tap:
        transport = Transport(port, baud, tap)
        try:
            for answer in resend(recorded, transport, address):
                asked += 1
                if not answer.same:
                    different += 1
                    print(f"{describe(answer.exchange)}: then {_hex(answer.exchange.reply)}, now {_hex(answer.reply)}")
        finally:
            transport.close()
    print(f"{asked} requests, {asked - different} answered as in {file.name}, {different} otherwise")
    if different:
        raise typer.Exit(1)


def _hex(body: bytes | None) -> str:
    text = (body or b"").hex()
    return text if len(text) <= 96 else f"{text[:96]}… ({len(text) // 2} bytes)"
