"""One conversation with meters on a line, without any I/O: requests to bytes, bytes to the reply that is waited for.

What does not belong to the request under way (a stale sequence, another address, our own echo, noise) is counted in
`Link.counts` and never taken for an answer.
"""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from hostlink.errors import ProofError, Refused, UsageError
from hostlink.session import Session
from protocol import frame, messages
from protocol import session as roles
from protocol import status as codes
from protocol.deframer import Deframer


class Reply(NamedTuple):
    """A good reply: who answered, and the body."""

    address: int
    message: int
    body: bytes


class Link:
    """`request()` gives the bytes to send; `receive()` takes what came and returns the reply once it is there."""

    def __init__(self, on_refused: Callable[[str, bytes], None] | None = None) -> None:
        self._deframer = Deframer(on_refused=on_refused)
        self._sequence = 0
        self._sent = b""
        self._expected = (0, 0, 0)
        self._session: Session | None = None
        self.counts: Counter[str] = Counter()

    def request(
        self, address: int, message: int, body: bytes = b"", control: int = 0, session: Session | None = None
    ) -> bytes:
        """The next request's frame, under a MAC of `session` if given. From here on only its own reply is accepted.

        Raises UsageError for an address or a body that no frame has.
        """
        if not 0 <= address <= 0xFF:
            raise UsageError(f"expected an address from 0 to 255, got {address}")
        if len(body) > frame.MAX_BODY:
            raise UsageError(f"expected a body of at most {frame.MAX_BODY} bytes, got {len(body)}")
        self._sequence = (self._sequence + 1) & 0xFF
        self._session = session
        if session:
            control |= frame.CONTROL_MAC
            body = session.protect(bytes((address, control | frame.VERSION, self._sequence, message)), body)
        wire = frame.encode(address, control, self._sequence, message, body)
        self._sent = bytes((address, control | frame.VERSION, self._sequence, message)) + body
        self._expected = (address, self._sequence, message)
        self.counts["requests"] += 1
        return wire

    def receive(self, data: bytes) -> Reply | None:
        """Take in `data`; the reply if it is complete, else None. Raises Refused if the meter refused, ProofError if a
        reply that should be under a MAC is not.
        """
        found = None
        for view in self._deframer.feed(data):
            got = bytes(view)
            if self._is_ours(got):
                found = got
        if found is None:
            return None
        address, control, message, body = found[0], found[1], found[3], found[4:]
        self._expected = (0, 0, 0)
        self.counts["replies"] += 1
        if control & frame.CONTROL_MAC or (self._session and not control & frame.CONTROL_REFUSED):
            body = self._proved(found[:4], body)
        if control & frame.CONTROL_REFUSED:
            raise self._refusal(message, body)
        return Reply(address, message, body)

    def clear(self) -> None:
        """Forget a frame that has begun, before the request is repeated."""
        self._deframer.clear()

    @property
    def noise(self) -> int:
        """Runs of bytes refused as no frame."""
        return sum(self._deframer.refused.values())

    def _is_ours(self, got: bytes) -> bool:
        address, sequence, message = self._expected
        if not got[1] & frame.CONTROL_REPLY:
            self.counts["echo" if got == self._sent else "foreign request"] += 1
            return False
        if address not in (frame.ADDRESS_ANY, got[0]):
            self.counts["other address"] += 1
            return False
        if (got[2], got[3]) != (sequence, message) or got[1] & frame.CONTROL_VERSION_MASK != frame.VERSION:
            self.counts["stale"] += 1
            return False
        return True

    def _proved(self, header: bytes, body: bytes) -> bytes:
        if self._session is None:
            raise ProofError("expected a plain reply to a plain request, got one under a MAC: somebody is on the line")
        return self._session.check(header, body)

    def _refusal(self, message: int, body: bytes) -> Refused:
        self.counts["refused"] += 1
        name = messages.CATALOGUE[message][0] if message in messages.CATALOGUE else f"message 0x{message:02x}"
        if len(body) != messages.REFUSAL.size:
            return Refused(f"the meter refused {name!r} without a reason it should give", 0, 0)
        code, detail = messages.REFUSAL.unpack_from(body)
        return Refused(f"the meter refused {name!r}: {_reason(code, detail)}", code, detail)


def _reason(code: int, detail: int) -> str:
    role = roles.ROLES.get(detail, f"role {detail}")
    if code == codes.NO_SESSION:
        return f"it takes the key of the {role}; name a key file (--keys)"
    if code == codes.LOCKED:
        return f"after failed proofs it listens to none for another {detail} s"
    if code == codes.SEALED:
        return "it is sealed; that takes the key of the laboratory or the manufacturer"
    return f"{codes.REFUSALS.get(code, f'code {code}')} ({detail})"
