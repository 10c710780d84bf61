"""`python -m testbench.defects [NAME …]`: the suites against every faulty meter, and the rate at which they find them."""

import argparse
import sys
import threading

from rich.console import Console
from rich.table import Table

from hostlink.errors import TonneError
from testbench.defects import chosen
from testbench.defects.kill import Outcome, kill_all


def main() -> int:
    """Print a line a defect and the kill rate; 0 only if every one was killed by a check that names its cause."""
    parser = argparse.ArgumentParser(prog="python -m testbench.defects", description=__doc__)
    parser.add_argument("names", nargs="*", help="defects to run; all by default")
    parser.add_argument("--jobs", type=int, default=2, help="meters at a time")
    parser.add_argument(
        "--own-only", action="store_true", help="do not run the whole suite on what survives its own items"
    )
    arguments = parser.parse_args()
    console = Console()
    lock = threading.Lock()

    def told(outcome: Outcome) -> None:
        with lock:
            console.print(_line(outcome), highlight=False, soft_wrap=True)

    outcomes = kill_all(chosen(arguments.names), arguments.jobs, told, arguments.own_only)
    killed = sum(outcome.killed for outcome in outcomes)
    table = Table(title="killed by", title_justify="left")
    table.add_column("check that names the cause")
    table.add_column("defects", justify="right")
    checks = [outcome.named[0] for outcome in outcomes if outcome.killed]
    for check in sorted(set(checks), key=lambda c: (-checks.count(c), c)):
        table.add_row(check, str(checks.count(check)))
    console.print(table)
    console.print(f"killed {killed} of {len(outcomes)} defects: {100 * killed / max(len(outcomes), 1):.1f} %")
    return 0 if killed == len(outcomes) else 1


def _line(outcome: Outcome) -> str:
    name = outcome.defect.name
    if outcome.killed:
        scope = ", whole suite" if outcome.whole else ""
        return f"[green]killed[/] {name}: {', '.join(outcome.named)} ({outcome.seconds:.1f} s{scope})"
    came = ", ".join(outcome.failed) or outcome.stopped or "every point passed"
    return f"[red]SURVIVED[/] {name} ({outcome.defect.what}): {came}"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except TonneError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
