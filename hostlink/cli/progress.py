"""A progress bar for what takes longer than two seconds; less is not worth one."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PATIENCE = 2.0


@contextmanager
def bar(what: str, total: int, console: Console) -> Iterator[Callable[..., None]]:
    """`advance(count=1)`; the bar comes up once two seconds have passed, on a terminal only."""
    columns = (TextColumn("{task.description:16}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console, transient=True)
    task = progress.add_task(what, total=total)
    started = time.monotonic()
    shown = False

    def advance(count: int = 1) -> None:
        nonlocal shown
        progress.advance(task, count)
        if not shown and console.is_terminal and time.monotonic() - started > PATIENCE:
            progress.start()
            shown = True

    try:
        yield advance
    finally:
        if shown:
            progress.stop()
