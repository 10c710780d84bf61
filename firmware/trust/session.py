"""The guard: lets a request pass only if its role was proved; refuses replays, reorders and forgeries, and counts them."""

from struct import pack_into, unpack_from

from micropython import const

from protocol import messages, session
from protocol import status as codes

from ..native import equal
from ..refusal import Refusal
from .hasher import Mac

IDLE = const(900)
_CONTROL_MAC = const(0x20)
_HEADER_SIZE = const(4)
_MAC_SIZE = const(16)
_TAIL = const(20)


class Guard:
    """Who is asking. `role` is that of the request being served; a meter without keys lets everything pass.

    `keys` and `security` are of `trust.kept`, `serial` is 16 bytes as IDENTIFY tells it, `clock.uptime` seconds, `random(n)`
    gives n bytes that nobody can foretell. `failed(role, before, count)` is told of failed proofs, and of refused frames each
    time their number has doubled; `log.actor` is kept the role of the request being served.
    """

    def __init__(self, keys, security, serial, clock, random, failed, log):
        self._keys = keys
        self._security = security
        self._serial = serial
        self._clock = clock
        self._random = random
        self._failed = failed
        self._log = log
        self._challenge = None
        self._mac = None
        self._session_role = session.NOBODY
        self._counter = 0
        self._last_used = 0
        self._shut_until = clock.uptime + session.wait(security.failures)
        self.role = session.NOBODY
        self.authenticated = False
        self.refused = 0

    @property
    def session_role(self):
        """The role of the open session, NOBODY if there is none."""
        if self._mac is not None and self._clock.uptime - self._last_used >= IDLE:
            self.close()
        return self._session_role

    @property
    def locked(self):
        """Seconds until a proof is listened to again."""
        return max(0, self._shut_until - self._clock.uptime)

    def allows(self, role):
        """Whether the request being served may do what takes `role`."""
        return not self._keys.provisioned or self.role >= role

    def admit(self, request):
        """The body of `request`, a frame without CRC, if its MAC holds or it has none; else raises Refusal."""
        if request[1] & _CONTROL_MAC:
            return self._authenticate(request)
        self.role = self._log.actor = session.NOBODY
        self.authenticated = False
        return request[_HEADER_SIZE:]

    def permit(self, message):
        """Raises Refusal unless the request admitted may ask for `message`."""
        role = session.needed(message)
        if not self.allows(role):
            raise Refusal(codes.NOT_ALLOWED if self.authenticated else codes.NO_SESSION, role)

    def sign(self, header_and_room, size):
        """Append counter and MAC to a reply's body of `size` bytes; returns its new size.

        `header_and_room` is the frame's header, the body and `TRAILER` bytes behind it.
        """
        end = _HEADER_SIZE + size
        pack_into("<I", header_and_room, end, self._counter)
        end += 4
        header_and_room[end:] = self._mac.digest(header_and_room[:end])[:_MAC_SIZE]
        return size + _TAIL

    def open(self, role, host_nonce):
        """A challenge for `role`. Raises Refusal."""
        self._listen(role)
        nonce = self._random(session.NONCE_SIZE)
        self._challenge = (role, session.transcript(role, self._serial, host_nonce, nonce))
        return nonce

    def prove(self, role, proof):
        """Open the session if `proof` answers the challenge: the meter's own proof. Raises Refusal.

        The attempt is counted in flash before it is looked at, so that cutting power does not make it undone.
        """
        self._listen(role)
        challenge = self._challenge
        self._challenge = None
        if challenge is None or challenge[0] != role:
            raise Refusal(codes.NOT_READY, 0)
        security = self._security
        before = security.failures
        security.failures = min(before + 1, 0xFFFF)
        if not security.save():
            raise Refusal(codes.STORAGE)
        mac = Mac(self.key(role))
        transcript = challenge[1]
        if not equal(mac.digest(session.HOST + transcript), proof, _MAC_SIZE):
            self._shut_until = self._clock.uptime + session.wait(security.failures)
            self._failed(role, before, security.failures)
            raise Refusal(codes.BAD_MAC, self.locked)
        security.failures = 0
        security.save()
        self._mac = Mac(mac.digest(session.SESSION + transcript))
        self._session_role = role
        self._counter = 0
        self._last_used = self._clock.uptime
        return mac.digest(session.METER + transcript)[:_MAC_SIZE]

    def close(self):
        """End the session, after the reply under way."""
        self._session_role = session.NOBODY

    def key(self, role):
        """The key of `role`."""
        return getattr(self._keys, session.ROLES[role])

    def uncover(self, role, key):
        """A key for `role` that came hidden in the request being served."""
        return session.cover(self._mac, self._counter, role, key)

    def _listen(self, role):
        self._clock.tick()
        if not self._keys.provisioned:
            raise Refusal(codes.NOT_READY, 0)
        if not session.INSTALLER <= role <= session.MANUFACTURER:
            raise Refusal(codes.BAD_VALUE, role)
        if self.locked:
            raise Refusal(codes.LOCKED, self.locked)

    def _authenticate(self, request):
        clock = self._clock
        clock.tick()
        now = clock.uptime
        role = self._session_role
        end = len(request) - _MAC_SIZE
        if not role or now - self._last_used >= IDLE:
            raise Refusal(codes.NO_SESSION, session.needed(request[3]))
        if end < _HEADER_SIZE + 4:
            raise Refusal(codes.WRONG_LENGTH, _TAIL)
        if not equal(self._mac.digest(request[:end]), request[end:], _MAC_SIZE):
            self._refuse_frame(role, codes.BAD_MAC, 0)
        counter = unpack_from("<I", request, end - 4)[0]
        if counter <= self._counter:
            self._refuse_frame(role, codes.REPLAYED, self._counter)
        self._counter = counter
        self._last_used = now
        self.role = self._log.actor = role
        self.authenticated = True
        return request[_HEADER_SIZE : end - 4]

    def _refuse_frame(self, role, code, detail):
        self.refused += 1
        if not self.refused & self.refused - 1:
            self._failed(role, self.refused - 1, self.refused)
        raise Refusal(code, detail)


