"""`tonne factors`: search the factor library, and show one factor with its source."""

import dataclasses
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hostlink.cli.options import Json
from hostlink.factors import Entry, entry, search


def factors(
    words: Annotated[list[str] | None, typer.Argument(help="words to search, or: show ID")] = None,
    as_json: Json = False,
) -> None:
    """Search the factor library: tonne factors natural gas; tonne factors show ipcc2006/co2/natural-gas."""
    words = words or []
    if words[:1] == ["show"] and len(words) > 1:
        for id_ in words[1:]:
            _show(entry(id_), as_json)
        return
    found = search(words)
    if as_json:
        print(json.dumps([dataclasses.asdict(e) for e in found], indent=2, ensure_ascii=False))
        return
    table = Table(title=f"{len(found)} factors", title_justify="left")
    for column in ("id", "value", "unit", "95 %", "source"):
        table.add_column(column, overflow="fold")
    for e in found:
        table.add_row(e.id, e.value + (" ?" if e.doubtful else ""), e.unit, _bounds(e), e.source)
    Console(markup=False).print(table)


def _show(e: Entry, as_json: bool) -> None:
    if as_json:
        print(json.dumps(dataclasses.asdict(e), indent=2, ensure_ascii=False))
        return
    table = Table(title=e.id, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in dataclasses.asdict(e).items():
        if name != "id" and value:
            table.add_row(name, value)
    Console(markup=False).print(table)


def _bounds(e: Entry) -> str:
    return f"{e.lower95} … {e.upper95}" if e.lower95 and e.upper95 else ""
