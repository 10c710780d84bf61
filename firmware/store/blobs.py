"""Profiles and tables in flash: slots of a few sectors, filled in order, kept by a mark, resumed after a power cut.

A slot's first page has three marks, each a `slot` of its own: HEAD when a blob is begun, KEPT when it is whole and accepted,
ENDED when the last record that it governs is written. Data follow, a page a chunk. A chunk torn by a power cut is programmed
again with the same bytes: the digest says that they are the same.
"""

import struct

from . import faults, slot

SLOT_SECTORS = 3
_HEAD = "<BI32s"
_HEAD_SIZE = 37
_MARK_SIZE = 4
_KEPT_AT = 64
_ENDED_AT = 96
_NEVER = -1


class Full(Exception):
    """Every slot holds a blob that is still needed."""


class Blobs:
    """Blobs by kind and tag (the first 8 bytes of their SHA-256), and the one on its way: `kind`, `size`, `received`, `digest`.

    `needed(slot)` says whether what a kept slot holds may not be overwritten; slots have `kind`, `tag`, `order` and `ended`.
    """

    def __init__(self, nor, first_sector, sectors, found, needed):
        self._nor = nor
        self._faults = found
        self._needed = needed
        self._chunk = nor.page_size - slot.OVERHEAD
        self._page = memoryview(bytearray(nor.page_size))
        self._filling = memoryview(bytearray(nor.page_size))
        self._incoming = None
        self.slots = [Slot(first_sector + n) for n in range(0, sectors - SLOT_SECTORS + 1, SLOT_SECTORS)]
        self.largest = (SLOT_SECTORS * nor.sector_size // nor.page_size - 1) * self._chunk
        self._forget()
        for one in self.slots:
            self._look(one)
            if one.kind and one.order == _NEVER:
                self._resume(one)

    def begin(self, kind, size, digest):
        """Expect a blob; going on with the one that was begun if it is the same. Raises Full."""
        if self._incoming and (kind, size, digest) == (self.kind, self.size, self.digest):
            return
        one = self._incoming or self._free()
        self._erase(one)
        one.kind, one.size, one.digest = kind, size, bytes(digest)
        self._mark(one, 0, struct.pack(_HEAD, kind, size, digest))
        self._take(one)

    def write(self, data):
        """Append `data`, which fits."""
        page = self._filling
        at = 0
        while at < len(data):
            filled = self.received % self._chunk
            if not filled:
                page[:] = b"\xff" * len(page)
            part = min(self._chunk - filled, len(data) - at)
            page[slot.HEAD + filled : slot.HEAD + filled + part] = data[at : at + part]
            self.received += part
            at += part
            if filled + part == self._chunk or self.received == self.size:
                number = (self.received - 1) // self._chunk
                struct.pack_into("<I", page, 0, number)
                slot.seal(page, slot.HEAD + self._chunk)
                self._program(self._incoming, self._chunk_at(self._incoming, number), page)

    def complete(self):
        """The blob that has come in whole, or None."""
        return self._data(self._incoming) if self._incoming and self.received == self.size else None

    def drop(self):
        """Forget what is on its way."""
        if self._incoming:
            self._void(self._incoming)
        self._forget()

    def keep(self):
        """Keep what has come in whole. It is kept once this returns."""
        one = self._incoming
        order = 1 + max([other.order for other in self.slots])
        self._mark(one, _KEPT_AT, struct.pack("<I", order))
        one.order = order
        self._forget()
        return one

    def end(self, one, last):
        """Record `last` is the last that the blob in slot `one` governs."""
        if one.ended == _NEVER:
            one.ended = last
            at = one.sector * self._nor.sector_size + _ENDED_AT
            blank = bytearray(_MARK_SIZE + slot.TRAIL)
            self._nor.read_into(at, blank)
            if blank == b"\xff" * len(blank):  # a mark torn by a power cut stays as it is
                self._mark(one, _ENDED_AT, struct.pack("<I", last))

    def find(self, kind, tag):
        """The slot that keeps a blob, the newest of two alike, or None."""
        best = None
        for one in self.slots:
            if one.order != _NEVER and one.kind == kind and one.tag == tag and (best is None or one.order > best.order):
                best = one
        return best

    def read(self, kind, tag):
        """A kept blob, or None if there is none that can be read."""
        one = self.find(kind, tag)
        return None if one is None else self._data(one)

    # Slots

    def _free(self):
        best = None
        for one in self.slots:
            if one.worn:
                continue
            if not one.kind:
                return one
            if not self._needed(one) and (best is None or one.order < best.order):
                best = one
        if best is None:
            raise Full()
        return best

    def _void(self, one):
        """Make a slot's head unreadable: whatever a power cut leaves of the erase that follows is not taken for a blob."""
        self._nor.program(one.sector * self._nor.sector_size, bytes(_HEAD_SIZE + slot.TRAIL))
        one.clear()

    def _erase(self, one):
        self._void(one)
        for sector in range(one.sector, one.sector + SLOT_SECTORS):
            self._nor.erase(sector)

    def _forget(self):
        self._incoming = None
        self.kind = self.size = self.received = 0
        self.digest = bytes(32)

    def _take(self, one):
        self._incoming = one
        self.kind, self.size, self.digest = one.kind, one.size, one.digest
        self.received = 0

    def _resume(self, one):
        """Find how much of a blob had come in: the chunks before the first that is not whole."""
        if self._incoming:
            return
        self._take(one)
        for number in range((one.size + self._chunk - 1) // self._chunk):
            if not self._load_chunk(one, number):
                return
            self.received = min(one.size, (number + 1) * self._chunk)

    # Marks and chunks

    def _look(self, one):
        head = self._read_mark(one, 0, _HEAD_SIZE)
        if head is None:
            return
        one.kind, one.size, one.digest = struct.unpack(_HEAD, head)
        for at in (_KEPT_AT, _ENDED_AT):
            mark = self._read_mark(one, at, _MARK_SIZE)
            if mark is not None:
                value = struct.unpack("<I", mark)[0]
                if at == _KEPT_AT:
                    one.order = value
                else:
                    one.ended = value

    def _mark(self, one, at, payload):
        view = memoryview(bytearray(len(payload) + slot.TRAIL))
        view[: len(payload)] = payload
        slot.seal(view, len(payload))
        self._program(one, one.sector * self._nor.sector_size + at, view)

    def _read_mark(self, one, at, size):
        view = memoryview(bytearray(size + slot.TRAIL))
        self._nor.read_into(one.sector * self._nor.sector_size + at, view)
        state = slot.check(view, size)
        if state == slot.BAD:
            return None
        if state == slot.REPAIRED:
            self._faults.report(faults.DAMAGED, one.sector)
        return bytes(view[:size])

    def _program(self, one, at, data):
        self._nor.program(at, data)
        found = bytearray(len(data))
        self._nor.read_into(at, found)
        if found != data:
            one.worn = True
            self._faults.report(faults.WORN, one.sector)

    def _load_chunk(self, one, number):
        self._nor.read_into(self._chunk_at(one, number), self._page)
        state = slot.check(self._page, slot.HEAD + self._chunk)
        if state == slot.REPAIRED:
            self._faults.report(faults.DAMAGED, one.sector)
        return state != slot.BAD and struct.unpack_from("<I", self._page, 0)[0] == number

    def _chunk_at(self, one, number):
        return one.sector * self._nor.sector_size + (number + 1) * self._nor.page_size

    def _data(self, one):
        data = bytearray(one.size)
        for at in range(0, one.size, self._chunk):
            if not self._load_chunk(one, at // self._chunk):
                self._faults.report(faults.LOST, one.sector)
                return None
            part = min(self._chunk, one.size - at)
            data[at : at + part] = self._page[slot.HEAD : slot.HEAD + part]
        return data


class Slot:
    """What one slot holds: `kind` 0 for nothing, `order` and `ended` -1 while it has no such mark."""

    def __init__(self, sector):
        self.sector = sector
        self.worn = False
        self.clear()

    def clear(self):
        """Nothing is held."""
        self.kind = self.size = 0
        self.order = self.ended = _NEVER
        self.digest = bytes(32)

    @property
    def tag(self):
        return self.digest[:8]
