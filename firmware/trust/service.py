"""Everything a meter has to do with trust, put together: one object beside the meter, one `step` for its idle time."""

from protocol import events, messages
from protocol import status as flags

from ..calibration import Calibration
from . import parameters
from .kept import Keys, Security
from .parameters import Parameters, SealService
from .session import Guard, SessionService
from .signer import Signer, secret
from .statements import Statements
from .update import Update

LEVELS, HEIGHT = 3, 5


class Trust:
    """`store` is a `firmware.store.layout.Store`; `random(n)` gives n bytes that nobody can foretell; `chips` and `inputs` as
    `firmware.calibration` has them.
    """

    def __init__(self, meter, store, random, chips, inputs):
        self._meter = meter
        self._log = store.events
        self._random = random
        self._keys = keys = Keys(store.journal("keys", Keys.layout.size))
        self._security = security = Security(store.journal("security", Security.layout.size))
        frozen = parameters.frozen(1 << LEVELS * HEIGHT)
        self.parameters = Parameters(store.journal("configuration", parameters.size()), frozen)
        self._calibration = Calibration(chips, inputs, self.parameters, meter.clock)
        serial = meter.identity[0]
        self._serial = serial + bytes(16 - len(serial))
        self.guard = Guard(keys, security, self._serial, meter.clock, random, self._failed, self._log)
        self.signer = self._make_signer()
        self.statements = Statements(meter, self._serial, lambda: self.signer, security, self.parameters, store)
        self._show_seal()

    def table(self):
        """`{message: (request size, handler)}` for `link.Server`."""
        guard = self.guard
        handlers = SessionService(guard, self._keys, self._provisioned, self._rotated, self.trust).table()
        seal = SealService(
            guard,
            self._keys,
            self._security,
            self.parameters,
            self._log,
            self._show_seal,
            lambda: self._meter.next or self._meter.image,
            self._calibration,
        )
        handlers.update(seal.table())
        handlers.update(self._calibration.table())
        handlers.update(self.statements.table())
        handlers[messages.TRUST] = (0, self.trust)
        return handlers

    def updates(self, slots, healthy, handlers):
        """An `Update` over `slots` (`boards.slots`), in front of the blob `handlers`."""
        return Update(self.guard, self._keys, self._security, self._log, self._meter, slots, healthy, handlers)

    def step(self):
        """Do a little of what is waiting; False when nothing is."""
        return self.statements.step()

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
        return Signer(self._keys.secret, self._keys.leaf, self._burn, LEVELS, HEIGHT)

    def _burn(self, leaf):
        self._keys.leaf = leaf
        return self._keys.save()

    def _provisioned(self, entropy):
        self._keys.secret = secret(entropy, self._random(32), self._serial)
        self._keys.leaf = 0
        self.signer = self._make_signer()
        self._log.log(events.KEY_CHANGED)

    def _rotated(self, role):
        self._log.log(events.KEY_CHANGED, self.guard.role, 0, 0, role)

    def _failed(self, role, before, count):
        self._log.log(events.AUTHENTICATION_FAILED, 0, before, count, role)

    def _show_seal(self):
        if self._security.sealed:
            self._meter.status &= ~flags.SEAL_OPEN
        else:
            self._meter.status |= flags.SEAL_OPEN
