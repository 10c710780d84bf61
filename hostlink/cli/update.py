"""`tonne update`: build a signed firmware package, push it to a meter."""

from pathlib import Path
from typing import Annotated

import typer

from hostlink import blobs, transport
from hostlink import update as packages
from hostlink.cli.options import Address, Baud, Capture, Port, Timeout
from hostlink.cli.secret import Keys, PassphraseFile, open_keys
from hostlink.errors import UsageError
from hostlink.flash.compile import pico_application
from hostlink.keys import enter
from hostlink.meter import connect
from protocol import messages

app = typer.Typer(add_completion=False, help="Firmware packages: build, push.", no_args_is_help=True)


@app.command()
def build(
    folder: Annotated[
        Path,
        typer.Argument(help="folder with the packages firmware and protocol, source or compiled; for a Pico, source is compiled"),
    ],
    out: Annotated[Path, typer.Argument(help="the package to write")],
    hardware: Annotated[str, typer.Option(help="hardware it is for, as `tonne read` shows it")],
    keys: Keys = None,
    version: Annotated[str | None, typer.Option(help="its version; by default what firmware/identity.py says")] = None,
    least: Annotated[str | None, typer.Option(help="once it has proved healthy, nothing below this is taken")] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Build a package and sign it with the manufacturer's key."""
    opened = open_keys(keys, passphrase_file)
    files = packages.gather(folder)
    number = packages.version(version) if version else packages.version_of(files)
    if hardware == "pico" and "firmware/boards/pico.py" in files:
        files = pico_application(root=folder)
    key = opened.update_key()
    data = packages.build(files, hardware, number, packages.version(least) if least else (0, 0, 0), key)
    opened.keep_update_key(key)
    try:
        out.write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}") from None
    print(
        f"{out}: {len(files)} files, {len(data)} bytes, version {'.'.join(map(str, number))}, {key.remaining} signatures left"
    )


@app.command()
def push(
    package: Annotated[Path, typer.Argument(help="package that `tonne update build` wrote")],
    port: Port,
    keys: Keys = None,
    address: Address = 255,
    baud: Baud = transport.DEFAULT_BAUD,
    timeout: Timeout = None,
    capture: Capture = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Push a package to a meter. It goes on where it stopped; the meter verifies it, tries it, and keeps it if it is healthy."""
    try:
        data = package.read_bytes()
    except OSError:
        raise UsageError(f"expected an update package, {package} cannot be read") from None
    opened = open_keys(keys, passphrase_file)
    with connect(port, address, baud, timeout, capture=capture) as meter, enter(meter, opened):
        blobs.push(meter, messages.UPDATE, data)
    print("accepted: the meter restarts into it and keeps it once it has metered for a minute; `tonne inspect` tells")
