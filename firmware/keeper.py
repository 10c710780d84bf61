"""What a meter brings over a power cut: commits of its registers, and everything put back at power-up.

A commit is one slot of the registers' journal. An interval record is a commit of its own: it holds every register, and the
journal says which record is to follow, so at power-up the records behind the journal's state are taken over, each once.
docs/store.md has the invariant.
"""

from protocol import events, messages, records
from protocol import status as flags
from protocol.image import Image, ImageError
from protocol.intensities import Intensities
from protocol.layout import Layout

from .integrator import ACCUMULATOR_LIMBS, INDEX_LIMBS
from .meter import Unfit
from .store.blobs import Blobs

FORMAT = 1
STATE = Layout("format/u8 flags/u8 profile/b8 record/u32 start/u32/s now/u32/s status/u16 power_ups/u32 head/b32")
"""Then the integrator's bytes and a (low, high) pair u32 for each condition. `record` is the sequence number of the next record,
`head` the chain's head before it; the running interval began at `start`, and the clock showed `now`."""
PAIR = Layout("low/u32 high/u32")
CLOCK_VALID = 1
COUNTED = 2
RECORDS_AHEAD = 8
"""Records that may be written before the journal is, too: what power-up has to read again."""

NO_STATE = 1
NO_PROFILE = 2
BROKEN_CHAIN = 3
REGISTER_WENT_DOWN = 4


