"""`tonne demo`: the main job, for a person to watch."""

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from hostlink.cli.profile import chosen
from hostlink.errors import UsageError
from hostlink.profile import ready
from hostlink.profile.compiled import Compiled
from hostlink.profile.compiler import compile_profile
from hostlink.profile.units import text
from testbench import series as measured
from testbench.demo import Result, flagged, run
from testbench.series import columns
from testbench.series.columns import Feed

DEFAULT = FURNACE = "natural-gas"
"""Profiles whose name begins so are shown with the measured furnace, unless a series of their own ships."""

RIGS = ("unix", "pico")
PICO_PULSES = 300


def demo(
    profile: Annotated[str, typer.Option(help="a profile's TOML file, or a ready one (tonne profile list)")] = DEFAULT,
    series: Annotated[
        Path | None,
        typer.Option(
            help="CSV with unix_ts and one column for each channel, condition or dated intensity; or, for a profile of one"
            " channel, unix_ts and counter (default: the series that ships with the profile)"
        ),
    ] = None,
    pulse: Annotated[
        str | None, typer.Option(help="size of one pulse in dm³, where the series has a counter in dm³")
    ] = None,
    on: Annotated[
        str | None, typer.Option(help="the day whose version of a profile with several periods to use")
    ] = None,
    out: Annotated[Path, typer.Option(help="folder for records, capture, plot and result.json")] = Path("out/demo"),
    rig: Annotated[
        str, typer.Option(help="unix: all of it; pico: a slice through the emulated Raspberry Pi Pico")
    ] = "unix",
) -> None:
    """Replay a series through a real meter under its emission profile, read it over its link and prove every milligram."""
    from testbench import demo_files

    if rig not in RIGS:
        raise UsageError(f"--rig: expected {' or '.join(RIGS)}, got {rig!r}")
    if rig == "pico":
        if series or pulse or on or profile != DEFAULT:
            raise UsageError(
                "--rig pico shows a slice of the measured furnace; leave out --profile, --series, --pulse and --on"
            )
        _pico(Console())
        return
    made, feed = _prepare(profile, series, pulse, on)
    console = Console()
    with Progress(
        TextColumn("{task.description:16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    ) as bar:
        tasks: dict[str, int] = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)  # type: ignore[arg-type]

        result = run(made, feed, out, progress)
    paths = demo_files.write(result, out)
    console.print(_registers(result))
    console.print(_table(result, feed.name))
    console.print(f"wrote {', '.join(str(path) for path in paths)}")
    for finding in result.findings[:10]:
        console.print(f"not proved: {finding}", style="red", markup=False)
    if result.findings:
        raise typer.Exit(1)


def _prepare(profile: str, series: Path | None, pulse: str | None, on: str | None) -> tuple[Compiled, Feed]:
    """The compiled profile and what to feed it. A counter in dm³ sets the channel's quantum to the pulse."""
    document = ready.load(profile)
    path = series or columns.shipped(profile)
    if path is None and not profile.startswith(FURNACE):
        raise UsageError(f"expected --series FILE: none ships with {profile}")
    if path is not None and not columns.is_counter(path):
        if pulse is not None:
            raise UsageError("--pulse is for a series with a counter in dm³; this one has counts of quanta")
        feed = columns.read(path, document)
        return chosen(compile_profile(document), on or feed.begin), feed
    if len(document.channels) != 1 or document.conditions:
        raise UsageError("expected a column for each channel and condition: a counter is enough for one channel")
    size = _pulse(pulse or str(measured.CUBIC_FOOT))
    feed = columns.of_series(measured.read(path, size) if path else measured.furnace_gas())
    made = compile_profile(ready.load(profile, **{next(iter(document.channels)): f"{size} dm³"}))
    return chosen(made, on or feed.begin), feed


def _pico(console: Console) -> None:
    from testbench import demo_pico

    source = measured.furnace_gas()
    with Progress(TextColumn("{task.description:16}"), BarColumn(), TimeElapsedColumn(), console=console) as bar:
        task = bar.add_task("booting", total=None)
        told = lambda what, done, total: bar.update(task, description=what, completed=done, total=total)  # noqa: E731
        slice_ = demo_pico.run(source, measured.CUBIC_FOOT, PICO_PULSES, told)
    table = Table(
        title=f"{source.name}, a slice through {slice_.identity.serial}", title_justify="left", show_header=False
    )
    table.add_column()
    table.add_column(justify="right")
    table.add_row("pulses", f"{slice_.pulses:,}")
    table.add_row("CO2, the meter", f"{float(slice_.measured):,.6f} mg")
    table.add_row("CO2, exact", f"{float(slice_.exact):,.6f} mg")
    table.add_row("interval records", f"{slice_.records}, chained")
    table.add_row("from power to serving", f"{slice_.boot_s:.2f} s")
    table.add_row("time", f"{slice_.pico_s:.1f} s of the Pico's in {slice_.seconds:.0f} s")
    table.add_row("every milligram", "proved" if not slice_.findings else "NOT proved")
    console.print(table)
    for finding in slice_.findings:
        console.print(f"not proved: {finding}", style="red", markup=False)
    if slice_.findings:
        raise typer.Exit(1)


def _pulse(text: str) -> Decimal:
    try:
        size = Decimal(text)
    except InvalidOperation:
        raise UsageError(f"--pulse: expected a number of dm³ such as 10 or 28.316846592, got {text!r}") from None
    if not size.is_finite() or not Decimal("1e-9") <= size <= 10**6 or size % Decimal("1e-9"):
        raise UsageError(f"--pulse: expected 1e-9 … 1e6 dm³ in steps of 1e-9, got {text}")
    return size


def _registers(result: Result) -> Table:
    """Measured against exact and certified, a line a register."""
    table = Table(title=f"{result.made.profile.name}, {result.identity.fingerprint.hex()[:16]}", title_justify="left")
    for column in ("register", "the meter", "exact", "unit", "difference", "certified"):
        table.add_column(column, justify="left" if column in ("register", "unit") else "right")
    for line in result.lines:
        if line.name.startswith("activity") or (line.name.endswith("in error") and not line.measured):
            continue
        table.add_row(
            line.name,
            f"{int(line.measured):,}",
            f"{int(line.exact):,}",
            line.unit,
            f"{int(line.difference)} ({float(line.difference):+.1e})",
            f"± {float(line.allowed):.1e}",
        )
    for name, value in result.avoided.items():
        table.add_row(f"avoided by {name}", "", f"{int(value):,}", "mg", "", "derived")
    return table


def _table(result: Result, name: str) -> Table:
    table = Table(title=f"{name} through {result.identity.serial}", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    days = result.virtual_seconds / 86400
    for (channel, spec), count in zip(result.made.profile.channels.items(), result.counts, strict=True):
        table.add_row(f"quanta of {channel}", f"{count:,} × {text(spec.quantum)}")
    table.add_row("largest difference in a record", f"{float(result.largest_difference):.1e} mg")
    table.add_row("interval records", f"{len(result.records):,}, chained")
    for flag, count in flagged(result).items():
        table.add_row(f"flagged: {flag}", f"{count:,}")
    table.add_row("frames", f"{result.requests:,} requests, {result.retries} retries, {result.refused} refused")
    table.add_row("time", f"{days:.1f} days in {result.seconds:.1f} s")
    table.add_row("every milligram", "proved" if not result.findings else "NOT proved")
    return table
