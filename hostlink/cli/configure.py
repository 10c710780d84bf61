"""`tonne configure`: the installer's job in one command."""

import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hostlink import blobs, transport
from hostlink import configure as job
from hostlink.cli.options import Address, Baud, Capture, Port, Timeout
from hostlink.cli.secret import Keys, PassphraseFile, open_keys
from hostlink.errors import UsageError
from hostlink.meter import connect
from protocol import messages
from protocol.image import Image, ImageError


def configure(
    port: Port,
    keys: Keys = None,
    pulse: Annotated[
        list[str] | None, typer.Option(help="what a pulse stands for, '10 L'; once a channel, in order")
    ] = None,
    profile: Annotated[str | None, typer.Option(help="profile image (.bin), TOML file, or a ready one's name")] = None,
    on: Annotated[
        str | None, typer.Option(help="the day whose factors hold, if the profile has several periods")
    ] = None,
    base_temperature: Annotated[float | None, typer.Option(help="base temperature, °C")] = None,
    base_pressure: Annotated[int | None, typer.Option(help="base pressure, Pa", min=1)] = None,
    site: Annotated[str | None, typer.Option(help="name of the site, 32 bytes at most")] = None,
    clock: Annotated[bool, typer.Option(help="set the clock to this computer's")] = True,
    seal: Annotated[bool, typer.Option("--seal", help="seal the meter if all reads back as wanted")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="write the record of what was done to this JSON file")
    ] = None,
    address: Address = 255,
    baud: Baud = transport.DEFAULT_BAUD,
    timeout: Timeout = None,
    capture: Capture = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Configure a meter: clock, pulse weights, profile; read it back as a diff, seal it, leave a record."""
    plan = job.Plan(
        time=int(time.time()) if clock else None,
        pulses={n: job.pulse(text) for n, text in enumerate(pulse or ())},
        base_temperature=None
        if base_temperature is None
        else int((Decimal(str(base_temperature)) + Decimal("273.15")) * 100),
        base_pressure=base_pressure,
        site=site,
        profile=_image(profile, on) if profile else None,
        seal=seal,
    )
    opened = open_keys(keys, passphrase_file) if keys else None
    with connect(port, address, baud, timeout, capture=capture) as meter:
        outcome = job.configure(meter, plan, opened, lambda m, data: blobs.push(m, messages.PROFILE, data))
    table = Table(title=outcome.serial, title_justify="left")
    for column in ("what", "before", "read back"):
        table.add_column(column, overflow="fold")
    for change in outcome.changes:
        table.add_row(change.what, change.before, change.after)
    Console(markup=False).print(table)
    if outcome.record["profile_from"]:
        print(f"the profile takes over at {outcome.record['profile_from']}")
    if out is not None:
        try:
            out.write_text(json.dumps(outcome.record, indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            raise UsageError(f"the meter is configured, but {out} cannot be written: {error.strerror}") from None


def _image(source: str, on: str | None) -> bytes:
    if not source.endswith(".bin"):
        from hostlink.cli.profile import chosen
        from hostlink.profile import ready
        from hostlink.profile.compiler import compile_profile

        return chosen(compile_profile(ready.load(source)), on).data
    try:
        data = Path(source).read_bytes()
        Image(data)
    except OSError:
        raise UsageError(f"expected a profile image, {source} cannot be read") from None
    except ImageError as error:
        raise UsageError(f"expected a profile image in {source}: {error}") from None
    return data
