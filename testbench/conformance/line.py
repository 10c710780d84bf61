"""The line to a device under test: hostlink's transport, with a noisy cable in between, raw bytes, and a replay from a capture."""

from collections.abc import Callable, Sequence

from hostlink.link import Reply
from hostlink.transport import DEFAULT_BAUD, Tap, Transport
from testbench.errors import TestbenchError

Noise = Callable[[bytes], bytes]
QUIET = 0.08
"""Seconds of silence after which a device is taken to have nothing more to say to raw bytes."""


class ReplayError(TestbenchError):
    """The suite asks what the capture does not hold: other suite, plan or seed."""


class Line(Transport):
    """A transport on which raw bytes can be sent, through `noise` both ways if given. The tap is on the host's side of it."""

    def __init__(self, url: str, baud: int = DEFAULT_BAUD, tap: Tap | None = None, noise: Noise | None = None) -> None:
        super().__init__(url, baud, tap)
        self.noise = noise

    def raw(self, data: bytes, quiet: float = QUIET) -> bytes:
        """Send `data` as it is; everything that comes back until it is quiet."""
        self._write(data)
        return self.listen(quiet)

    def listen(self, quiet: float = QUIET) -> bytes:
        """Everything that comes until it is quiet."""
        got = b""
        while data := self._read(quiet):
            got += data
        return got

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


class ReplayLine(Line):
    """Answers from a capture: `script` is (direction, data) as a line's tap saw them."""

    def __init__(self, script: Sequence[tuple[str, bytes]]) -> None:
        super().__init__("loop://")
        self._script = list(script)
        self._at = 0

    def _write(self, data: bytes) -> None:
        while self._at < len(self._script) and self._script[self._at][0] == "rx":
            self._at += 1
        expected = self._script[self._at][1] if self._at < len(self._script) else b"nothing more"
        if expected != bytes(data):
            raise ReplayError(
                f"expected the capture to go on with {bytes(data).hex()[:40]}…, it has {expected.hex()[:40]}…"
            )
        self._at += 1

    def _read(self, seconds: float) -> bytes:
        if self._at < len(self._script) and self._script[self._at][0] == "rx":
            self._at += 1
            return self._script[self._at - 1][1]
        return b""

    def _wait(self, deadline: float) -> Reply | None:
        while data := self._read(0.0):
            reply = self.link.receive(data)
            if reply is not None:
                return reply
        return None
