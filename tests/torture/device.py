"""The torture itself, on the device: a meter at work on flash that is cut at every byte, booted, and held against a model.

Runs on MicroPython. Each step of the workload is done once on flash that logs its operations; then for every cut the flash
before the step and the operations up to the cut are put together, a meter boots on that, and must have what the model says.
"""

import gc
import hashlib
import struct

from firmware.clock import Clock
from firmware.keeper import Keeper
from firmware.meter import Meter, Unfit
from firmware.refusal import Refusal
from firmware.store.blobs import Full
from firmware.store.layout import MINIMUM, Store
from firmware.trust.kept import Keys
from protocol import events, messages, records
from protocol.image import Image
from protocol.intensities import Intensities, pack
from protocol.registers import GRAM_PER_WATT_HOUR

from .cutting import CuttingNor, PowerCut, scramble, torn

SECTOR, PAGE = 1024, 256
SIZE = (MINIMUM + 8) * SECTOR
START = 1767225600
CONFIGURATION_SIZE = 60
BLOCK = 400
ERASE_STEP = 16
RANDOM_ERASES = 16


class Pulses:
    """A pulse input."""

    waiting = 0

    def take(self, counts, at):
        counts[at] = self.waiting
        self.waiting = 0
        return 0


class Input:
    """A measured condition."""

    value = 101325


class Device:
    """A meter with everything that keeps, on `nor`, at UNIX second `time`."""

    def __init__(self, nor, time, image):
        self.ms = 0
        self.clock = Clock(lambda: self.ms, lambda later, sooner: later - sooner)
        self.clock.set(time)
        self.pulses = [Pulses() for _ in image.channels]
        self.input = Input()
        self.store = store = Store(nor, self.clock)
        self.keeper = Keeper(store, image, self._meter)
        self.keys = Keys(store.journal("keys", Keys.layout.size))
        self.configuration = store.journal("configuration", CONFIGURATION_SIZE)
        self.meter = self.keeper.meter

    def _meter(self, image):
        return Meter(
            image, self.clock, self.pulses, ("", "", 0, 1, 0, b""), [self.input], self.store.records, self.store.events
        )

    def registers(self):
        """Indices and accumulators as they are kept."""
        integrator = self.meter.integrator
        return bytes(integrator.bytes[: 2 * integrator.increments_at])

    def entry(self, ring, sequence):
        """Entry `sequence` of a ring, or None."""
        shape = ring.shape_of(sequence)
        buffer = bytearray(shape[0]) if shape else None
        return bytes(buffer) if shape and ring.read_into(sequence, buffer) else None


class Work:
    """The workload: `step()` does one thing; `points` are what it committed: (operations done by then, what, value)."""

    def __init__(self, images, seed, flash):
        self.images = images
        self.nor = CuttingNor(SIZE, SECTOR, PAGE, flash)
        self.device = Device(self.nor, START, images[0])
        self.points = []
        self.given = 0
        self.leaf = 0
        self._seed = seed
        self._blob = None
        self._kind = 0
        self._at = 0
        self._image = 0
        device = self.device
        self._watch(device.store.registers, "registers", lambda payload: device.registers())
        self._watch(device.store.records, "records", bytes)
        self._watch(device.store.records, "registers", lambda payload: device.registers())
        for log, ring in enumerate(device.store.events.rings):
            self._watch(ring, log, bytes)
        self._watch(device.keys._journal, "keys", bytes)
        self._watch(device.configuration, "configuration", bytes)
        keep = device.keeper.blobs.keep

        def kept():
            one = keep()
            self.points.append((self.nor.operations, "blobs", one.tag))
            return one

        device.keeper.blobs.keep = kept

    def _watch(self, log, what, value):
        append = log.append

        def watched(payload, label=None):
            done = append(payload) if label is None else append(payload, label)
            if done:
                self.points.append((self.nor.operations, what, value(payload)))
            return done

        log.append = watched

    def pick(self, count):
        """A number below `count`."""
        self._seed = scramble(self._seed)
        return (self._seed >> 7) % count

    def step(self):
        """Do one thing."""
        device = self.device
        log = device.store.events
        what = self.pick(100)
        if what < 40:
            count = 1 + self.pick(9)
            device.pulses[self.pick(2)].waiting += count
            self.given += count
            device.input.value = 70000 + self.pick(1100000)
            self._advance(1 + self.pick(40))
        elif what < 52:
            self._advance(900)
        elif what < 56:
            log.log(events.SEAL_OPENED, 2, self.pick(9), self.pick(9))
        elif what < 62:
            log.log(events.COUNTER_JUMP, 0, self.pick(9), self.pick(9), 1)
        elif what < 65:
            device.meter.set_clock(device.clock.time() + self.pick(2000))
        elif what < 73:
            device.keys.leaf = self.leaf + 1
            device.keys.save()
            self.leaf += 1
        elif what < 78:
            device.configuration.append(bytes([self.pick(256)]) * CONFIGURATION_SIZE)
        elif what < 86:
            self._move_blob()
        elif what < 98:
            device.keeper.step()
        else:
            device.meter.sample()
            device.keeper.down(events.BROWN_OUT)

    def _advance(self, seconds):
        self.device.ms += 1000 * seconds
        self.device.meter.sample()

    def _move_blob(self):
        """Begin a blob, send a block of it, or commit it; profiles and tables of intensities by turns."""
        keeper = self.device.keeper
        if self._blob is None:
            if self.pick(3):
                self._image = min(self._image + 1, len(self.images) - 1)
                self._kind, self._blob = messages.PROFILE, bytes(self.images[self._image].data)
            else:
                self._kind = messages.INTENSITIES
                self._blob = pack(1, GRAM_PER_WATT_HOUR, -6, START, 3600, [self.pick(1000)] * 100)
            self._at = 0
            try:
                keeper.blobs.begin(self._kind, len(self._blob), hashlib.sha256(self._blob).digest())
            except Full:
                self._blob = None
        elif self._at < len(self._blob):
            keeper.blobs.write(memoryview(self._blob)[self._at : self._at + BLOCK])
            self._at += BLOCK
        else:
            self._blob = None
            blob = bytes(keeper.blobs.complete())
            try:
                if self._kind == messages.PROFILE:
                    keeper.accept_profile(Image(blob))
                else:
                    keeper.accept_intensities(Intensities(blob))
            except (Unfit, Refusal):
                keeper.blobs.drop()


