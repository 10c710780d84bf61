"""`tonne conformance`: a plan on one device or several, and the report set."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

INTERRUPTED = 130
VERDICTS = ("pass", "fail", "inconclusive", "inapplicable")
COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow", "incomplete": "yellow"}


def conformance(
    rig: Annotated[
        list[str] | None, typer.Option(help="unix, pico or serial:URL; again for more devices at once")
    ] = None,
    plan: Annotated[str, typer.Option("--plan", help="plan: a TOML file, or the name of a shipped one")] = "demo",
    out: Annotated[Path, typer.Option(help="folder for results, captures and reports")] = Path("out/conformance"),
    replay: Annotated[
        Path | None, typer.Option(help="folder of an earlier run: make its verdicts again from the captured bytes")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="begin anew instead of going on with an interrupted run")
    ] = False,
) -> None:
    """Run the conformance suites on a device and write the report set. Exit code 0 only if the verdict is pass."""
    from testbench.conformance.plan import read
    from testbench.conformance.recorder import CAPTURE
    from testbench.conformance.replay import plan_of
    from testbench.conformance.rigs import check
    from testbench.conformance.runner import DeviceRun, run

    console = Console()
    rigs = rig or ["unix"]
    if replay:
        plan, rigs, out, fresh = str(plan_of(replay)), [f"replay:{replay / CAPTURE}"], replay / "replay", True
    read(plan)
    for kind in rigs:
        check(kind)
    options = ("--tonne-fresh",) if fresh else ()
    devices = [
        DeviceRun(kind, out if len(rigs) == 1 else out / f"device-{n + 1}", options) for n, kind in enumerate(rigs)
    ]
    columns = (TextColumn("{task.description:28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        tasks = {id(device): bar.add_task(device.rig, total=None) for device in devices}

        def progress(device: DeviceRun, event: dict) -> None:
            counts = " ".join(
                f"{count} {verdict}" for verdict, count in sorted(device.verdicts.items()) if verdict != "pass"
            )
            text = f"{device.serial or device.rig} {counts}".strip()
            bar.update(tasks[id(device)], description=text, completed=device.done, total=device.planned or None)

        def answer(text: str) -> str:
            bar.stop()
            console.print(f"[bold]at the bench:[/] {escape(text)}")
            said = input("> ")
            bar.start()
            return said

        try:
            run(plan, devices, progress, answer)
        except KeyboardInterrupt:
            bar.stop()
            console.print(f"interrupted: what was measured stands in {out}, incomplete; the same command goes on with it")
            raise typer.Exit(INTERRUPTED) from None
    complete = True
    for device in devices:
        _show(console, device)
        complete &= _render(console, device)
    if replay:
        raise typer.Exit(_compare(console, replay, devices[0].result))
    codes = {"pass": 0, "fail": 1, "inconclusive": 1}
    worst = max(
        max(device.exit_code if device.verdict == "incomplete" else 0, codes.get(device.verdict, 1))
        for device in devices
    )
    raise typer.Exit(worst or (0 if complete else 2))


def _show(console: Console, device: Any) -> None:
    result = device.result
    if not result:
        log = (device.folder / "pytest.log").read_text(errors="replace").strip().splitlines()
        console.print(f"[red]{device.rig}: no result[/]; {escape(log[-1]) if log else ''}")
        return
    table = Table(title=f"{result['item'].get('serial', device.rig)}: {result['title']}", title_justify="left")
    for name in ("suite", "points", *VERDICTS):
        table.add_column(name, justify="left" if name == "suite" else "right")
    suites: dict[str, dict[str, int]] = {}
    for point in result["points"]:
        row = suites.setdefault(point["suite"], {})
        row[point["verdict"]] = row.get(point["verdict"], 0) + 1
    for name, row in suites.items():
        table.add_row(name, str(sum(row.values())), *(str(row.get(verdict, "")) for verdict in VERDICTS))
    if suites:
        console.print(table)
    for point in [p for p in result["points"] if p["verdict"] == "fail"][:10]:
        kind = "fails" if point["certifies"] else "warning"
        console.print(
            f"[red]{kind}:[/] " + escape(f"{point['id']}: {point['measured']} {point['unit']} {point['note']}"), highlight=False
        )
    verdict = result["verdict"]
    reason = f": {escape(device.reason)}" if device.reason else ""
    size = f"{result['summary']['points']} points, {result['seconds']} s"
    console.print(f"verdict: [{COLOURS[verdict]}]{verdict}[/]{reason} ({size})")


def _render(console: Console, device: Any) -> bool:
    """Whether the reports could be written."""
    from testbench import report

    if device.result:
        try:
            written = report.write(device.folder)
        except OSError as error:
            console.print(f"[red]the reports could not be written:[/] {escape(str(error))}; `results.json` stands", highlight=False)
            return False
        console.print(f"wrote {', '.join(str(path) for path in written)}", highlight=False, soft_wrap=True)
    return True


def _compare(console: Console, folder: Path, again: dict[str, Any]) -> int:
    from testbench.conformance.replay import compare

    differences, same = compare(folder, again)
    for line in differences[:10]:
        console.print(f"[red]differs:[/] {escape(line)}", highlight=False)
    console.print(f"replayed from the captured bytes: {same} points the same, {len(differences)} different")
    return 1 if differences or not same else 0