class Keeper:
    """Puts back what `store` kept, then commits on the policy of the profile. `image` governs a meter that is new.

    `make_meter(image)` makes the meter; it is `meter` from then on. While `trusted` is False nothing is committed: what is in
    flash does not fit together, the meter counts from zero as not valid, and the flash stays as it is.
    """

    def __init__(self, store, image, make_meter, reset=0):
        self.store = store
        self.trusted = True
        self.differs = None
        self._tables = {}
        self._jumps = {}
        self._failed = []
        first, sectors = store.regions["blobs"]
        self.blobs = Blobs(store.nor, first, sectors, store.faults, self._needed)
        kept = store.registers.latest
        self._known = STATE.unpack_from(kept) if kept else None
        self.meter = meter = make_meter(self._governing(image))
        self.power_ups = 1
        self._record = 0
        self._view = memoryview(b"")
        meter.records.ring.reshape(len(meter.records.buffer), meter.records.label)
        self._restore(kept)
        self._start(reset)

    # Commits

    def commit(self):
        """Keep the registers as they are now: one flash program."""
        meter = self.meter
        writer = meter.records
        conditions = meter.conditions
        integrator = meter.integrator
        size = STATE.size + len(integrator.bytes) + records.CONDITION_SIZE * len(conditions.low)
        if len(self._view) != size:
            self._view = memoryview(bytearray(size))
        view = self._view
        now = meter.clock.time()
        bits = CLOCK_VALID if meter.clock.valid else 0
        if conditions.extremes:
            bits |= COUNTED
        values = (writer.ring.next, meter.start, now, meter.status, self.power_ups, writer.head)
        STATE.pack_into(view, 0, FORMAT, bits, meter.image.fingerprint[: records.TAG_SIZE], *values)
        at = STATE.size + len(integrator.bytes)
        view[STATE.size : at] = integrator.bytes
        for low, high in zip(conditions.low, conditions.high):
            view[at : at + 4] = low.to_bytes(4, "little")
            view[at + 4 : at + 8] = high.to_bytes(4, "little")
            at += records.CONDITION_SIZE
        if self.store.registers.append(view):
            meter.uncommitted = 0
            meter.committed = meter.clock.uptime
            self._record = writer.ring.next
        else:
            meter.status |= flags.STORAGE_FAULT

    def down(self, kind):
        """Power is going, `kind` of `protocol.events` says how: commit first, then log it."""
        if self.trusted:
            self.commit()
        self.store.events.log(kind)

    def step(self):
        """A little of what can wait: faults told, a sector erased ahead. True if it took a moment; else one slot was checked."""
        self.tell_faults()
        self.tell_jumps()
        if self.store.prepare():
            return True
        ring = self.meter.records.ring
        if self.trusted and ring.next - self._record >= RECORDS_AHEAD:
            self.commit()
            return True
        self.store.check()
        return False

    def prepare(self):
        """Erase ahead of time what is due: for a board that takes in more between two steps than a sector holds."""
        self.store.registers.prepare()
        self.meter.records.ring.prepare()

    def tell_faults(self):
        """Make a flag and events of the flash's faults."""
        waiting = self.store.faults.waiting
        while waiting:
            code, sector = waiting.pop(0)
            self.meter.status |= flags.STORAGE_FAULT
            self.store.events.log(events.STORAGE_FAULT, 0, 0, sector, code)

    def tell_jumps(self):
        """Make events of external counters that were reset or jumped: a driver that follows one counts them in `jumps`."""
        for n, driver in enumerate(self.meter.drivers):
            jumps = getattr(driver, "jumps", 0)
            if jumps != self._jumps.get(n, 0):
                self.store.events.log(events.COUNTER_JUMP, 0, self._jumps.get(n, 0), jumps, n)
                self._jumps[n] = jumps

    # Profiles and tables

    def accept_profile(self, image):
        """Keep the profile that has come in; it takes over when the interval ends: that UNIX second. Raises Unfit, Refusal."""
        log = self.store.events
        log.require_room(2)
        channel = self.differs(image) if self.differs else -1
        if channel >= 0:
            raise Unfit(channel)
        before = self.meter.image.fingerprint
        effective = self.meter.propose(image)
        self.blobs.keep()
        log.log(events.PROFILE_ACCEPTED, log.actor, before, image.fingerprint)
        return effective

    def accept_intensities(self, table):
        """Keep the table that has come in; it holds from the next interval on: that UNIX second. Raises Unfit."""
        effective = self.meter.push(table)
        one = self.blobs.keep()
        self._tables[table.condition] = one
        log = self.store.events
        log.log(events.INTENSITIES, log.actor, 0, one.tag, table.condition)
        return effective

    def _needed(self, one):
        if one.kind != messages.PROFILE:
            return one in self._tables.values()
        meter = self.meter
        if one.tag == meter.image.fingerprint[: records.TAG_SIZE]:
            return True
        if meter.next and one.tag == meter.next.fingerprint[: records.TAG_SIZE]:
            return True
        ring = meter.records.ring
        self.blobs.end(one, max(ring.next, 1) - 1)
        return one.ended >= ring.oldest

    # Power-up

    def _governing(self, image):
        """The profile that the kept registers are of, or `image` for a meter that has none."""
        tag = self._known[2] if self._known else self._tag_of_newest_record()
        if tag is None:
            return image
        data = self.blobs.read(messages.PROFILE, tag)
        if data is None and tag == image.fingerprint[: records.TAG_SIZE]:
            data = image.data
        try:
            if data is not None:
                found = Image(data)
                if found.fingerprint[: records.TAG_SIZE] == tag:
                    return found
        except ImageError:
            pass
        self._distrust(NO_PROFILE)
        return image

    def _tag_of_newest_record(self):
        record = self._newest_record()
        if record is None:
            return None
        self._failed.append((NO_STATE, 0, self.store.records.next))
        return records.HEAD.unpack_from(record)[4]

    def _newest_record(self):
        ring = self.store.records
        for sequence in range(ring.next - 1, ring.oldest - 1, -1):
            record = self._read_record(sequence)
            if record is not None:
                return record
        return None

    def _read_record(self, sequence):
        shape = self.store.records.shape_of(sequence)
        record = bytearray(shape[0]) if shape else None
        return record if shape and self.store.records.read_into(sequence, record) else None

    def _distrust(self, check):
        self.trusted = False
        self._failed.append((check, 0, 0))

    def _restore(self, kept):
        meter = self.meter
        ring = meter.records.ring
        if not self.trusted:
            meter.status |= flags.NOT_VALID
            return
        self._find_next()
        if kept is None:
            record = self._newest_record()
            if record is None:
                self._keep_image()
                return
            start = self._adopt(record)
            meter.resume(start, start, True, 0, None)
            return
        _, bits, _, first, start, now, status, power_ups, head = self._known
        integrator = meter.integrator
        at = STATE.size + len(integrator.bytes)
        conditions = len(meter.image.conditions)
        if len(kept) != at + records.CONDITION_SIZE * conditions:
            self._distrust(NO_STATE)
            meter.status |= flags.NOT_VALID
            return
        integrator.bytes[:] = kept[STATE.size : at]
        meter.records.head = head
        self.power_ups = power_ups + 1
        ring.begin(first)
        pairs = None
        if bits & COUNTED:
            pairs = [PAIR.unpack_from(kept, at + PAIR.size * n) for n in range(conditions)]
        for sequence in range(first, ring.next):
            record = self._read_record(sequence)
            if record is not None:
                start = self._adopt(record)
                pairs = None
                status = 0
                now = max(now, start)
        meter.resume(start, now, bool(bits & CLOCK_VALID), status, pairs)

    def _adopt(self, record):
        """Take over the registers of a record that was written after the journal was; the UNIX second of its end."""
        meter = self.meter
        _, start, duration, status, tag = records.HEAD.unpack_from(record)
        integrator = meter.integrator
        if tag != meter.image.fingerprint[: records.TAG_SIZE] or len(record) != len(meter.records.buffer):
            self._failed.append((NO_PROFILE, 0, 0))
            return start + duration
        head = records.chain(meter.records.head, record)
        if head[: records.LINK_SIZE] != record[-records.LINK_SIZE :]:
            self._failed.append((BROKEN_CHAIN, 0, 0))
        meter.records.head = head
        channels = len(meter.image.channels)
        before = bytes(integrator.bytes)
        at = records.HEAD.size
        for n in range(channels):
            index = 2 * INDEX_LIMBS * n
            integrator.bytes[index : index + 8] = record[at + 4 : at + 12]
            at += records.CHANNEL_SIZE
        at += records.CONDITION_SIZE * len(meter.image.conditions)
        first = 2 * integrator.accumulators_at
        end = 2 * integrator.increments_at
        integrator.bytes[first:end] = record[at : at + end - first]
        integrator.bytes[end:] = bytes(len(before) - end)
        if self._went_down(before, integrator):
            self._failed.append((REGISTER_WENT_DOWN, 0, 0))
            integrator.bytes[:end] = before[:end]
        if status & flags.PROFILE_CHANGED and meter.next:
            meter.switch()
        return start + duration

    def _went_down(self, before, integrator):
        ends = [2 * INDEX_LIMBS * (n + 1) for n in range(integrator.channels)]
        ends += range(ends[-1] + 2 * ACCUMULATOR_LIMBS, 2 * integrator.increments_at + 1, 2 * ACCUMULATOR_LIMBS)
        at = 0
        for end in ends:
            if int.from_bytes(bytes(integrator.bytes[at:end]), "little") < int.from_bytes(before[at:end], "little"):
                return True
            at = end
        return False

    def _find_next(self):
        """The profile accepted after the one that governs is to follow it; the newest table of a condition holds."""
        meter = self.meter
        tag = meter.image.fingerprint[: records.TAG_SIZE]
        active = self.blobs.find(messages.PROFILE, tag)
        newest = None
        for one in sorted(self.blobs.slots, key=lambda one: one.order):
            if one.order < 0:
                continue
            if one.kind == messages.PROFILE and active and one.order > active.order:
                newest = one
            elif one.kind == messages.INTENSITIES:
                self._load_table(one)
        if newest:
            data = self.blobs.read(messages.PROFILE, newest.tag)
            try:
                if data is not None:
                    meter.next = Image(data)
            except ImageError:
                pass

    def _load_table(self, one):
        data = self.blobs.read(one.kind, one.tag)
        try:
            if data is not None:
                table = Intensities(data)
                self.meter.push(table)
                self._tables[table.condition] = one
        except (ImageError, Unfit):
            pass

    def _keep_image(self):
        """Keep the profile that a new meter starts with."""
        image = self.meter.image
        if self.blobs.find(messages.PROFILE, image.fingerprint[: records.TAG_SIZE]):
            return
        self.blobs.begin(messages.PROFILE, len(image.data), image.fingerprint)
        self.blobs.write(image.data)
        self.blobs.keep()

    def _start(self, reset):
        meter = self.meter
        log = self.store.events
        log.meter = meter
        meter.reset = reset
        known = self._known[5] if self._known else 0
        if self.trusted:
            self.commit()
            meter.keep = self.commit
        log.log(events.POWER_UP, 0, known, self.power_ups, reset)
        if reset == events.RESET_WATCHDOG:
            log.log(events.WATCHDOG)
        for check, expected, found in self._failed:
            meter.status |= flags.STORAGE_FAULT
            log.log(events.SELF_CHECK_FAILED, 0, expected, found, check)
        self.tell_faults()