class Torture:
    """`run` cuts each step; `only` of the stops of an operation are tried (0: all), chosen by `seed`.

    `allocate(size)` gives the memory of three flashes, where the heap has no room for them.
    """

    def __init__(self, images, seed, only, quanta, allocate=bytearray):
        flash = allocate(SIZE)
        for at in range(0, SIZE, SECTOR):
            flash[at : at + SECTOR] = b"\xff" * SECTOR
        self.work = Work([Image(image) for image in images], seed, flash)
        self.only = only
        self.quanta = quanta
        self.cuts = self.programs = self.erases = self.nested = self.went_on = 0
        self.losses = []
        self.model = {}
        self._seed = seed + 1
        self._flash = allocate(SIZE)
        self._before = allocate(SIZE)
        self.heads = [records.CHAIN_START]
        work = self.work
        device = work.device
        self.model["registers"] = device.registers()
        self.model["keys"] = self.model["configuration"] = None
        self.tags = [device.meter.image.fingerprint[:8]]
        self.kept = {what: [] for what in ("records", 0, 1)}
        ring = device.store.events.rings[0]
        self.kept[0] = [device.entry(ring, n) for n in range(ring.next)]

    def run(self, steps, first=0, every=1):
        """Do `steps` steps; cut those numbered `first`, `first + every`, …"""
        work = self.work
        nor = work.nor
        for number in range(steps):
            self._before[:] = nor.data
            given, leaf = work.given, work.leaf
            work.points.clear()
            nor.log = []
            base = nor.operations
            work.step()
            operations, nor.log = nor.log, None
            if number % every == first:
                for k in range(len(operations)):
                    self._cut_operation(operations, k, base, given, leaf)
            self._follow(len(operations) + base, self.model, self.kept, self.tags)
            for record in self.kept["records"][len(self.heads) - 1 :]:
                self.heads.append(records.chain(self.heads[-1], record))
            if len(self.losses) > 20:
                break
            gc.collect()

    def _follow(self, done, model, kept, tags):
        """Bring the model up to `done` operations; returns the point of each kind that is next."""
        coming = {}
        for operations, what, value in self.work.points:
            if operations <= done:
                if what in kept:
                    kept[what].append(value)
                elif what == "blobs":
                    tags.append(value)
                else:
                    model[what] = value
            elif what not in coming:
                coming[what] = value
        return coming

    def _stops(self, size):
        if not self.only:
            if size == SECTOR:  # an erase does not go byte by byte: parts of the sector, and bits at random
                return [-1] * RANDOM_ERASES + list(range(0, SECTOR, ERASE_STEP))
            return range(-1, size)
        stops = [-1]
        for _ in range(self.only - 1):
            self._seed = scramble(self._seed)
            stops.append((self._seed >> 6) % size)
        return stops

    def _cut_operation(self, operations, k, base, given, leaf):
        model = dict(self.model)
        kept = {what: self.kept[what][-3:] for what in self.kept}
        counts = {what: len(self.kept[what]) for what in self.kept}
        tags = list(self.tags)
        held = {what: len(kept[what]) for what in kept}
        coming = self._follow(base + k, model, kept, tags)
        for what in counts:
            counts[what] += len(kept[what]) - held[what]
        at, data = operations[k]
        if len(data) == SECTOR:
            self.erases += 1
        else:
            self.programs += 1
        flash = self._flash
        for stop in self._stops(len(data)):
            flash[:] = self._before
            for done_at, done in operations[:k]:
                flash[done_at : done_at + len(done)] = done
            torn(flash, at, data, stop, 7919 * self.cuts + stop + 2)
            self.cuts += 1
            where = (self.cuts, k, stop)
            try:
                self._boot(where, model, coming, kept, counts, tags, given, leaf)
            except Exception as error:
                self._lose(where, "does not boot: %r" % error)

    def _boot(self, where, model, coming, kept, counts, tags, given, leaf):
        work = self.work
        nor = CuttingNor(SIZE, SECTOR, PAGE, self._flash)
        time = work.device.clock.time()
        if not self.cuts % 31:  # power goes again while the meter boots
            self.nested += 1
            nor.cut_at(self.cuts // 31 % 4, self.cuts % 60 - 1, self.cuts)
            try:
                Device(nor, time, work.images[0]).keeper.step()
            except PowerCut:
                pass
            nor.cut_at(-1, 0, 0)
        device = Device(nor, time, work.images[0])
        registers = device.registers()
        if registers != model["registers"] and registers != coming.get("registers"):
            self._lose(where, "registers")
        counted = sum(struct.unpack_from("<II", registers, 8 * n)[0] for n in range(2))
        if not given - self.quanta < counted <= work.given:
            self._lose(where, "quanta: %d of %d" % (counted, given))
        for what, ring in (
            ("records", device.store.records),
            (0, device.store.events.rings[0]),
            (1, device.store.events.rings[1]),
        ):
            if ring.next < counts[what]:
                self._lose(where, "%s: %d, %d were kept" % (what, ring.next, counts[what]))
            first = counts[what] - len(kept[what])
            for n, entry in enumerate(kept[what]):
                if device.entry(ring, first + n) != entry:
                    self._lose(where, "%s: entry %d" % (what, first + n))
            # A change of the records' shape and torn slots leave some of a sector unused.
            if what != 1 and ring.oldest > max(0, counts[what] - ring.capacity + ring.capacity // 8):
                self._lose(where, "%s: the oldest" % what)
        for what, journal in (("keys", device.keys._journal), ("configuration", device.configuration)):
            if journal.latest != model[what] and journal.latest != coming.get(what):
                self._lose(where, what)
        if device.keys.leaf < leaf:
            self._lose(where, "leaf %d may be used twice" % device.keys.leaf)
        for tag in tags[-2:]:
            if not (
                device.keeper.blobs.find(messages.PROFILE, tag) or device.keeper.blobs.find(messages.INTENSITIES, tag)
            ):
                self._lose(where, "a blob")
        if not device.keeper.trusted or device.keeper._failed:
            self._lose(where, "self-check %r" % device.keeper._failed)
        if not self.cuts % 13:
            self._go_on(where, device, counted)

    def _go_on(self, where, device, counted):
        """The meter goes on: counts, ends an interval, loses power again; all its records chain and add up."""
        self.went_on += 1
        device.pulses[0].waiting += 5
        device.ms += 900000
        device.meter.sample()
        device.keeper.step()
        device.pulses[1].waiting += self.quanta
        device.ms += 1000
        device.meter.sample()
        again = Device(CuttingNor(SIZE, SECTOR, PAGE, self._flash), device.clock.time(), self.work.images[0])
        registers = again.registers()
        now = sum(struct.unpack_from("<II", registers, 8 * n)[0] for n in range(2))
        if now != counted + 5 + self.quanta:
            self._lose(where, "afterwards %d quanta, expected %d" % (now, counted + 5 + self.quanta))
        ring = again.store.records
        head = self.heads[ring.oldest]
        before = None
        for sequence in range(ring.oldest, ring.next):
            record = again.entry(ring, sequence)
            if record is None:
                self._lose(where, "record %d cannot be read" % sequence)
                return
            head = records.chain(head, record)
            if head[: records.LINK_SIZE] != record[-records.LINK_SIZE :]:
                self._lose(where, "record %d does not chain" % sequence)
            for n in range(2):
                at = records.HEAD.size + records.CHANNEL_SIZE * n
                increment, index = struct.unpack_from("<IQ", record, at)
                if before is not None and index != before[n] + increment:
                    self._lose(
                        where,
                        "record %d: index %d went from %d to %d by %d" % (sequence, n, before[n], index, increment),
                    )
            before = [
                struct.unpack_from("<IQ", record, records.HEAD.size + records.CHANNEL_SIZE * n)[1] for n in range(2)
            ]

    def _lose(self, where, what):
        self.losses.append("cut %d, operation %d of its step, byte %d: " % where + what)

    def summary(self):
        """Counts, and the losses in words."""
        return {
            "cuts": self.cuts,
            "programs": self.programs,
            "erases": self.erases,
            "nested": self.nested,
            "went on": self.went_on,
            "losses": self.losses,
        }
