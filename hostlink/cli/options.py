"""Options that several subcommands share."""

from pathlib import Path
from typing import Annotated

import typer

Port = Annotated[
    str, typer.Option("--port", "-p", help="pyserial URL: /dev/tty…, COM…, socket://host:port, rfc2217://host:port")
]
Baud = Annotated[int, typer.Option(help="baud rate of a serial port", min=300)]
Address = Annotated[int, typer.Option(help="the meter's address; 255 asks whichever meter is there", min=0, max=255)]
Timeout = Annotated[
    float | None, typer.Option(help="seconds to wait for a reply, instead of those the baud rate gives", min=0.01)
]
Json = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]
Capture = Annotated[
    Path | None,
    typer.Option("--capture", envvar="TONNE_CAPTURE", help="append every byte, with direction and time, to this file"),
]
Captures = Annotated[
    Path | None,
    typer.Option("--captures", help="append every byte, with direction and time, to files in this folder, one for each meter"),
]
Memory = Annotated[int, typer.Option(help="MiB that records may take while they are worked on", min=64)]
