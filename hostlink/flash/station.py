"""A station: several boards at once, each on its way alone; what fails one does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hostlink.errors import TonneError, UsageError
from hostlink.flash.board import find
from hostlink.flash.ledger import Ledger, Unit
from hostlink.flash.plan import Plan, Progress
from hostlink.flash.unit import flash


@dataclass(frozen=True)
class Outcome:
    """What became of the board on `port`: its record, or why there is none."""

    port: str
    unit: Unit | None
    error: TonneError | None = None

    @property
    def passed(self) -> bool:
        """Whether there is one meter more."""
        return self.unit is not None and self.unit.result == "passed"

    @property
    def reason(self) -> str:
        """Why it failed; empty for a meter."""
        return str(self.error) if self.error else self.unit.reason if self.unit else ""


def ports(asked: Sequence[str], pattern: str) -> list[str]:
    """The ports to flash: those asked for, or every Pico on USB. Raises UsageError."""
    found = list(asked) or find()
    if not found:
        raise UsageError(
            "expected a Raspberry Pi Pico with MicroPython on USB, found none: connect one (`tonne ports` lists what is"
            " there), or name its port with --port"
        )
    if len(set(found)) != len(found):
        raise UsageError(f"expected each port once, got {', '.join(found)}")
    if len(found) > 1 and "{" not in pattern:
        raise UsageError(
            f"expected one board for the serial number {pattern}, found {len(found)} alike ({', '.join(found)}):"
            " name one with --port, or give a pattern such as TN-{:06d}"
        )
    return found


def run(urls: Sequence[str], plan: Plan, ledger: Ledger, progress: Callable[[str], Progress]) -> list[Outcome]:
    """Flash all boards, one thread each; `progress(url)` gives what is told of that board's steps."""

    def one(url: str) -> Outcome:
        try:
            return Outcome(url, flash(url, plan, ledger, progress(url)))
        except TonneError as error:
            return Outcome(url, None, error)

    with ThreadPoolExecutor(max_workers=len(urls)) as pool:
        return list(pool.map(one, urls))
