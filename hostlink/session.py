"""A proved session with one meter: requests under a MAC, replies whose MAC is checked. Sans-io, as `hostlink.link`."""

import hmac
import secrets
import struct
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from hostlink.errors import ProofError, Refused, TonneError, UsageError
from hostlink.tables import values
from protocol import frame, messages, session
from protocol import status as codes

if TYPE_CHECKING:
    from hostlink.meter import Meter

SERIAL_SIZE = 16


@dataclass(frozen=True)
class Key:
    """The key of one role for one meter. Its bytes show in no representation."""

    role: int
    secret: bytes

    def __post_init__(self) -> None:
        if self.role not in session.ROLES or self.role == session.NOBODY:
            raise UsageError(f"expected the role of an installer, laboratory or manufacturer, got {self.role}")
        if len(self.secret) != session.KEY_SIZE:
            raise UsageError(f"expected a key of {session.KEY_SIZE} bytes, got {len(self.secret)}")

    def __repr__(self) -> str:
        return f"Key({session.ROLES[self.role]})"


class Session:
    """Signs frames and checks signed replies; made by `open_session`."""

    def __init__(self, role: int, key: bytes) -> None:
        self.role = role
        self._mac = session.Mac(key)
        self._counter = 0

    def protect(self, header: bytes, body: bytes) -> bytes:
        """`body` with the next counter and the MAC over `header` and both."""
        self._counter += 1
        body += struct.pack("<I", self._counter)
        return body + self._mac.digest(header + body)[: session.MAC_SIZE]

    def check(self, header: bytes, body: bytes) -> bytes:
        """The body of a signed reply. Raises ProofError unless counter and MAC are those of the newest request."""
        size = len(body) - session.MAC_SIZE
        if size < session.TRAILER - session.MAC_SIZE or not header[1] & frame.CONTROL_MAC:
            raise ProofError("expected a reply under a MAC, got one without: another meter, or somebody on the line")
        (counter,) = struct.unpack_from("<I", body, size - 4)
        expected = self._mac.digest(header + body[:size])[: session.MAC_SIZE]
        if counter != self._counter or not hmac.compare_digest(expected, body[size:]):
            raise ProofError("the reply's MAC does not prove: another meter, or somebody on the line")
        return body[: -session.TRAILER]

    def cover(self, role: int, key: bytes) -> bytes:
        """A new key for `role`, hidden for the next request."""
        return session.cover(self._mac, self._counter + 1, role, key)


def open_session(meter: "Meter", key: Key) -> Session:
    """Prove `key` to `meter` and let it prove itself. Raises Refused (wrong key, shut), ProofError."""
    serial = values(messages.IDENTITY, meter.ask(messages.IDENTIFY))["serial"]
    host_nonce = secrets.token_bytes(session.NONCE_SIZE)
    reply = meter.ask(messages.SESSION_OPEN, messages.SESSION_OPEN_REQUEST.pack(key.role, host_nonce))
    meter_nonce = values(messages.SESSION_OPEN_REPLY, reply)["nonce"]
    transcript = session.transcript(key.role, serial, host_nonce, meter_nonce)
    mac = session.Mac(key.secret)
    proof = mac.digest(session.HOST + transcript)[: session.MAC_SIZE]
    reply = meter.ask(messages.SESSION_PROVE, messages.SESSION_PROVE_REQUEST.pack(key.role, proof), retries=0)
    expected = mac.digest(session.METER + transcript)[: session.MAC_SIZE]
    if not hmac.compare_digest(values(messages.SESSION_PROVE_REPLY, reply)["proof"], expected):
        raise ProofError("the meter does not know the key it should: this is not the meter that was provisioned")
    return Session(key.role, mac.digest(session.SESSION + transcript))


class Privileged:
    """A meter's session as a context: `with Privileged(meter, key): …`; it is closed at the end.

    `fallback` is tried where `key` does not prove.
    """

    def __init__(self, meter: "Meter", key: Key, fallback: Key | None = None) -> None:
        self._meter = meter
        self._key = key
        self._fallback = fallback
        self.role = key.role

    def __enter__(self) -> Self:
        try:
            self._meter.session = open_session(self._meter, self._key)
        except Refused as refused:
            if refused.code != codes.BAD_MAC or self._fallback is None:
                raise
            self._meter.session = open_session(self._meter, self._fallback)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            with suppress(TonneError) if error else nullcontext():
                self._meter.ask(messages.SESSION_CLOSE, retries=0 if error else 3)
        finally:
            self._meter.session = None
