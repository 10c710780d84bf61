"""A capture's requests again, to another meter: what it answers now, beside what was answered then."""

from collections.abc import Iterator
from typing import NamedTuple

from hostlink.capture import RX, TX, Capture
from hostlink.errors import Refused
from hostlink.transport import Transport
from protocol import frame, messages
from protocol import status as codes
from protocol.deframer import Deframer


class Exchange(NamedTuple):
    """A request of the capture and its reply, if one came: message code, body; `refused` with the reply's body."""

    address: int
    message: int
    request: bytes
    reply: bytes | None
    refused: bool


class Answer(NamedTuple):
    """What came now in answer to the request of `exchange`."""

    exchange: Exchange
    reply: bytes
    refused: bool

    @property
    def same(self) -> bool:
        """Whether the capture has the same answer."""
        return (self.reply, self.refused) == (self.exchange.reply, self.exchange.refused)


def exchanges(capture: Capture) -> list[Exchange]:
    """The requests of a capture in order, each with the reply of its sequence number. Authenticated ones are left out:
    a meter takes those once only. A repeated request is one exchange."""
    asked: dict[tuple[int, int], int] = {}
    found: list[Exchange] = []
    tx, rx = Deframer(), Deframer()
    for entry in capture.entries:
        if entry.kind not in (TX, RX):
            continue
        for view in (tx if entry.kind == TX else rx).feed(bytes(entry.data)):
            address, control, sequence, message = view[:4]
            body = bytes(view[4:])
            if control & frame.CONTROL_MAC:
                continue
            if not control & frame.CONTROL_REPLY:
                asked[sequence, message] = len(found)
                found.append(Exchange(address, message, body, None, False))
            elif (sequence, message) in asked:
                at = asked.pop((sequence, message))
                refused = bool(control & frame.CONTROL_REFUSED)
                found[at] = found[at]._replace(reply=body, refused=refused)
    return [exchange for exchange in found if exchange.reply is not None]


def resend(capture: Capture, transport: Transport, address: int | None = None) -> Iterator[Answer]:
    """Ask everything again that the capture asks, of `address` or of the capture's own. Raises NoReply, PortError."""
    for exchange in exchanges(capture):
        to = exchange.address if address is None else address
        try:
            yield Answer(exchange, transport.exchange(to, exchange.message, exchange.request).body, False)
        except Refused as refusal:
            yield Answer(exchange, messages.REFUSAL.pack(refusal.code, refusal.detail), True)


def describe(exchange: Exchange) -> str:
    """The request in words."""
    name = messages.CATALOGUE[exchange.message][0] if exchange.message in messages.CATALOGUE else "unknown"
    if exchange.refused and exchange.reply:
        return f"{name}, refused: {codes.REFUSALS.get(exchange.reply[0], exchange.reply[0])}"
    return name
