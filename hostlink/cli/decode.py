"""`tonne decode`: captures to Parquet, CSV or JSON lines, a file a meter and month."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hostlink.cli.options import Memory
from hostlink.cli.progress import bar
from hostlink.errors import DataError


class Format(StrEnum):
    """What is written."""

    parquet = "parquet"
    csv = "csv"
    jsonl = "jsonl"


def decode(
    files: Annotated[list[Path], typer.Argument(help="captures, plain byte logs, or folders of them")],
    out: Annotated[Path, typer.Option("--out", "-o", help="folder for the shards, meter=…/month=…")],
    form: Annotated[Format, typer.Option("--format", help="parquet, csv or jsonl")] = Format.parquet,
    meter: Annotated[
        str | None, typer.Option(help="name of the meter, for logs in which none identifies itself")
    ] = None,
    memory: Memory = 1024,
) -> None:
    """Decode captures to columns, partitioned by meter and month. Start it again to go on after an interruption.

    Ends 4 if a file could not be read at all; bytes refused within a file are counted, and listed in OUT/_inputs.
    """
    from hostlink import decoding

    inputs = decoding.inputs(files)
    console = Console(stderr=True)
    failed = []
    records = refused = skipped = 0
    with bar("decoding", len(inputs), console) as advance:
        for path in inputs:
            try:
                done = decoding.decode_file(path, out, form.value, meter, memory << 20)
            except DataError as error:
                failed.append(f"{path}: {error}")
            else:
                records, refused, skipped = records + done.records, refused + done.refused, skipped + done.was_done
            advance()
    listed = f" (listed in {out / decoding.DONE})" if refused else ""
    came = f"{_count(records, 'record')}, {_count(refused, 'run')} of bytes refused{listed}"
    print(f"{_count(len(inputs), 'file')}: {came}, {_count(skipped, 'file')} done before")
    for line in failed:
        print(f"not read: {line}")
    if failed:
        raise typer.Exit(DataError.exit_code)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
