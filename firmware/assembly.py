"""A meter put together from what a board brings; every board calls `assemble` and then only feeds the server and samples."""

import os

from protocol import events
from protocol import status as flags

from .blobs import BlobService
from .calibration import Adjusted
from .keeper import Keeper
from .link import Server
from .meter import Meter
from .service import MeterService
from .store.layout import Store
from .trust.service import Trust

_COMMITS_LEFT = 8
"""Commits after the one at the supply's fall: a warning that is wired wrong does not wear the flash out."""
_STEADY_S = 1


class Assembly:
    """A meter at work: `meter` counts, `keeper` keeps, `server` answers, `trust` guards. Call `step` while there is time."""

    def __init__(self, keeper, server, trust, update=None):
        self.meter = keeper.meter
        self.keeper = keeper
        self.server = server
        self.trust = trust
        self.update = update
        self._opened = {}
        self._commits = self._good_from = -1
        self._fell = 0

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

    def supply(self, good):
        """The supply is `good`, or is failing. Call it in every turn, with False for one turn at least after each fall.

        At its fall everything is kept and POWER_DOWN logged; what is counted on the charge that is left is kept, too, in some
        more commits. If it was good again for _STEADY_S, BROWN_OUT is logged with the seconds until then, and it may fall anew.
        """
        clock = self.meter.clock
        clock.tick()
        uptime = clock.uptime
        if not good:
            self._good_from = -1
            if self._commits < 0:
                self._commits = _COMMITS_LEFT
                self._fell = uptime
                self.shut_down()
            elif self._commits:
                self.meter.sample()
                if self.meter.uncommitted and self.meter.keep:
                    self._commits -= 1
                    self.meter.keep()
        elif self._commits >= 0:
            if self._good_from < 0:
                self._good_from = uptime
            elif uptime - self._good_from > _STEADY_S:
                self._commits = -1
                self.keeper.store.events.log(events.BROWN_OUT, 0, 0, self._good_from - self._fell)

    def shut_down(self):
        """The board is about to stop: keep everything, and say so."""
        self.meter.sample()
        self.keeper.down(events.POWER_DOWN)


def assemble(
    image, clock, drivers, inputs, identity, address, nor, reset=events.RESET_POWER, random=None, slots=None, chips=None
):
    """Put a meter together.

    `image` is the profile that a new meter starts with (`protocol.image.Image`), `clock` a `firmware.clock.Clock`, `drivers` one a
    channel and `inputs` one a condition's source (`firmware.meter.Meter`), `identity` of `firmware.identity`, `address` that of
    the link. `nor` is the flash (`firmware.store.nor`). `reset` is why the board started.
    `random(n)` gives n bytes that nobody can foretell, by default `os.urandom`. `slots` (`boards.slots.Slots`) takes updates.
    `chips` are those of `drivers` that can be calibrated, by channel number (`firmware.calibration`).
    """
    store = Store(nor, clock)
    inputs = [Adjusted(one) for one in inputs]
    keeper = Keeper(
        store, image, lambda image: Meter(image, clock, drivers, identity, inputs, store.records, store.events), reset
    )
    service = MeterService(keeper.meter)
    handlers = service.table()
    handlers.update(BlobService(keeper.meter, keeper).table())
    trust = Trust(keeper.meter, store, random or os.urandom, chips or {}, inputs)
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
