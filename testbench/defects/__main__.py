"""`python -m testbench.defects [NAME …]`: the suites against every faulty meter, and the rate at which they find them.

What has been run at the present state of suites, firmware and defects is not run again: a run that was interrupted goes on.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hostlink.errors import TonneError
from testbench.conformance.decision import PASS
from testbench.defects import Defect, chosen
from testbench.defects.kill import Outcome, kill
from testbench.defects.ledger import Ledger

GOOD = "none: the meter as it is"
SURVIVED = "SURVIVED"
COLUMNS = ("defect", "what is wrong", "found by", "document, clause")


def main() -> int:
    """Print a line a defect, the table and the kill rate; 0 only if every one was killed and the good meter was not."""
    parser = argparse.ArgumentParser(prog="python -m testbench.defects", description=__doc__)
    parser.add_argument("names", nargs="*", help="defects to run; all by default")
    parser.add_argument("--ledger", type=Path, default=Path("out/defects.jsonl"), help="what has been run, and is kept")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no other defect after so long")
    parser.add_argument("--again", action="store_true", help="run what has been run already, too")
    parser.add_argument("--own-only", action="store_true", help="leave the whole suite out for what survives its items")
    parser.add_argument("--table", type=Path, help="write the table to this file, as Markdown")
    arguments = parser.parse_args()
    console = Console()
    defects = chosen(arguments.names)
    ledger = Ledger(arguments.ledger)
    end = time.monotonic() + arguments.seconds
    for defect in [None, *defects]:
        name = defect.name if defect else GOOD
        if name in ledger.rows and not arguments.again:
            continue
        if time.monotonic() > end:
            break
        ledger.add(name, kill(defect, arguments.own_only).row())
        console.print(_line(defect, _outcome(ledger, name)), highlight=False, soft_wrap=True)
    return _conclude(console, defects, ledger, arguments.table)


def _outcome(ledger: Ledger, name: str) -> Outcome:
    row = ledger.rows[name]
    return Outcome(*(row[key] for key in ("failed", "stopped", "verdict", "seconds", "whole")))


def _line(defect: Defect | None, outcome: Outcome) -> str:
    came = ", ".join(outcome.failed) or outcome.stopped or "every point passed"
    if defect is None:
        return f"the meter without a defect: {outcome.verdict}, {came} ({outcome.seconds:.1f} s)"
    named = outcome.named(defect)
    if named:
        scope = ", whole suite" if outcome.whole else ""
        return f"[green]killed[/] {defect.name}: {', '.join(named)} ({outcome.seconds:.1f} s{scope})"
    return f"[red]SURVIVED[/] {defect.name} ({defect.what}): {came}"


def _conclude(console: Console, defects: list[Defect], ledger: Ledger, path: Path | None) -> int:
    rows, seconds = [], 0.0
    done = [defect for defect in defects if defect.name in ledger.rows]
    for defect in done:
        outcome = _outcome(ledger, defect.name)
        seconds += outcome.seconds
        check = next(iter(outcome.named(defect)), SURVIVED)
        rows.append((defect.name, defect.what, check, outcome.failed.get(check, "")))
    table = Table(*COLUMNS, title="Meters that lie, and what finds them", title_justify="left")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    killed = sum(row[2] != SURVIVED for row in rows)
    good = ledger.rows.get(GOOD, {"verdict": "not run"})["verdict"]
    sums = f"killed {killed} of {len(defects)} defects: {100 * killed / max(len(defects), 1):.1f} %"
    sums += f", {len(defects) - len(done)} not run yet" if len(done) < len(defects) else ""
    console.print(f"{sums}; the meter without a defect: {good}; {seconds:.0f} s of suites")
    if path:
        path.write_text(_markdown(rows, sums, good, ledger.state), encoding="utf-8")
    return 0 if killed == len(defects) and good == PASS else 1


def _markdown(rows: Sequence[tuple[str, ...]], sums: str, good: str, state: dict[str, Any]) -> str:
    text = (
        "# Meters that lie, and what finds them\n\nWritten by `python -m testbench.defects --table docs/defects.md`: "
    )
    text += f"{sums}; the meter without a defect: {good}.\n"
    text += "Of several failing checks that name the cause, the best name.\n\n"
    text += f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"
    text += "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return f"{text}\nSHA-256, first digits: {', '.join(f'{name} {digest}' for name, digest in state.items())}.\n"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except TonneError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
