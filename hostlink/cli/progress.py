"""A progress bar for what takes longer than two seconds; less is not worth one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Timer

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

PATIENCE = 2.0


@contextmanager
def bar(what: str, total: int | None, console: Console) -> Iterator[Callable[..., None]]:
    """`advance(count=1)`; the bar comes up once two seconds have passed, on a terminal only. It only moves if `total` is None."""
    columns = (TextColumn("{task.description:16}"), BarColumn(), TimeElapsedColumn())
    counted = (MofNCompleteColumn(), TimeRemainingColumn()) if total else ()
    progress = Progress(*columns, *counted, console=console, transient=True)
    task = progress.add_task(what, total=total)
    late = Timer(PATIENCE, progress.start)
    late.daemon = True
    if console.is_terminal:
        late.start()

    def advance(count: int = 1) -> None:
        progress.advance(task, count)

    try:
        yield advance
    finally:
        late.cancel()
        if progress.live.is_started:
            progress.stop()


@contextmanager
def bars(steps: Sequence[str], console: Console) -> Iterator[Callable[[str], Callable[[str, int, int], None]]]:
    """A bar for each of several things that go on at once: `bars(name)` begins one and is told its step, done and total."""
    columns = (
        TextColumn("{task.description:24}"),
        BarColumn(),
        TextColumn("{task.fields[step]:24}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as shown:

        def begin(name: str) -> Callable[[str, int, int], None]:
            task = shown.add_task(name, total=len(steps), step="")

            def told(step: str, done: int, total: int) -> None:
                shown.update(task, completed=steps.index(step) + (done / total if total else 0), step=step)

            return told

        yield begin
