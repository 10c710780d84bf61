"""`tonne profile`: compile, explain, list and push emission profiles."""

import json
from pathlib import Path
from typing import Annotated

import typer

from hostlink.errors import UsageError
from hostlink.profile import ready
from hostlink.profile.certificate import certificate
from hostlink.profile.compiled import Compiled
from hostlink.profile.compiler import compile_profile
from hostlink.profile.explain import explain, render

app = typer.Typer(help="Emission profiles: compile with a certificate, explain, push to a meter.", no_args_is_help=True)

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


@app.command("list")
def list_() -> None:
    """List the ready profiles."""
    for name in ready.names():
        print(f"{name:28} {ready.headline(name)}")


def chosen(made: list[Compiled], on: str | None) -> Compiled:
    """The image of a period: the one that holds on a day, or the only one. Raises UsageError."""
    if on is None:
        if len(made) > 1:
            raise UsageError(f"the profile has {len(made)} periods: choose one with --on DATE")
        return made[0]
    for one in made:
        if one.valid is None or one.valid[0].isoformat() <= on < one.valid[1].isoformat():
            return one
    raise UsageError(f"no period of the profile holds on {on}")
