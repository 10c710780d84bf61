"""`tonne keys`: make, show and hand out key files; give a meter its keys, and rotate them."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from hostlink import transport
from hostlink.cli.options import Address, Baud, Capture, Port, Timeout
from hostlink.cli.secret import PassphraseFile, open_keys, passphrase
from hostlink.errors import UsageError
from hostlink.keys import ROLES, KeyFile, enter
from hostlink.lms import fingerprint
from hostlink.meter import Meter, connect

app = typer.Typer(add_completion=False, help="Key files, and the keys of meters.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="key file")]
Role = Annotated[str, typer.Option(help=f"one of {', '.join(ROLES)}")]
KEY_SECONDS = 600.0
"""A Pico makes its signing key in idle time: a minute and more."""


@app.command()
def new(
    file: File,
    role: Annotated[list[str] | None, typer.Option(help="a role to make secrets for; by default all three")] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make a key file with fresh secrets."""
    made = KeyFile.new(file, passphrase(passphrase_file, confirm=True), role or list(ROLES))
    print(f"{file}: {', '.join(made.roles)}")


@app.command()
def show_public(file: File, passphrase_file: PassphraseFile = None) -> None:
    """Print what everybody may know, as JSON: an inspector verifies statements with it."""
    print(json.dumps(open_keys(file, passphrase_file).public(), indent=2))


@app.command()
def hand_out(
    file: File,
    to: Annotated[Path, typer.Argument(help="the new file")],
    role: Role,
    serial: Annotated[list[str] | None, typer.Option(help="only for this meter; may be repeated")] = None,
    passphrase_file: PassphraseFile = None,
    to_passphrase_file: Annotated[Path | None, typer.Option(help="file with the new file's passphrase")] = None,
) -> None:
    """Make a key file for somebody who plays one role, for all meters or for those named."""
    keys = open_keys(file, passphrase_file)
    if to_passphrase_file is None:
        print("Passphrase of the new file:")
    keys.hand_out(to, passphrase(to_passphrase_file, confirm=True), role, serial or ())
    print(f"{to}: {role}, {', '.join(serial) if serial else 'all meters'}")


@app.command()
def provision(
    file: File,
    port: Port,
    address: Address = 255,
    baud: Baud = transport.DEFAULT_BAUD,
    timeout: Timeout = None,
    wait: Annotated[float, typer.Option(help="seconds to wait for the meter's signing key")] = KEY_SECONDS,
    capture: Capture = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Give a factory-new meter its keys, and keep the public key of its statements."""
    keys = open_keys(file, passphrase_file)
    with connect(port, address, baud, timeout, capture=capture) as meter:
        serial = meter.identify().serial
        if meter.trust().provisioned:
            raise UsageError(f"expected a factory-new meter, {serial} has keys; `tonne keys rotate` replaces one")
        update = keys.update_public
        installer, laboratory, manufacturer = (keys.key(role, serial).secret for role in ROLES)
        meter.provision(installer, laboratory, manufacturer, update)
        public = await_public(meter, wait)
    keys.remember(serial, public)
    keys.save()
    print(f"{serial}: provisioned, statements verify with key {fingerprint(public)}")


@app.command()
def rotate(
    file: File,
    port: Port,
    role: Role,
    address: Address = 255,
    baud: Baud = transport.DEFAULT_BAUD,
    timeout: Timeout = None,
    capture: Capture = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Replace a meter's key of one role. Whoever holds an older one is out from then on."""
    keys = open_keys(file, passphrase_file)
    with connect(port, address, baud, timeout, capture=capture) as meter:
        serial = meter.identify().serial
        times = keys.rotations(role, serial) + 1
        fresh = keys.key(role, serial, times)
        with enter(meter, keys):
            keys.rotated(role, serial, times)
            keys.save()
            meter.rotate_key(fresh.role, fresh.secret)
    print(f"{serial}: key of the {role} rotated, {times} time(s) so far")


def await_public(meter: Meter, seconds: float) -> bytes:
    """The public key of a meter's statements, once it is made. Raises UsageError if it is not there in time."""
    limit = time.monotonic() + seconds
    while True:
        trust = meter.trust()
        if any(trust.public):
            return trust.public
        if time.monotonic() > limit:
            raise UsageError(f"the meter has not made its signing key within {seconds:.0f} s; ask again later")
        time.sleep(0.2)
