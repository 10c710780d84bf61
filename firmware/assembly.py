"""A meter put together from what a board brings; every board calls `assemble` and then only feeds the server and samples."""

import os

from .blobs import BlobService, RamBlobs
from .link import Server
from .meter import Meter
from .service import MeterService
from .store.layout import MINIMUM, Store
from .store.nor import RamNor
from .trust.service import Trust

_SECTOR = 4096


class Assembly:
    """A meter at work: `meter` counts and keeps, `server` answers, `trust` guards. Call `step` while there is time."""

    def __init__(self, meter, server, trust):
        self.meter = meter
        self.server = server
        self.trust = trust

    def step(self):
        """A little of the work that can wait, some milliseconds at most; False when there is none."""
        return self.trust.step()


def assemble(image, clock, drivers, inputs, identity, address, random=os.urandom):
    """Put a meter together.

    `image` is the profile that governs (`protocol.image.Image`), `clock` a `firmware.clock.Clock`, `drivers` one a channel and
    `inputs` one a condition's source (`firmware.meter.Meter`), `identity` of `firmware.identity`, `address` that of the link.
    `random(n)` gives n bytes that nobody can foretell.
    """
    meter = Meter(image, clock, drivers, identity, inputs)
    service = MeterService(meter)
    handlers = service.table()
    handlers.update(BlobService(meter, RamBlobs()).table())
    store = Store(RamNor(MINIMUM * _SECTOR, _SECTOR), clock)
    trust = Trust(meter, store, random)
    handlers.update(trust.table())
    handlers.update(store.events.table())
    server = Server(address, handlers, trust.guard)
    service.server = server
    return Assembly(meter, server, trust)
