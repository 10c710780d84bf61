"""Daily statements: made when a day's last record is written, signed in idle time, kept in flash, told in pieces."""

from protocol import events, messages
from protocol import status as codes
from protocol.layout import Layout
from protocol.records import HEAD
from protocol.statements import FORMAT, MAGIC, PAYLOAD

from ..clock import DAY
from ..refusal import Refusal
from ..store.layout import ANY
from ..store.ring import Ring
from .signer import Exhausted

_HEAD = Layout("certificates/u32 size/u16")
"""Before a kept statement: the entry of the certificate ring with its first certificate, and the size of what is signed."""
CERTIFICATE_SECTORS = 6


class Statements:
    """`signer()` is the meter's `Signer` or None, `security` and `parameters` are of `trust`, `store` of `firmware.store`."""

    def __init__(self, meter, serial, signer, security, parameters, store):
        self._meter = meter
        self._serial = serial
        self._signer = signer
        self._security = security
        self._parameters = parameters
        self._log = store.events
        self._ring, self._certificates = _rings(store)
        self._pending = None
        self._stopped = False
        self._next = 0
        self._end = 0
        self._day = meter.start // DAY
        newest = self._load(self._ring.next - 1)
        if newest:
            fields = PAYLOAD.unpack_from(newest, _HEAD.size)
            self._end = fields[6]
            self._next = fields[9]
            self._day = self._end // DAY

    def table(self):
        """`{message: (request size, handler)}` for `link.Server`."""
        return {messages.STATEMENTS: (messages.STATEMENTS_REQUEST.size, self.read)}

    def step(self):
        """Do a little of what is waiting; False when nothing is."""
        signer = self._signer()
        if signer is None:
            return False
        if self._pending is not None:
            signer.step()
            if not signer.signing:
                self._keep(signer)
            return True
        meter = self._meter
        if meter.start // DAY != self._day:
            self._day = meter.start // DAY
            if meter.records.ring.next > self._next and not self._stopped and self._begin(signer):
                return True
        return signer.step()

    def read(self, body, out):
        sequence, offset = messages.STATEMENTS_REQUEST.unpack_from(body)
        ring = self._ring
        entry = self._load(sequence)
        if entry is None:
            raise Refusal(codes.NOT_FOUND, ring.next if sequence >= ring.next else ring.oldest)
        certificates, size = _HEAD.unpack_from(entry)
        end = _HEAD.size + size
        parts = [entry[_HEAD.size : end], b"\0\0\0" + bytes((self._levels() - 1,))]
        for n in range(certificates, certificates + self._levels() - 1):
            certificate = self._entry(self._certificates, n)
            if certificate is None:
                raise Refusal(codes.NOT_FOUND, sequence + 1)
            parts.append(certificate)
        parts.append(entry[end:])
        total = sum([len(part) for part in parts])
        if offset >= total:
            raise Refusal(codes.BAD_VALUE, total)
        at = messages.STATEMENTS_REPLY.pack_into(out, 0, sequence, ring.oldest, ring.next, total, offset)
        for part in parts:
            if offset < len(part):
                count = min(len(part) - offset, len(out) - at)
                out[at : at + count] = part[offset : offset + count]
                at += count
                offset = 0
            else:
                offset -= len(part)
        return at

    def _begin(self, signer):
        ring = self._meter.records.ring
        last = ring.next - 1
        shape = ring.shape_of(last)
        if shape is None:
            return False
        record = bytearray(shape[0])
        if not ring.read_into(last, record):
            return False
        payload = self._payload(signer, record, shape[1])
        try:
            leaf = signer.begin(payload)
        except Exhausted:
            self._stopped = True
            self._log.log(events.EXHAUSTED, 0, 0, signer.capacity)
            return False
        if leaf < 0:
            self._meter.status |= codes.STORAGE_FAULT
            return False
        self._pending = payload
        return True

    def _payload(self, signer, record, label):
        meter = self._meter
        log = self._log
        security = self._security
        start, duration = HEAD.unpack_from(record)[1:3]
        end = start + duration
        ordinary, legal = log.rings
        payload = bytearray(PAYLOAD.size + len(record))
        major, minor, patch, digest = meter.identity[2:6]
        PAYLOAD.pack_into(
            payload,
            0,
            MAGIC,
            FORMAT,
            self._ring.next,
            signer.next,
            self._serial,
            self._end,
            end,
            meter.clock.time(),
            self._next,
            meter.records.ring.next,
            meter.records.head,
            meter.image.fingerprint,
            major,
            minor,
            patch,
            digest,
            security.sealed,
            security.seal_counter,
            self._parameters.digest(),
            ordinary.next,
            log.link(events.ORDINARY),
            legal.next,
            log.link(events.LEGAL),
            label[0],
            label[1],
            label[2],
            len(record),
        )
        payload[PAYLOAD.size :] = record
        return payload

    def _keep(self, signer):
        payload = self._pending
        self._pending = None
        first = self._keep_certificates(signer)
        if first < 0 or not self._ring.append(_HEAD.pack(first, len(payload)) + payload + signer.signature, bytes(4)):
            self._meter.status |= codes.STORAGE_FAULT
            return
        signer.release()
        fields = PAYLOAD.unpack_from(payload)
        self._end = fields[6]
        self._next = fields[9]

    def _keep_certificates(self, signer):
        """The entry of the first of the certificates above the signature, kept anew if they have changed; -1 for a fault."""
        ring = self._certificates
        made = signer.certificates
        kept = ring.next - len(made)
        if kept >= 0 and all(made[n] is None or self._entry(ring, kept + n) == made[n] for n in range(len(made))):
            return kept
        first = ring.next
        for n in range(len(made)):
            certificate = made[n] or self._entry(ring, kept + n)
            if certificate is None or not ring.append(certificate, bytes(4)):
                return -1
        return first

    def _load(self, sequence):
        return self._entry(self._ring, sequence)

    def _entry(self, ring, sequence):
        shape = ring.shape_of(sequence)
        if shape is None:
            return None
        buffer = bytearray(shape[0])
        return buffer if ring.read_into(sequence, buffer) else None

    def _levels(self):
        return len(self._signer().certificates) + 1


def _rings(store):
    """Rings of statements and of certificates."""
    first, sectors = store.regions["statements"]
    kept = sectors - CERTIFICATE_SECTORS
    return (
        Ring(store.nor, first, kept, ANY, found=store.faults),
        Ring(store.nor, first + kept, CERTIFICATE_SECTORS, ANY, found=store.faults),
    )
