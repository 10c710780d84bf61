"""The line to a device under test: hostlink's transport with raw bytes, a noisy cable in between, or a capture behind it."""

import time
from collections.abc import Callable, Sequence
from fractions import Fraction

from hostlink.link import Reply
from hostlink.transport import DEFAULT_BAUD, Tap, Transport
from testbench.conformance.reference import Dose, Reference
from testbench.errors import TestbenchError

Noise = Callable[[bytes], bytes]


READING = "reading"
"""The direction in a script of what the bench's reference measured."""
WITHHELD = "withheld"
"""The direction of how many bytes a frame had that the capture does not hold, for it provisioned keys."""


class ReplayError(TestbenchError):
    """The suite asks what the capture does not hold: other suite, plan or seed."""


class Line(Transport):
    """A transport on which raw bytes can be sent, through `noise` both ways if given. The tap is on the host's side of it."""

    def __init__(
        self,
        url: str,
        baud: int = DEFAULT_BAUD,
        tap: Tap | None = None,
        noise: Noise | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(url, baud, tap, clock)
        self.noise = noise

    @property
    def now(self) -> float:
        """Seconds by the clock that time-outs are counted in."""
        return self._clock()

    def send(self, data: bytes) -> None:
        """Send `data` as it is."""
        self._write(data)

    def receive(self, seconds: float) -> bytes:
        """What comes within `seconds` of ours; empty if nothing does."""
        return self._read(seconds)

    def _read(self, seconds: float) -> bytes:
        if self.noise is None:
            return super()._read(seconds)
        tap, self._tap = self._tap, None
        try:
            data = self.noise(super()._read(seconds))
        finally:
            self._tap = tap
        if data and tap:
            tap("rx", data)
        return data

    def _write(self, data: bytes) -> None:
        if self.noise is None:
            super()._write(data)
            return
        tap, self._tap = self._tap, None
        try:
            super()._write(self.noise(data))
        finally:
            self._tap = tap
        if tap:
            tap("tx", data)


class Script:
    """What an item's lines sent and received and its reference read, (direction, data) in order; the item's lines take from it one
    after the other."""

    def __init__(self, entries: Sequence[tuple[str, bytes]]) -> None:
        self._entries = entries
        self._at = 0

    def next(self, direction: str) -> bytes | None:
        """The data of the next entry if it has that direction."""
        if self._at >= len(self._entries) or self._entries[self._at][0] != direction:
            return None
        self._at += 1
        return self._entries[self._at - 1][1]

    def holds(self, direction: str) -> bool:
        """Whether there is an entry of that direction."""
        return any(each == direction for each, _ in self._entries)

    def skip(self, direction: str) -> None:
        """Pass over entries of that direction."""
        while self.next(direction) is not None:
            pass


def replayed(script: Script) -> Reference:
    """The reference of a capture's run. Raises ReplayError where the capture has no reading."""

    def measure(dose: Dose) -> Fraction:
        script.skip("rx")
        held = script.next(READING)
        if held is None:
            raise ReplayError(f"{dose.setting}: the capture has no reading of the reference here")
        return Fraction(held.decode())

    return measure


class ReplayLine(Line):
    """Answers from a script instead of a device. Raises ReplayError where the two part."""

    def __init__(self, script: Script, tap: Tap | None = None) -> None:
        super().__init__("loop://", tap=tap)
        self._script = script

    def _write(self, data: bytes) -> None:
        self._script.skip("rx")
        withheld = self._script.next(WITHHELD)
        held = self._script.next("tx") if withheld is None else None
        if held != bytes(data) and withheld != b"%d" % len(data):
            asked, has = bytes(data).hex()[:40], held.hex()[:40] if held else "nothing more"
            raise ReplayError(f"the suite sends {asked}…, the capture goes on with {has}…: another suite, plan or seed")
        if self._tap:
            self._tap("tx", data)

    def _read(self, seconds: float) -> bytes:
        data = self._script.next("rx") or b""
        if data and self._tap:
            self._tap("rx", data)
        return data

    def _wait(self, deadline: float) -> Reply | None:
        while data := self._read(0.0):
            reply = self.link.receive(data)
            if reply is not None:
                return reply
        return None
