"""`tonne query` and `tonne restate`: questions to decoded folders, and corrections for restated factors."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hostlink.cli.options import Json, Memory
from hostlink.cli.progress import bar
from hostlink.errors import ProofError, UsageError

SHOWN = 100


def query(
    folder: Annotated[Path, typer.Argument(help="folder that tonne decode wrote")],
    question: Annotated[
        str, typer.Argument(help="totals, gaps, monotonicity, meters, restated, or SQL over the view `records`")
    ] = "totals",
    form: Annotated[str, typer.Option("--format", help="table, csv or json")] = "table",
    memory: Memory = 1024,
) -> None:
    """Ask a decoded folder a ready question, or any in SQL. Registers are HUGEINT: no sum wraps."""
    from hostlink import query as asking

    if form not in ("table", "csv", "json"):
        raise UsageError(f"--format: expected table, csv or json, got {form}")
    with bar("asking", None, Console(stderr=True)):
        answer = asking.ask(folder, question, memory << 20)
    if form == "csv":
        import pyarrow.csv

        pyarrow.csv.write_csv(answer, sys.stdout.buffer)
    elif form == "json":
        print(json.dumps(answer.to_pylist(), default=str, indent=1))
    else:
        table = Table()
        for name in answer.column_names:
            table.add_column(name, overflow="fold")
        for row in answer.slice(0, SHOWN).to_pylist():
            table.add_row(*("" if value is None else str(value) for value in row.values()))
        Console(markup=False).print(table)
        if len(answer) > SHOWN:
            print(f"… {len(answer)} rows; --format csv has all")


def restate(
    files: Annotated[list[Path], typer.Argument(help="archives, captures, or folders of tonne decode")],
    profile: Annotated[Path, typer.Option(help="image (.bin) of the new profile")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="folder for the correction records; that of tonne decode, to query them")
    ],
    old: Annotated[list[Path] | None, typer.Option(help="image of an old profile that the files do not bring")] = None,
    since: Annotated[str | None, typer.Option(help="records that began from this day on, UTC: 2026-01-01")] = None,
    until: Annotated[str | None, typer.Option(help="records that began before this day, UTC")] = None,
    memory: Memory = 1024,
    as_json: Json = False,
) -> None:
    """Compute what restated factors change, from archived increments. Old totals stay; the correction names both profiles.

    Records that do not prove are left out, and end it with 1.
    """
    from hostlink import fleet, restate
    from hostlink.decoding import write_whole
    from hostlink.extract import add_image
    from hostlink.query import RESTATEMENTS

    image = add_image({}, profile.read_bytes()) if profile.is_file() else None
    if image is None:
        raise UsageError(f"--profile: expected a profile image in {profile}; compile it with `tonne profile compile`")
    planned = fleet.plan(files, old or (), memory=memory << 20)
    made = []
    left_out: list[str] = []
    result = planned.result
    begin, end = _day(since, 0), _day(until, 1 << 32)
    with bar("restating", len(planned.jobs), Console(stderr=True)) as advance:
        for job in planned.jobs:
            for shard in fleet.collect(job, result):
                try:
                    made += restate.restate(shard, image, begin, end)
                except ProofError as error:
                    left_out.append(str(error))
            advance()
    left_out += [fault.text for fault in result.faults]
    for correction in made:
        text = json.dumps(correction.as_json(), indent=1, ensure_ascii=False) + "\n"
        name = f"{correction.meter}-{correction.first}-{correction.last}"
        name += f"-{correction.old_profile[:16]}-{correction.new_profile[:16]}.json"
        try:
            write_whole(out / RESTATEMENTS / name, text.encode())
        except OSError as error:
            raise UsageError(f"expected to write to {out}: {error.strerror or error}") from None
        if as_json:
            print(text, end="")
        else:
            for row in correction.as_json()["registers"]:
                print(
                    f"{correction.meter}: records {correction.first} to {correction.last}, {row['quantity']}: {row['correction']}"
                )
    if not made and not left_out:
        print("nothing to restate: no record under another profile in this time")
    if left_out:
        more = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
        raise ProofError(f"not restated: {left_out[0]}{more}; `tonne verify` has all")


def _day(text: str | None, default: int) -> int:
    if text is None:
        return default
    try:
        return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise UsageError(f"expected a day such as 2026-01-01, got {text!r}") from None
