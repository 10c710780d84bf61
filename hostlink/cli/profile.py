"""`tonne profile`: compile, explain, list and push emission profiles."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from hostlink.blobs import push
from hostlink.cli.options import Address, Baud, Capture, Port, Timeout
from hostlink.cli.secret import Keys, PassphraseFile, open_keys
from hostlink.errors import UsageError
from hostlink.keys import enter
from hostlink.meter import connect
from hostlink.profile import ready
from hostlink.profile.certificate import certificate
from hostlink.profile.compiled import Compiled
from hostlink.profile.compiler import compile_profile
from hostlink.profile.explain import explain, render
from hostlink.transport import DEFAULT_BAUD
from protocol import messages

app = typer.Typer(
    add_completion=False,
    help="Emission profiles: compile with a certificate, explain, push to a meter.",
    no_args_is_help=True,
)

Source = Annotated[str, typer.Argument(help="a profile's TOML file, or the name of a ready one (tonne profile list)")]


@app.command("compile")
def compile_(
    source: Source,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="folder for the image and its certificate")] = None,
    quiet: Annotated[bool, typer.Option(help="do not print the certificate")] = False,
) -> None:
    """Compile a profile: writes NAME.bin, NAME.certificate.json and NAME.certificate.txt."""
    made = compile_profile(ready.load(source))
    folder = out or Path()
    folder.mkdir(parents=True, exist_ok=True)
    for one in made:
        stem = Path(source).stem + (f"-{one.valid[0]}" if one.valid and len(made) > 1 else "")
        found = certificate(one)
        text = render(found)
        (folder / f"{stem}.bin").write_bytes(one.data)
        (folder / f"{stem}.certificate.json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
        (folder / f"{stem}.certificate.txt").write_text(text + "\n")
        if not quiet:
            print(text)
        print(f"wrote {folder / stem}.bin, {one.image.fingerprint.hex()}")


@app.command("explain")
def explain_(source: Source) -> None:
    """Print every formula with numbers and units put in."""
    for one in compile_profile(ready.load(source)):
        print(explain(one))


@app.command("push")
def push_(
    source: Source,
    port: Port,
    address: Address = 255,
    baud: Baud = DEFAULT_BAUD,
    on: Annotated[
        str | None, typer.Option(help="of a profile with several periods, that which holds on this day")
    ] = None,
    keys: Keys = None,
    timeout: Timeout = None,
    capture: Capture = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Compile a profile and push it; it takes over when the meter's running interval ends. A push that broke off resumes."""
    one = chosen(compile_profile(ready.load(source)), on)
    opened = open_keys(keys, passphrase_file) if keys else None
    with (
        connect(port, address, baud, timeout, capture=capture) as meter,
        enter(meter, opened) if opened else nullcontext(),
    ):
        pushed = push(meter, messages.PROFILE, one.data)
    resumed = f", went on from byte {pushed.resumed}" if pushed.resumed else ""
    print(f"pushed {pushed.digest.hex()[:16]}, {len(one.data)} bytes{resumed}; in force from {pushed.effective}")


@app.command("list")
def list_() -> None:
    """List the ready profiles."""
    for name in ready.names():
        print(f"{name:28} {ready.headline(name)}")


def chosen(made: list[Compiled], on: str | None) -> Compiled:
    """The image of the period that holds on a day, or the only one. Raises UsageError."""
    if len(made) == 1:
        return made[0]
    if on is None:
        raise UsageError(f"the profile has {len(made)} periods: choose one with --on DATE")
    for one in made:
        if one.valid is None or one.valid[0].isoformat() <= on < one.valid[1].isoformat():
            return one
    raise UsageError(f"no period of the profile holds on {on}")
