"""Interval records: built from the integrator's bytes, chained, kept in a ring."""

from protocol import records

from .integrator import ACCUMULATOR_LIMBS, INCREMENT_LIMBS, INDEX_LIMBS


class RamRing:
    """A ring (`store.ring.Ring`) without flash: the newest `capacity` records in memory."""

    def __init__(self, size, capacity, first=0):
        self.size = size
        self.capacity = capacity
        self.next = first
        self._entries = []

    @property
    def oldest(self):
        """Sequence number of the oldest record held; `next` when there is none."""
        return self.next - len(self._entries)

    def append(self, record, label):
        """Keep `record`, dropping the oldest when full."""
        if len(self._entries) == self.capacity:
            self._entries.pop(0)
        self._entries.append((label, bytes(record)))
        self.next += 1
        return True

    def shape_of(self, sequence):
        """`(size, label, end)` of record `sequence`, the same for all up to `end`; None if it is not held."""
        if not self.oldest <= sequence < self.next:
            return None
        label, record = self._entries[sequence - self.oldest]
        return len(record), label, sequence + 1

    def read_into(self, sequence, buffer):
        """Copy record `sequence` into `buffer`; False if it is not held."""
        if not self.oldest <= sequence < self.next:
            return False
        buffer[:] = self._entries[sequence - self.oldest][1]
        return True


class RecordWriter:
    """Writes the record of an interval from the integrator's state and extends the chain."""

    def __init__(self, image, integrator, ring, head=records.CHAIN_START):
        self.shape = (len(image.channels), len(image.conditions), len(image.registers))
        self.label = bytes(self.shape) + bytes(1)
        self.buffer = bytearray(records.size(*self.shape))
        self._view = memoryview(self.buffer)
        self._integrator = integrator
        self._tag = image.fingerprint[: records.TAG_SIZE]
        self.ring = ring
        self.head = head

    def write(self, start, duration, status, conditions):
        """Append the record of `duration` seconds from `start` (UNIX seconds); `conditions` are (low, high) pairs.

        Once it is kept, so are the registers in it. False if it was not: the chain then goes on without it.
        """
        view = self._view
        integrator = self._integrator
        source = integrator.bytes
        at = records.HEAD.pack_into(self.buffer, 0, self.ring.next, start, duration, status, self._tag)
        for n in range(integrator.channels):
            increment = 2 * (integrator.increments_at + INCREMENT_LIMBS * n)
            index = 2 * INDEX_LIMBS * n
            view[at : at + 4] = source[increment : increment + 4]
            view[at + 4 : at + 12] = source[index : index + 8]
            at += records.CHANNEL_SIZE
        for low, high in conditions:
            view[at : at + 4] = low.to_bytes(4, "little")
            view[at + 4 : at + 8] = high.to_bytes(4, "little")
            at += records.CONDITION_SIZE
        first = 2 * integrator.accumulators_at
        size = 2 * ACCUMULATOR_LIMBS * self.shape[2]
        view[at : at + size] = source[first : first + size]
        head = records.chain(self.head, self.buffer)
        view[at + size :] = head[: records.LINK_SIZE]
        kept = self.ring.append(view, self.label)
        if kept:
            self.head = head
        for n in range(2 * integrator.increments_at, len(source)):
            source[n] = 0
        return kept
