"""What lies where in the meter's flash, and the logs opened over it.

The regions come in this order from sector 0 on; interval records get what is left. A region keeps its place only as long as
those before it keep their sizes.
"""

from protocol import events as event_layout

from ..events import Events
from .faults import Faults
from .journal import Journal
from .log import NO_LABEL
from .ring import Ring

SIZE = 256 * 4096
"""Bytes of flash that the Pico sets aside; a board may have more."""

REGIONS = (
    ("registers", 16),
    ("security", 4),
    ("keys", 2),
    ("configuration", 2),
    ("events", 8),
    ("legal", 16),
    ("blobs", 24),
    ("statements", 16),
)
ANY = 64
"""Payload size until the profile says which."""
MINIMUM = sum(sectors for _, sectors in REGIONS) + 4


class Store:
    """Opens the logs on `nor`. `registers` and `journal(name, size)` are journals, `records` a ring, `events` the event logs."""

    def __init__(self, nor, clock):
        self.nor = nor
        self.faults = Faults()
        self.regions = regions(nor)
        first, sectors = self.regions["registers"]
        self.registers = Journal(nor, first, sectors, ANY, self.faults)
        first, sectors = self.regions["records"]
        self.records = Ring(nor, first, sectors, ANY, found=self.faults, numbered=True)
        logs = []
        for name in ("events", "legal"):
            first, sectors = self.regions[name]
            wraps = name == "events"
            logs.append(Ring(nor, first, sectors, event_layout.ENTRY.size, NO_LABEL, wraps, self.faults, numbered=True))
        self.events = Events(logs, clock)
        self._journals = []
        self._logs = [self.registers, self.records]  # type: list
        self._logs.extend(logs)
        self._checked = 0

    def journal(self, name, size):
        """The journal of region `name` for payloads of `size` bytes."""
        first, sectors = self.regions[name]
        journal = Journal(self.nor, first, sectors, size, self.faults)
        self._journals.append(journal)
        self._logs.append(journal)
        return journal

    def prepare(self):
        """Erase one sector ahead of time if one is due; True if that took a moment (45 to 400 ms on a chip)."""
        if self.registers.prepare() or self.records.prepare() or self.events.prepare():
            return True
        return any(journal.prepare() for journal in self._journals)

    def check(self):
        """Look at one slot of one log, in turn, for bits that flipped."""
        self._checked = (self._checked + 1) % len(self._logs)
        self._logs[self._checked].check()


def regions(nor):
    """`{name: (first sector, sectors)}` on a flash. Raises ValueError if it is too small."""
    total = nor.size // nor.sector_size
    if total < MINIMUM:
        raise ValueError("the store takes %d sectors of flash at least, got %d" % (MINIMUM, total))
    found = {}
    at = 0
    for name, sectors in REGIONS:
        found[name] = (at, sectors)
        at += sectors
    found["records"] = (at, total - at)
    return found
