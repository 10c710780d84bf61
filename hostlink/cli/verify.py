"""`tonne verify`: proves an archive, captures or decoded folders; tells what failed, where, and what it means."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hostlink.cli.options import Json, Memory
from hostlink.cli.progress import bar
from hostlink.errors import UsageError
from hostlink.findings import KINDS, Finding, Result

SHOWN = 40


def verify(
    files: Annotated[list[Path], typer.Argument(help="archives, captures, folders of captures, or folders of decode")],
    profile: Annotated[
        list[Path] | None, typer.Option(help="profile image (.bin) that records name; may be repeated")
    ] = None,
    public: Annotated[
        Path | None,
        typer.Option(help="public keys of meters (`tonne keys show-public`): statements are verified with them"),
    ] = None,
    engine: Annotated[str, typer.Option(help="local, dask, or dask=tcp://HOST:PORT")] = "local",
    workers: Annotated[int, typer.Option(help="processes; 0: one a core", min=0)] = 0,
    memory: Memory = 1024,
    chain: Annotated[bool, typer.Option(help="follow the hash chain of every record")] = True,
    as_json: Json = False,
) -> None:
    """Verify order, gaps, chain and every milligram. Ends 0 if all is proved, 1 if not, 2 or 4 if it could not be read."""
    from hostlink import engines, fleet, vouching

    count = workers or os.cpu_count() or 1
    keys = vouching.publics(public) if public else None
    console = Console(stderr=True)
    with bar("planning", None, console):
        planned = fleet.plan(files, profile or (), chain=chain, memory=memory << 20, workers=count, publics=keys)
    if not planned.jobs:
        raise UsageError("expected captures or an archive, there is no file to verify")
    if engine == "local":
        count = min(count, len(planned.jobs))
    result = planned.result
    with bar("verifying", sum(len(job.files) for job in planned.jobs), console) as advance:
        for job, part in engines.results(planned.jobs, engine, count):
            result.merge(part)
            advance(len(job.files))
    if as_json:
        print(json.dumps(result.as_json() | {"chain_followed": chain}, indent=1, ensure_ascii=False))
    else:
        _show(result, chain, Console(markup=False))
    if not result.proved:
        raise typer.Exit(1)


def _show(result: Result, chain: bool, console: Console) -> None:
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("files, meters", f"{result.files:,}, {result.meters:,}")
    if result.refused:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(result.refused.items()))
        table.add_row("runs of bytes refused", reasons)
    table.add_row("records", f"{result.records:,}")
    table.add_row("under an unbroken chain", f"{result.chained:,}" if chain else "not looked at (--no-chain)")
    table.add_row("every milligram replayed", f"{result.replayed:,}")
    again = sum(f.last - f.first + 1 for f in result.notices if f.kind == "duplicate")
    if again:
        table.add_row("read more than once", f"{again:,}")
    none = "none: a chain made anew would not show"
    table.add_row("signed statements", f"{result.statements:,}")
    table.add_row("signed heads", f"{result.anchored:,}" if result.anchored else none)
    for name, value, unit in result.total_rows():
        whole, _, fraction = value.partition(".")
        table.add_row(name, f"{int(whole):,}.{fraction[:3] or '0'} {unit}")
    console.print(table)
    _list(result.faults, "not proved", console)
    for kind in sorted({finding.kind for finding in result.faults}):
        console.print(f"  {kind}: {KINDS[kind]}", markup=False, highlight=False, soft_wrap=True)
    _list([f for f in result.notices if f.kind != "duplicate"], "notice", console)
    faults = len(result.faults)
    if result.proved:
        console.print("proved", highlight=False)
    else:
        reason = f"{faults} fault{'s' * (faults > 1)}" if faults else "no interval records in these files"
        console.print(f"NOT proved: {reason}", highlight=False)


def _list(findings: list[Finding], word: str, console: Console) -> None:
    for finding in findings[:SHOWN]:
        where = "" if finding.kind == "file" else f"{finding.meter}: "
        console.print(f"{word}: {where}{finding.text}", markup=False, highlight=False, soft_wrap=True)
    if len(findings) > SHOWN:
        console.print(f"… and {len(findings) - SHOWN} more; --json has all")
