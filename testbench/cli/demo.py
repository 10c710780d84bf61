"""`tonne demo`: the main job, for a person to watch."""

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from hostlink.errors import UsageError
from testbench import series as measured
from testbench.demo import Result, run


def demo(
    series: Annotated[
        Path | None, typer.Option(help="CSV with the columns unix_ts and counter (default: a measured furnace)")
    ] = None,
    pulse: Annotated[str, typer.Option(help="size of one pulse, in the unit of the counter, dm³")] = str(
        measured.CUBIC_FOOT
    ),
    out: Annotated[Path, typer.Option(help="folder for records, capture, plot and result.json")] = Path("out/demo"),
) -> None:
    """Replay a measured pulse train through a real meter, read it over its link and prove every milligram."""
    from testbench import demo_files

    size = _pulse(pulse)
    source = measured.read(series, size) if series else measured.furnace_gas()
    console = Console()
    with Progress(
        TextColumn("{task.description:16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    ) as bar:
        tasks: dict[str, int] = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)  # type: ignore[arg-type]

        result = run(source, size, out, progress)
    paths = demo_files.write(result, out)
    console.print(_table(result, source.name))
    console.print(f"wrote {', '.join(str(path) for path in paths)}")
    for finding in result.findings[:10]:
        console.print(f"[red]not proved:[/] {finding}")
    if result.findings:
        raise typer.Exit(1)


def _pulse(text: str) -> Decimal:
    try:
        size = Decimal(text)
    except InvalidOperation:
        raise UsageError(f"--pulse: expected a number of dm³ such as 10 or 28.316846592, got {text!r}") from None
    if not size.is_finite() or not Decimal("1e-9") <= size <= 10**6 or size % Decimal("1e-9"):
        raise UsageError(f"--pulse: expected 1e-9 … 1e6 dm³ in steps of 1e-9, got {text}")
    return size


def _table(result: Result, name: str) -> Table:
    table = Table(title=f"{name} through {result.identity.serial}", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    days = result.virtual_seconds / 86400
    table.add_row("pulses", f"{result.pulses:,}")
    table.add_row("volume", f"{float(result.pulse * result.pulses):,.6f} m³")
    table.add_row("CO2, the meter", f"{int(result.measured):,} mg")
    table.add_row("CO2, exact", f"{int(result.factor * result.pulses):,} mg")
    difference = float(result.difference)
    table.add_row(
        "difference", f"{int(abs(result.difference)) * (1 if difference >= 0 else -1)} mg ({difference:+.1e} mg)"
    )
    table.add_row("largest in any record", f"{float(result.largest_difference):.1e} mg")
    table.add_row("interval records", f"{len(result.records):,}, chained")
    table.add_row("frames", f"{result.requests:,} requests, {result.retries} retries, {result.refused} refused")
    table.add_row("time", f"{days:.1f} days in {result.seconds:.1f} s")
    table.add_row("every milligram", "proved" if not result.findings else "NOT proved")
    return table
