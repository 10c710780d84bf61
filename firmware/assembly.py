"""A meter put together from what a board brings; every board calls `assemble` and then only feeds the server and samples."""

import os

from protocol import events
from protocol import status as flags

from .blobs import BlobService
from .keeper import Keeper
from .link import Server
from .meter import Meter
from .service import MeterService
from .store.layout import MINIMUM, Store
from .store.nor import RamNor
from .trust.service import Trust

_SMALL_SECTOR = 512


class Assembly:
    """A meter at work: `meter` counts, `keeper` keeps, `server` answers, `trust` guards. Call `step` while there is time."""

    def __init__(self, keeper, server, trust, update=None):
        self.meter = keeper.meter
        self.keeper = keeper
        self.server = server
        self.trust = trust
        self.update = update
        self._opened = {}

    @property
    def restart(self):
        """An update waits to be started: shut down and start again."""
        return self.update is not None and self.update.restart

    def step(self):
        """A little of the work that can wait; False when there is none. An erase of the flash takes it 45 to 400 ms."""
        return self.keeper.step() or (self.update is not None and self.update.step()) or self.trust.step()

    def tamper(self, number, opened):
        """Tamper input `number` is `opened` now; a change is logged. Call it in every turn while it is."""
        if opened:
            self.meter.status |= flags.TAMPER
        if opened != self._opened.get(number, 0):
            self._opened[number] = opened
            self.keeper.store.events.log(events.TAMPER, 0, 1 - opened, opened, number)

    def brown_out(self):
        """Power is about to go: keep everything now."""
        self.meter.sample()
        self.keeper.down(events.BROWN_OUT)

    def shut_down(self):
        """The board stops by itself: keep everything."""
        self.meter.sample()
        self.keeper.down(events.POWER_DOWN)


def assemble(image, clock, drivers, inputs, identity, address, nor=None, reset=events.RESET_POWER, random=None, slots=None):
    """Put a meter together.

    `image` is the profile that a new meter starts with (`protocol.image.Image`), `clock` a `firmware.clock.Clock`, `drivers` one a
    channel and `inputs` one a condition's source (`firmware.meter.Meter`), `identity` of `firmware.identity`, `address` that of
    the link. `nor` is the flash (`firmware.store.nor`); without it nothing outlives a power cut. `reset` is why the board started.
    `random(n)` gives n bytes that nobody can foretell, by default `os.urandom`. `slots` (`boards.slots.Slots`) takes updates.
    """
    nor = nor or RamNor(MINIMUM * _SMALL_SECTOR, _SMALL_SECTOR)
    store = Store(nor, clock)
    keeper = Keeper(
        store, image, lambda image: Meter(image, clock, drivers, identity, inputs, store.records, store.events), reset
    )
    service = MeterService(keeper.meter)
    handlers = service.table()
    handlers.update(BlobService(keeper.meter, keeper).table())
    trust = Trust(keeper.meter, store, random or os.urandom)
    keeper.differs = trust.parameters.differs
    handlers.update(trust.table())
    handlers.update(store.events.table())
    update = None
    if slots:
        update = trust.updates(slots, lambda: keeper.trusted, dict(handlers))
        handlers.update(update.table())
    server = Server(address, handlers, trust.guard)
    service.server = server
    return Assembly(keeper, server, trust, update)
