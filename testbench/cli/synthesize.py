"""`tonne synthesize`: the archive of a whole fleet, seeded, with faults to order."""

import os
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hostlink.cli.progress import bar
from hostlink.errors import UsageError


def synthesize(
    out: Annotated[Path, typer.Option("--out", "-o", help="folder for the archive")] = Path("out/fleet"),
    meters: Annotated[int, typer.Option(help="how many meters", min=1)] = 100,
    days: Annotated[int, typer.Option(help="days of quarter-hour records of each", min=1, max=10_000)] = 35,
    faults: Annotated[
        str,
        typer.Option(
            help="all (one in a hundred meters of each kind), none, or gap=2,tail,duplicate,tamper,clock,swap"
        ),
    ] = "none",
    seed: Annotated[int, typer.Option(help="the same seed makes the same bytes")] = 1,
    workers: Annotated[int, typer.Option(help="processes; 0: one a core", min=0)] = 0,
) -> None:
    """Write captures of a whole fleet as an archive for `tonne verify`, and the list of what was planted in it."""
    from testbench.synthesize import faults as planting
    from testbench.synthesize import fleet

    order = fleet.Order(meters, days, seed, planting.parse(faults, meters))
    with bar("synthesizing", meters, Console(stderr=True)) as advance:
        try:
            planted = fleet.synthesize(order, out, advance, workers or os.cpu_count() or 1)
        except OSError as error:
            raise UsageError(f"expected to write to {out}: {error.strerror or error}; the archive is not whole") from None
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(p.kind for p in planted).items())) or "none"
    print(f"{out}: {meters} meters, {days} days, {meters * days * 96} records; planted: {kinds} (planted.json)")