class SessionService:
    """Handlers for `link.Server`: open, prove and close a session, provision and rotate keys.

    `provisioned(entropy)` and `rotated(role)` are told; `trust` is the handler of TRUST.
    """

    def __init__(self, guard, keys, provisioned, rotated, trust):
        self._guard = guard
        self._keys = keys
        self._provisioned = provisioned
        self._rotated = rotated
        self._trust = trust

    def table(self):
        """`{message: (request size, handler)}`."""
        return {
            messages.SESSION_OPEN: (messages.SESSION_OPEN_REQUEST.size, self.open),
            messages.SESSION_PROVE: (messages.SESSION_PROVE_REQUEST.size, self.prove),
            messages.SESSION_CLOSE: (0, self.close),
            messages.KEYS_PROVISION: (messages.KEYS_PROVISION_REQUEST.size, self.provision),
            messages.KEY_ROTATE: (messages.KEY_ROTATE_REQUEST.size, self.rotate),
        }

    def open(self, body, out):
        role, nonce = messages.SESSION_OPEN_REQUEST.unpack_from(body)
        return messages.SESSION_OPEN_REPLY.pack_into(out, 0, self._guard.open(role, nonce))

    def prove(self, body, out):
        role, proof = messages.SESSION_PROVE_REQUEST.unpack_from(body)
        answer = self._guard.prove(role, proof)
        return messages.SESSION_PROVE_REPLY.pack_into(out, 0, answer, IDLE)

    def close(self, body, out):
        self._guard.close()
        return 0

    def provision(self, body, out):
        keys = self._keys
        if keys.provisioned:
            raise Refusal(codes.NOT_ALLOWED, 0)
        values = messages.KEYS_PROVISION_REQUEST.unpack_from(body)
        if any(value == bytes(session.KEY_SIZE) for value in values[:3]):
            raise Refusal(codes.BAD_VALUE, 0)
        keys.installer, keys.laboratory, keys.manufacturer, keys.update, entropy = values
        keys.provisioned = 1
        self._provisioned(entropy)
        if not keys.save():
            keys.provisioned = 0
            raise Refusal(codes.STORAGE)
        return self._trust(body, out)

    def rotate(self, body, out):
        role, hidden = messages.KEY_ROTATE_REQUEST.unpack_from(body)
        guard = self._guard
        if not session.INSTALLER <= role <= session.MANUFACTURER:
            raise Refusal(codes.BAD_VALUE, role)
        if not guard.authenticated or role > guard.role:
            raise Refusal(codes.NOT_ALLOWED, role)
        keys = self._keys
        before = guard.key(role)
        setattr(keys, session.ROLES[role], guard.uncover(role, hidden))
        if not keys.save():
            setattr(keys, session.ROLES[role], before)
            raise Refusal(codes.STORAGE)
        self._rotated(role)
        return 0
