"""The person at a bench with hands: prompts, and a rig whose stimulus, time and power are theirs."""

import json
import sys
import time
from collections.abc import Callable
from typing import TextIO

from testbench.errors import TestbenchError


class NobodyThere(TestbenchError):
    """A person was asked, and nobody answered."""

    exit_code = 3


class Operator:
    """Asks on the terminal, or, given `events`, through the process that watches over the run; answers come on standard input."""

    def __init__(self, events: TextIO | None = None, quiet: Callable[[], object] | None = None) -> None:
        self._events = events
        self._quiet = quiet

    def ask(self, text: str) -> str:
        """What the person says to `text`. Raises NobodyThere."""
        if self._quiet:
            self._quiet()
        if self._events:
            self._events.write(json.dumps({"prompt": text}) + "\n")
            self._events.flush()
        else:
            print(f"at the bench: {text}", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
        if not answer:
            raise NobodyThere(f"nobody at the bench answered: {text}")
        return answer.strip()


class HandBench:
    """A rig by hand. Stimuli are asked for; time is our own, and advancing it is waiting."""

    flash = None

    def __init__(self, url: str, operator: Operator) -> None:
        self.url = url
        self.power = self.stimulus = self.clock = self
        self._operator = operator

    def on(self) -> None:
        """Ask for power."""
        self._operator.ask("Switch the device's power on, wait until it serves, then press Enter.")

    def off(self) -> None:
        """Ask for power to be cut."""
        self._operator.ask("Cut the device's power, then press Enter.")

    def pulses(self, channel: int, count: int) -> None:
        """Ask for exactly so many quanta."""
        self._operator.ask(f"Give exactly {count} pulses on channel {channel}, then press Enter.")

    def train(self, channel: int, count: int, seconds: float) -> None:
        """Ask for so many quanta spread over a time."""
        pace = f"evenly over {seconds:.1f} s"
        self._operator.ask(f"Give exactly {count} pulses on channel {channel}, {pace}, then press Enter.")

    def condition(self, source: int, value: int | None) -> None:
        """Ask for a live input."""
        wanted = "Disconnect it" if value is None else f"Set it to {value} steps"
        self._operator.ask(f"Input {source} of a condition: {wanted}, wait until it is steady, then press Enter.")

    def advance(self, milliseconds: int) -> None:
        """Wait."""
        time.sleep(milliseconds / 1000)

    def settle(self) -> None:
        """Two sampling periods."""
        time.sleep(0.25)
