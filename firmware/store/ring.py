"""A ring: entries by sequence number, the oldest overwritten when it is full; or, with `wrap=False`, none overwritten ever."""

from . import faults
from .log import BLANK, NO_LABEL, Log


class Ring(Log):
    """`next` is the number of the next entry, `oldest` that of the oldest held. Numbers go up by one and never restart.

    Entries of another size or label (`append(entry, label)`) go into sectors of their own; `shape_of` tells which an entry has.
    """

    def __init__(self, nor, first_sector, sectors, size, label=NO_LABEL, wrap=True, found=None, numbered=False):
        self._wraps = wrap
        self._known = self._from = self._to = 0
        self._checked = 0
        super().__init__(nor, first_sector, sectors, size, label, found, numbered)
        self._find_oldest()

    @property
    def capacity(self):
        """Entries of the present size that are held for certain: one sector is being filled, one is erased ahead."""
        return (self._sectors - 2 * self._wraps) * self._per_sector

    @property
    def room(self):
        """Entries that can still be appended with `wrap=False`."""
        return max(self._per_sector - self._slot, 0) + (self._sectors - 1 - self._current) * self._per_sector

    def begin(self, sequence):
        """Let numbers go on from `sequence` on, if they have not come that far."""
        if sequence > self.next:
            self.next = sequence
            self._find_oldest()

    def read_into(self, sequence, buffer):
        """Copy entry `sequence` into the whole of `buffer`; False if it is not held or cannot be read."""
        sector = self._sector_of(sequence)
        if sector < 0:
            return False
        for number in range(sequence - self._firsts[sector], self._count(sector)):
            found = self._load(sector, number)
            if found == sequence:
                buffer[:] = self._payload(sector)
                self._loaded = None
                return True
            if found == BLANK or found > sequence:
                break
        self.faults.report(faults.LOST, self._at + sector)
        return False

    def shape_of(self, sequence):
        """`(size, label, end)` of entry `sequence`, the same for all up to `end`; None if it is not held."""
        sector = self._sector_of(sequence)
        if sector < 0:
            return None
        head = self._head(sector)
        return head and (head[0], head[1], self._to)

    def check(self):
        """Read one more slot and one more entry, in turn: damage is reported."""
        super().check()
        if not self.oldest <= self._checked < self.next:
            self._checked = self.oldest
        sector = self._sector_of(self._checked)
        if sector >= 0:
            self.read_into(self._checked, bytearray(self._sizes[sector]))
        self._checked += 1

    def _sector_of(self, sequence):
        if not self.oldest <= sequence < self.next:
            return -1
        if not self._from <= sequence < self._to:
            firsts = self._firsts
            self._from, self._to = -1, self.next
            for sector in range(self._sectors):
                first = firsts[sector]
                if self._from < first <= sequence:
                    self._known, self._from = sector, first
                elif sequence < first < self._to:
                    self._to = first
        return self._known

    def _may_erase(self, sector):
        return self._wraps or (self._firsts[sector] < 0 and sector > self._current)

    def _erased(self, sector):
        self._find_oldest()

    def _find_oldest(self):
        self._to = 0
        held = [first for first in self._firsts if first >= 0]
        self.oldest = min(held) if held else self.next
