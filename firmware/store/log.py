"""An append-only log over some sectors of flash: what `journal` and `ring` share.

A sector begins with two copies of its header and a word that is programmed before the sector is erased; slots follow, none
across a page if it fits into one. Only a finished erase gets a header, so a sector whose erase was cut is known as such.
"""

import binascii
import struct
from array import array

from . import faults, slot

MAGIC = b"TS"
NO_LABEL = bytes(4)
BLANK = -2
UNREADABLE = -1
_HEADER = "<2sH4sI"
_COPY = 12
_RETIRED_AT = 2 * _COPY
HEADER = 28
TRIES = 3
"""Slots of one sector that may fail to take a program before the sector counts as worn."""


def slots(sector_size, page_size, whole):
    """Slots of `whole` bytes in a sector."""
    if whole > page_size:
        return (sector_size - HEADER) // whole
    return (page_size - HEADER) // whole + (sector_size // page_size - 1) * (page_size // whole)


class Log:
    """Slots with ascending sequence numbers in `sectors` sectors from `first_sector` on; `next` is the number of the next.

    `size` and `label` (four bytes, the owner's) hold for the sectors begun from now on. Two sectors at least. Payloads that are
    `numbered` begin with their own sequence number, u32, which is then not written twice.
    """

    def __init__(self, nor, first_sector, sectors, size, label=NO_LABEL, found=None, numbered=False):
        if sectors < 2:
            raise ValueError("a log takes two sectors at least, got %d" % sectors)
        self.faults = found or faults.Faults()
        self.torn = 0
        self.next = 0
        self._head_size = 0 if numbered else slot.HEAD
        self._overhead = self._head_size + slot.TRAIL
        self.late = 0
        self.programs = 0
        self.erases = 0
        self._nor = nor
        self._at = first_sector
        self._sectors = sectors
        self._firsts = array("i", [-1] * sectors)
        self._sizes = array("H", bytes(2 * sectors))
        self._header = bytearray(HEADER)
        self._views = {}
        self._loaded = None
        self._checking = (0, 0)
        self._current = -1
        self._slot = 0
        self._spare = -1
        self._resize(size, label)
        self._mount()

    @property
    def ready(self):
        """Whether the sector after the present one is erased."""
        return self._spare >= 0

    def prepare(self):
        """Erase the next sector ahead of time, unless that is done; True if this took a moment."""
        if self._spare >= 0:
            return False
        self._spare = self._find_spare()
        return self._spare >= 0

    def append(self, payload, label=None):
        """Keep `payload` in one program; False if no sector takes it. It is kept once this returns."""
        if label is None:
            label = self.label
        if len(payload) != self.size or label != self.label:
            self.reshape(len(payload), label)
        view, found, blank = self._room(self.size)
        end = self._head_size + self.size
        view[self._head_size : end] = payload
        struct.pack_into("<I", view, 0, self.next)
        slot.seal(view, end)
        failed = 0
        while self._seek(found, blank):
            at = self._place(self._current, self._slot)
            self._slot += 1
            self._nor.program(at, view)
            self.programs += 1
            self._nor.read_into(at, found)
            if found == view:
                if self._firsts[self._current] < 0:
                    self._firsts[self._current] = self.next
                self.next += 1
                self._newest(payload)
                return True
            self.faults.report(faults.WORN, self._at + self._current)
            failed += 1
            if failed == TRIES:
                failed = 0
                self._slot = self._per_sector
        self.faults.report(faults.FULL, self._at)
        return False

    def check(self):
        """Read one more slot, in turn: a flipped bit is reported."""
        sector, number = self._checking
        if self._firsts[sector] >= 0 and number < self._count(sector):
            if not number and not (self._head(sector) or (0, b"", False))[2]:
                self.faults.report(faults.DAMAGED, self._at + sector)
            self._load(sector, number)
            self._loaded = None
            self._checking = (sector, number + 1)
        else:
            self._checking = ((sector + 1) % self._sectors, 0)

    def reshape(self, size, label=NO_LABEL):
        """Let sectors begun from now on have payloads of `size` bytes and this label."""
        self._resize(size, label)
        self._settle()

    # Where the next slot goes

    def _resize(self, size, label):
        self.size = size
        self.label = bytes(label)
        self._per_sector = slots(self._nor.sector_size, self._nor.page_size, size + self._overhead)
        if not self._per_sector:
            raise ValueError("a payload of %d bytes does not fit a sector" % size)
        self._current_fits = False
        self._spare = -1

    def _room(self, size):
        """Views of a slot for payloads of `size` bytes: to write from, to read into, and a blank one. One larger than a page
        (a statement) is made anew each time, and kept no longer than it takes."""
        if size in self._views:
            return self._views[size]
        whole = size + self._overhead
        if whole > self._nor.page_size:
            return memoryview(bytearray(whole)), memoryview(bytearray(whole)), memoryview(b"\xff" * whole)
        self._views[size] = views = tuple([view[:whole] for view in self._nor.scratch])
        return views

    def _place(self, sector, number):
        """Address of slot `number` of a sector, by the sector's own payload size."""
        nor = self._nor
        whole = self._sizes[sector] + self._overhead
        start = (self._at + sector) * nor.sector_size
        page = nor.page_size
        if whole > page:
            return start + HEADER + number * whole
        head = (page - HEADER) // whole
        if number < head:
            return start + HEADER + number * whole
        number -= head
        per_page = page // whole
        return start + page * (1 + number // per_page) + number % per_page * whole

    def _seek(self, found, blank):
        """Stand before a blank slot, in a new sector if need be; False if there is none."""
        while self._current >= 0 and self._current_fits and self._slot < self._per_sector:
            self._nor.read_into(self._place(self._current, self._slot), found)
            if found == blank:
                return True
            self._slot += 1
        if self._spare < 0:
            self.late += 1
            self._spare = self._find_spare()
            if self._spare < 0:
                return False
        self._current = self._spare
        self._slot = 0
        self._spare = -1
        self._current_fits = True
        return True

    def _find_spare(self):
        """Erase the next sector that may be; its number, or -1. The present sector is never touched."""
        for step in range(1, self._sectors + (self._current < 0)):
            sector = (self._current + step) % self._sectors
            if self._may_erase(sector) and self._clear(sector):
                return sector
        return -1

    def _may_erase(self, sector):
        return True

    def _clear(self, sector):
        """Retire, erase and head a sector; False if it does not take that."""
        nor = self._nor
        start = (self._at + sector) * nor.sector_size
        self._firsts[sector] = -1
        self._sizes[sector] = 0
        nor.program(start + _RETIRED_AT, bytes(4))
        nor.erase(self._at + sector)
        self.erases += 1
        self._erased(sector)
        copy = bytearray(_COPY)
        struct.pack_into("<2sH4s", copy, 0, MAGIC, self.size, self.label)
        struct.pack_into("<I", copy, _COPY - 4, binascii.crc32(memoryview(copy)[: _COPY - 4]))
        nor.program(start, copy + copy)
        if self._is_blank_behind_header(start) and self._head(sector) == (self.size, self.label, True):
            self._sizes[sector] = self.size
            return True
        self.faults.report(faults.WORN, self._at + sector)
        return False

    def _is_blank_behind_header(self, start):
        nor = self._nor
        _, page, blank = nor.scratch
        for at in range(start, start + nor.sector_size, nor.page_size):
            nor.read_into(at, page)
            skip = _RETIRED_AT if at == start else 0
            if page[skip:] != blank[skip:]:
                return False
        return True

    def _erased(self, sector):
        """Sector has lost what it held."""

    # What is there at power-up

    def _mount(self):
        self._survey()
        newest = self._newest_sector()
        while newest >= 0 and not self._walk(newest):
            self._firsts[newest] = -1
            newest = self._newest_sector()
        self._current = newest
        self._settle()
        following = (newest + 1) % self._sectors
        for sector in range(self._sectors if newest >= 0 else 0):
            if sector != following and not self._sizes[sector] and self._holds_something(sector):
                self.faults.report(faults.LOST, self._at + sector)

    def _settle(self):
        """See whether the present sector is of the present shape, and whether the one after it is erased and is, too."""
        head = self._head(self._current) if self._current >= 0 else None
        self._current_fits = head is not None and head[:2] == (self.size, self.label)
        following = (self._current + 1) % self._sectors
        whole = self._head(following) == (self.size, self.label, True)
        if whole and self._sizes[following] and self._load(following, 0) == BLANK:
            self._spare = following
        self._loaded = None

    def _survey(self):
        """Find each sector's payload size and first sequence number.

        A sector whose header is that of the one before and whose first number is the one to follow needs no closer look.
        """
        read_into = self._nor.read_into
        sizes, firsts = self._sizes, self._firsts
        header = self._header
        known = bytearray(HEADER)
        blank = b"\xff" * HEADER
        sequence = bytearray(slot.HEAD)
        following = b""
        expected = count = size = offset = 0
        step = self._nor.sector_size
        start = (self._at - 1) * step
        for sector in range(self._sectors):
            start += step
            read_into(start, header)
            if header == known:
                read_into(start + offset, sequence)
                if sequence == following:
                    sizes[sector] = size
                    firsts[sector] = expected
                    expected += count
                    following = expected.to_bytes(slot.HEAD, "little")
                    continue
            following = b""
            if header == blank:
                continue
            head = self._head(sector)
            if head:
                sizes[sector] = head[0]
                first = firsts[sector] = self._first_of(sector)
                if first >= 0:
                    if head[2]:
                        known[:] = header
                    else:
                        self.faults.report(faults.DAMAGED, self._at + sector)
                    size = head[0]
                    offset = self._place(sector, 0) - start
                    count = self._count(sector)
                    expected = first + count
                    following = expected.to_bytes(slot.HEAD, "little")

    def _newest_sector(self):
        newest = max(self._firsts)
        return -1 if newest < 0 else list(self._firsts).index(newest)

    def _head(self, sector):
        """`(payload size, label, whether both copies hold)` of a sector in use, else None."""
        header = self._header
        self._nor.read_into((self._at + sector) * self._nor.sector_size, header)
        (retired,) = struct.unpack_from("<I", header, _RETIRED_AT)
        if _ones(retired) < 24:
            return None
        found = None
        for at in (0, _COPY):
            magic, size, label, crc = struct.unpack_from(_HEADER, header, at)
            if magic == MAGIC and binascii.crc32(memoryview(header)[at : at + _COPY - 4]) == crc:
                found = (size, label, found is not None and retired == 0xFFFFFFFF)
        return found

    def _holds_something(self, sector):
        """Whether a sector without a header is neither retired nor blank."""
        self._head(sector)
        return self._header[_RETIRED_AT:] == b"\xff\xff\xff\xff" and self._header[:_RETIRED_AT] != b"\xff" * _RETIRED_AT

    def _first_of(self, sector):
        """Sequence number of the first slot of a sector that can be read, or -1."""
        for number in range(self._count(sector)):
            sequence = self._load(sector, number)
            if sequence >= 0 or sequence == BLANK:
                return max(sequence, -1)
        return -1

    def _walk(self, sector):
        """Go through a sector for the newest slot and the first blank one; False if no slot can be read.

        A slot torn by a power cut was never kept: its number is that of the next one. Numbers that lack are slots lost.
        """
        bad = 0
        newest = last = -1
        load = self._load
        end = self._count(sector)
        for number in range(end):
            sequence = load(sector, number)
            if sequence >= 0:
                if bad and sequence != last + 1:
                    self.faults.report(faults.LOST, self._at + sector)
                bad = 0
                newest = number
                last = sequence
            elif sequence == BLANK:
                end = number
                break
            else:
                bad += 1
        self._slot = end
        self.torn = bad
        if newest < 0:
            return False
        self.next = last + 1
        self._load(sector, newest)
        self._newest(self._payload(sector))
        return True

    def _newest(self, payload):
        """The newest payload so far, a view that does not last."""

    def _count(self, sector):
        return slots(self._nor.sector_size, self._nor.page_size, self._sizes[sector] + self._overhead)

    def _load(self, sector, number):
        """Read a slot into its buffer: its sequence number, or BLANK, or UNREADABLE."""
        size = self._sizes[sector]
        _, view, blank = self._room(size)
        self._loaded = view
        self._nor.read_into(self._place(sector, number), view)
        state = slot.check(view, self._head_size + size)
        if state:
            if state == slot.BAD:
                return BLANK if view == blank else UNREADABLE
            self.faults.report(faults.DAMAGED, self._at + sector)
        return struct.unpack_from("<I", view, 0)[0]

    def _payload(self, sector):
        """The payload that `_load` has read."""
        return self._loaded[self._head_size : self._head_size + self._sizes[sector]]


def _ones(word):
    count = 0
    while word:
        word &= word - 1
        count += 1
    return count
