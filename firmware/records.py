"""Interval records: built from the integrator's bytes, chained, kept in a ring."""

from protocol import records

from .integrator import ACCUMULATOR_LIMBS, INCREMENT_LIMBS, INDEX_LIMBS


class RamRing:
    """The newest `capacity` records of `size` bytes, in memory. Sequence numbers go up by one and never restart."""

    def __init__(self, size, capacity, first=0):
        self.size = size
        self.capacity = capacity
        self._data = bytearray(size * capacity)
        self._view = memoryview(self._data)
        self._first = self.next = first

    @property
    def oldest(self):
        """Sequence number of the oldest record held; `next` when there is none."""
        return max(self._first, self.next - self.capacity)

    def append(self, record):
        """Keep `record`, dropping the oldest when full."""
        at = self.next % self.capacity * self.size
        self._view[at : at + self.size] = record
        self.next += 1

    def read_into(self, sequence, buffer):
        """Copy record `sequence` into `buffer`; False if it is not held."""
        if not self.oldest <= sequence < self.next:
            return False
        at = sequence % self.capacity * self.size
        buffer[:] = self._view[at : at + self.size]
        return True


class RecordWriter:
    """Writes the record of an interval from the integrator's state and extends the chain."""

    def __init__(self, image, integrator, ring, head=records.CHAIN_START):
        self.shape = (len(image.channels), len(image.conditions), len(image.registers))
        self.buffer = bytearray(records.size(*self.shape))
        self._view = memoryview(self.buffer)
        self._integrator = integrator
        self._tag = image.fingerprint[: records.TAG_SIZE]
        self.ring = ring
        self.head = head

    def write(self, start, duration, status, conditions):
        """Append the record of `duration` seconds from `start` (UNIX seconds); `conditions` are (low, high) pairs."""
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
        self.head = records.chain(self.head, self.buffer)
        view[at + size :] = self.head[: records.LINK_SIZE]
        self.ring.append(view)
        for n in range(2 * integrator.increments_at, len(source)):
            source[n] = 0
