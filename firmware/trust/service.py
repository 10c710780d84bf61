"""Everything a meter has to do with trust, put together: one object beside the meter, one `step` for its idle time."""

from protocol import messages
from protocol import status as flags

from .session import Guard, SessionService
from .signer import Signer, secret


class Trust:
    """`keys` and `security` are of `trust.kept`; `random(n)` gives n bytes that nobody can foretell."""

    def __init__(self, meter, keys, security, random):
        self._meter = meter
        self._keys = keys
        self._security = security
        self._random = random
        serial = meter.identity[0]
        self._serial = serial + bytes(16 - len(serial))
        self.guard = Guard(keys, security, self._serial, meter.clock, random, self._failed)
        self.signer = self._make_signer()
        self._show_seal()

    def table(self):
        """`{message: (request size, handler)}` for `link.Server`."""
        handlers = SessionService(self.guard, self._keys, self._provisioned, self._rotated, self.trust).table()
        handlers[messages.TRUST] = (0, self.trust)
        return handlers

    def step(self):
        """Do a little of what is waiting; False when nothing is."""
        return self.signer is not None and self.signer.step()

    def trust(self, body, out):
        guard = self.guard
        security = self._security
        signer = self.signer
        return messages.TRUST_REPLY.pack_into(
            out,
            0,
            self._keys.provisioned,
            guard.session_role,
            security.failures,
            guard.locked,
            guard.refused,
            security.sealed,
            security.seal_counter,
            signer.levels if signer else 0,
            signer.remaining if signer else 0,
            signer.public if signer else b"",
        )

    def _make_signer(self):
        if not self._keys.provisioned:
            return None
        return Signer(self._keys.secret, self._keys.leaf, self._burn)

    def _burn(self, leaf):
        self._keys.leaf = leaf
        if not self._keys.save():
            raise OSError(28)

    def _provisioned(self, entropy):
        self._keys.secret = secret(entropy, self._random(32), self._serial)
        self._keys.leaf = 0
        self.signer = self._make_signer()
        self._show_seal()

    def _rotated(self, role):
        pass

    def _failed(self, role, before, count):
        pass

    def _show_seal(self):
        if self._security.sealed:
            self._meter.status &= ~flags.SEAL_OPEN
        else:
            self._meter.status |= flags.SEAL_OPEN
