"""The server: bytes in, one reply per good request out. Everything it refuses is counted; nothing it gets can stop it."""

from protocol import frame, session
from protocol import status as codes
from protocol.deframer import Deframer

from .refusal import Refusal


class Server:
    """Answers at `address`. `services` maps a message code to `(request size or -1, handler)`.

    A handler takes (body, out), both memoryviews, writes its reply to `out` and returns its size, or raises Refusal.
    `guard` (`trust.session.Guard`), if given, says which requests may pass and signs the replies to those it authenticated.
    """

    def __init__(self, address, services, guard=None, encoder=None):
        self.address = address
        self.deframer = Deframer()
        self.encoder = encoder or frame.Encoder()
        self.other_address = 0
        """Good frames that were not for this meter: another address, or a reply."""
        self.refused = 0
        """Requests answered with a refusal."""
        self._services = services
        self._guard = guard

    def add(self, services):
        """Answer these messages too."""
        self._services.update(services)

    def twin(self):
        """A server of the same meter for another link: what comes in there does not mix with what comes in here.

        Replies are written in the same buffer: one is to be sent before another is asked for.
        """
        return Server(self.address, self._services, self._guard, self.encoder)

    def feed(self, data):
        """Yield the replies, memoryviews good until the next one, to the requests that end within `data`."""
        for request in self.deframer.feed(data):
            reply = self._answer(request)
            if reply is not None:
                yield reply

    def _answer(self, request):
        address = request[0]
        control = request[1]
        if address not in (self.address, frame.ADDRESS_ANY) or control & frame.CONTROL_REPLY:
            self.other_address += 1
            return None
        out = self.encoder.body
        answer = frame.CONTROL_REPLY
        guard = self._guard
        signed = False
        try:
            if control & ~frame.CONTROL_MAC != frame.VERSION:
                raise Refusal(codes.WRONG_VERSION, frame.VERSION)
            body = request[frame.HEADER_SIZE :]
            if guard:
                body = guard.admit(request)
                signed = guard.authenticated
                guard.permit(request[3])
            size = self._serve(request[3], body, out[: -session.TRAILER] if signed else out)
        except Refusal as refusal:
            size = self._refuse(refusal, out)
            answer |= frame.CONTROL_REFUSED
        except MemoryError:
            size = self._refuse(Refusal(codes.EXHAUSTED), out)
            answer |= frame.CONTROL_REFUSED
        if signed:
            answer |= frame.CONTROL_MAC
            whole = self.encoder.head(self.address, answer, request[2], request[3], size + session.TRAILER)
            size = guard.sign(whole, size)
        return self.encoder.finish(self.address, answer, request[2], request[3], size)

    def _refuse(self, refusal, out):
        self.refused += 1
        return refusal.pack_into(out)

    def _serve(self, message, body, out):
        service = self._services.get(message)
        if service is None:
            raise Refusal(codes.UNKNOWN_MESSAGE, message)
        expected, handler = service
        if expected >= 0 and len(body) != expected:
            raise Refusal(codes.WRONG_LENGTH, expected)
        return handler(body, out)
