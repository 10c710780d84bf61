"""Bytes over anything pyserial opens by URL: /dev/tty…, COM…, socket://, rfc2217://, loop://."""

import errno
import time
from collections import Counter
from collections.abc import Callable

import serial
from serial.tools import list_ports

from hostlink.errors import NoReply, PortError
from hostlink.link import Link, Reply
from hostlink.session import Session
from protocol import frame

DEFAULT_BAUD = 115200
BITS_A_BYTE = 10
"""8N1: start bit, eight data bits, stop bit."""
ANSWER_TIME = 0.5
"""Seconds a meter may take before its first byte: line turn-around, and a flash erase in the way."""
POLL = 0.02
"""Seconds that one read waits. Never changed on an open port: RFC 2217 negotiates every setting anew when one changes."""
_CAUSES = {
    errno.ENOENT: "there is no such port; `tonne ports` lists what is there",
    errno.EBUSY: "another program holds it; close that program",
    errno.EAGAIN: "another program holds it; close that program",
    errno.EACCES: "permission denied; add yourself to the port's group (often dialout)",
    errno.EPERM: "permission denied; add yourself to the port's group (often dialout)",
    errno.ECONNREFUSED: "nothing listens there; check host and port number, and that the server runs",
    errno.EHOSTUNREACH: "the host cannot be reached; check its address and the network",
    errno.ENETUNREACH: "the host cannot be reached; check its address and the network",
    errno.ETIMEDOUT: "the host does not answer; check its address and the network",
    errno.ENOTTY: "it is no serial port; `tonne ports` lists what is there",
    errno.EISDIR: "it is no serial port; `tonne ports` lists what is there",
}

Tap = Callable[[str, bytes], None]


class Transport:
    """One port, one line. `tap(direction, data)`, if given, sees every byte: direction "tx" or "rx".

    `clock` gives the seconds that time-outs are counted in; a meter in an emulator has its own.
    """

    def __init__(
        self,
        url: str,
        baud: int = DEFAULT_BAUD,
        tap: Tap | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        try:
            self._port = serial.serial_for_url(url, baudrate=baud, timeout=POLL, exclusive=True)
        except (serial.SerialException, OSError, ValueError) as error:
            raise PortError(explain(url, error)) from None
        self.url = url
        self.baud = baud
        self.link = Link()
        self.retries = 0
        self._tap = tap
        self._clock = clock

    def close(self) -> None:
        """Give the port back."""
        self._port.close()

    def timeout(self, request_size: int) -> float:
        """Seconds in which a request of so many bytes and the largest reply pass at this baud rate, plus ANSWER_TIME."""
        return ANSWER_TIME + (request_size + frame.MAX_WIRE) * BITS_A_BYTE / self.baud

    def exchange(
        self,
        address: int,
        message: int,
        body: bytes = b"",
        *,
        timeout: float | None = None,
        retries: int = 3,
        control: int = 0,
        session: Session | None = None,
    ) -> Reply:
        """Send a request, under a MAC of `session` if given, and return its reply.

        Raises NoReply, Refused, PortError, or ProofError for a reply whose MAC does not hold.
        """
        before = self._seen()
        for attempt in range(retries + 1):
            if attempt:
                self.retries += 1
            wire = self.link.request(address, message, body, control, session)
            self._write(wire)
            limit = self.timeout(len(wire)) if timeout is None else timeout
            reply = self._wait(self._clock() + limit)
            if reply is not None:
                return reply
            self.link.clear()
        raise NoReply(self._silence(address, retries + 1, self._seen() - before))

    def _wait(self, deadline: float) -> Reply | None:
        while (left := deadline - self._clock()) > 0:
            reply = self.link.receive(self._read(min(left, 0.2)))
            if reply is not None:
                return reply
        return None

    def _read(self, seconds: float) -> bytes:
        limit = time.monotonic() + seconds
        try:
            data = self._port.read(1)
            while not data and time.monotonic() < limit:
                data = self._port.read(1)
            while data and (waiting := self._port.in_waiting) and len(data) < frame.MAX_WIRE:
                data += self._port.read(waiting)
        except (serial.SerialException, OSError) as error:
            raise PortError(f"{self.url} failed while open: {error}; check the cable and open it again") from None
        if data and self._tap:
            self._tap("rx", data)
        return data

    def _write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except (serial.SerialException, OSError) as error:
            raise PortError(f"{self.url} failed while open: {error}; check the cable and open it again") from None
        if self._tap:
            self._tap("tx", data)

    def _seen(self) -> Counter[str]:
        return self.link.counts + Counter(noise=self.link.noise)

    def _silence(self, address: int, attempts: int, seen: Counter[str]) -> str:
        who = "any meter" if address == frame.ADDRESS_ANY else f"address {address}"
        start = f"expected a reply from {who} on {self.url} at {self.baud} baud, {attempts} attempts: "
        if seen["other address"]:
            return start + "another address answered; check --address"
        if seen["echo"] and not seen["noise"]:
            return (
                start
                + "only our own request came back (local echo, or TX tied to RX); check wiring and that the meter has power"
            )
        if seen["noise"]:
            return (
                start
                + f"{seen['noise']} runs of bytes that are no frames came; check baud rate, parity and termination"
            )
        if seen["stale"]:
            return start + "only replies to older requests came; raise the timeout"
        return start + "silence; check power, port, baud rate and address"


def ports() -> list[tuple[str, str, str]]:
    """Serial ports of this machine: device, description, hardware id."""
    return [(p.device, p.description or "", p.hwid or "") for p in sorted(list_ports.comports())]


def explain(url: str, error: Exception) -> str:
    """One line for a port that cannot be opened: what was expected, why it failed, what to do."""
    # pyserial keeps the number of the system's error, or wraps that error (sockets, termios).
    numbers = [e.args[0] for e in (error, error.__context__) if e and e.args and isinstance(e.args[0], int)]
    cause = next((_CAUSES[number] for number in numbers if number in _CAUSES), None)
    return f"expected to open {url}: {cause or f'{error}; `tonne ports` lists what is there'}"
