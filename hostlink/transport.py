"""Bytes over anything pyserial opens by URL: /dev/tty…, COM…, socket://, rfc2217://, loop://."""

import time
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

Tap = Callable[[str, bytes], None]


class Transport:
    """One port, one line. `tap(direction, data)`, if given, sees every byte: direction "tx" or "rx"."""

    def __init__(self, url: str, baud: int = DEFAULT_BAUD, tap: Tap | None = None) -> None:
        try:
            self._port = serial.serial_for_url(url, baudrate=baud, timeout=0, exclusive=True)
        except (serial.SerialException, OSError, ValueError) as error:
            raise PortError(_explain(url, error)) from None
        self.url = url
        self.baud = baud
        self.link = Link()
        self.retries = 0
        self._tap = tap

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
        for attempt in range(retries + 1):
            if attempt:
                self.retries += 1
            wire = self.link.request(address, message, body, control, session)
            self._write(wire)
            limit = self.timeout(len(wire)) if timeout is None else timeout
            reply = self._wait(time.monotonic() + limit)
            if reply is not None:
                return reply
            self.link.clear()
        raise NoReply(self._silence(address, retries + 1))

    def _wait(self, deadline: float) -> Reply | None:
        while (left := deadline - time.monotonic()) > 0:
            reply = self.link.receive(self._read(min(left, 0.2)))
            if reply is not None:
                return reply
        return None

    def _read(self, seconds: float) -> bytes:
        try:
            self._port.timeout = seconds
            data = self._port.read(1)
            waiting = self._port.in_waiting
            if data and waiting:
                self._port.timeout = 0
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

    def _silence(self, address: int, attempts: int) -> str:
        counts = self.link.counts
        who = "any meter" if address == frame.ADDRESS_ANY else f"address {address}"
        start = f"expected a reply from {who} on {self.url} at {self.baud} baud, {attempts} attempts: "
        if counts["other address"]:
            return start + "another address answered; check --address"
        if counts["echo"] and not self.link.noise:
            return (
                start
                + "only our own request came back (local echo, or TX tied to RX); check wiring and that the meter has power"
            )
        if self.link.noise:
            return (
                start
                + f"{self.link.noise} runs of bytes that are no frames came; check baud rate, parity and termination"
            )
        if counts["stale"]:
            return start + "only replies to older requests came; raise the timeout"
        return start + "silence; check power, port, baud rate and address"


def ports() -> list[tuple[str, str, str]]:
    """Serial ports of this machine: device, description, hardware id."""
    return [(p.device, p.description or "", p.hwid or "") for p in sorted(list_ports.comports())]


def _explain(url: str, error: Exception) -> str:
    text = str(error).lower()
    if "exclusively lock" in text or "busy" in text or "resource temporarily unavailable" in text:
        return f"expected to open {url}: another program holds it; close that program"
    if "no such file" in text or "could not open port" in text or "filenotfound" in text:
        return f"expected to open {url}: there is no such port; `tonne ports` lists what is there"
    if "permission" in text:
        return f"expected to open {url}: permission denied; add yourself to the port's group (often dialout)"
    return f"expected to open {url}: {error}; `tonne ports` lists what is there"
