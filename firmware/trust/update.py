"""Updates: a package signed by the manufacturer, taken in blocks, verified, unpacked beside what runs, tried, then kept.

Comes in over the blob messages with kind UPDATE; every other kind goes on to the handlers that were there before.
"""

import hashlib

from protocol import events, lms, messages, session
from protocol import status as codes
from protocol.update import ENTRY, FORMAT, HEADER, LARGEST, MAGIC, SIGNATURE, is_safe

from ..boards.slots import make_folders
from ..refusal import Refusal

HEALTHY_SECONDS = 60
"""How long an update must have metered before it is kept."""
_CHUNK = 512
_STEP = 4096
"""Bytes unpacked in a step: a block of the Pico's flash, 60 ms."""
_MOST_SIGNATURE = 8192


class Update:
    """`slots` is a `boards.slots.Slots`, `healthy()` says whether the meter does what it should, `before` are blob handlers.

    The board restarts when `restart` is True.
    """

    def __init__(self, guard, keys, security, log, meter, slots, healthy, before):
        self._guard = guard
        self._keys = keys
        self._security = security
        self._log = log
        self._meter = meter
        self._slots = slots
        self._healthy = healthy
        self._before = before
        self._work = None
        self.restart = False
        self._tell()

    def table(self):
        """`{message: (request size or -1, handler)}`."""
        return {
            messages.BLOB_BEGIN: (messages.BLOB_BEGIN_REQUEST.size, self.begin),
            messages.BLOB_BLOCK: (-1, self.block),
            messages.BLOB_COMMIT: (messages.BLOB_COMMIT_REQUEST.size, self.commit),
        }

    def step(self):
        """Unpack a little more, or keep what has proved healthy; False when there is nothing to do."""
        if self._work is not None:
            try:
                next(self._work)
            except StopIteration:
                self._work = None
                self.restart = True
            except (OSError, ValueError):
                self._work = None
                self._refuse(codes.STORAGE, self._slots.digest, 0)
            return True
        if self._slots.on_trial and self._meter.clock.uptime >= HEALTHY_SECONDS and self._healthy():
            self._keep()
        return False

    def begin(self, body, out):
        kind, size, digest = messages.BLOB_BEGIN_REQUEST.unpack_from(body)
        if kind != messages.UPDATE:
            return self._before[messages.BLOB_BEGIN][1](body, out)
        self._permit()
        if not HEADER.size < size <= LARGEST:
            raise Refusal(codes.BAD_VALUE, LARGEST)
        try:
            self._slots.begin(size, digest)
        except OSError:
            self._no_room()
        return self._state(out)

    def block(self, body, out):
        head = messages.BLOB_BLOCK_REQUEST.size
        if len(body) < head or body[0] != messages.UPDATE:
            return self._before[messages.BLOB_BLOCK][1](body, out)
        self._permit()
        offset = messages.BLOB_BLOCK_REQUEST.unpack_from(body)[1]
        slots = self._slots
        data = body[head:]
        if not slots.size:
            raise Refusal(codes.NOT_READY, 0)
        if offset == slots.received and len(data) <= slots.size - slots.received:
            try:
                slots.write(data)
            except OSError:
                self._no_room()
        return self._state(out)

    def commit(self, body, out):
        kind, digest = messages.BLOB_COMMIT_REQUEST.unpack_from(body)
        if kind != messages.UPDATE:
            return self._before[messages.BLOB_COMMIT][1](body, out)
        self._permit()
        slots = self._slots
        if not slots.size or slots.received != slots.size or digest != slots.digest:
            raise Refusal(codes.NOT_READY, slots.received)
        self._log.require_room(2)
        code, detail, header, start = self._verify(digest)
        if code:
            self._refuse(code, digest, self._guard.role)
            raise Refusal(code, detail)
        tag = header[-1][:8]
        self._log.log(events.UPDATE_ACCEPTED, self._guard.role, self._running(), tag)
        self._work = self._unpack(header, start, tag)
        return messages.BLOB_COMMIT_REPLY.pack_into(out, 0, kind, self._meter.clock.time())

    def _no_room(self):
        self._slots.drop()
        raise Refusal(codes.STORAGE, 0)

    def _permit(self):
        """Any role while the seal is open, then laboratory or manufacturer; and there must be a key to verify with."""
        if self._security.sealed and not self._guard.allows(session.LABORATORY):
            raise Refusal(codes.SEALED, session.LABORATORY)
        if not any(self._keys.update):
            raise Refusal(codes.NOT_READY, 0)
        if self._work is not None or self._slots.on_trial:
            raise Refusal(codes.NOT_READY, 1)

    def _verify(self, digest):
        """`(0, 0, header fields, offset of the files)`, or a refusal's code and detail."""
        with open(self._slots.package, "rb") as file:
            if _digest(file) != digest:
                return codes.BAD_DIGEST, 0, None, 0
            file.seek(0)
            raw = file.read(HEADER.size)
            header = HEADER.unpack_from(raw)
            if header[0] != MAGIC or header[1] != FORMAT:
                return codes.WRONG_VERSION, FORMAT, None, 0
            size = SIGNATURE.unpack_from(file.read(SIGNATURE.size))[0]
            if size > _MOST_SIGNATURE or not lms.verify(self._keys.update, raw, file.read(size)):
                return codes.BAD_MAC, 0, None, 0
            if _digest(file) != header[-1]:
                return codes.BAD_DIGEST, 1, None, 0
        hardware = self._meter.identity[1]
        if header[2] != hardware + bytes(12 - len(hardware)):
            return codes.BAD_VALUE, 0, None, 0
        security = self._security
        if header[3:6] < (security.major, security.minor, security.patch):
            return codes.NOT_ALLOWED, security.major << 16 | security.minor << 8 | security.patch, None, 0
        return 0, 0, header, HEADER.size + SIGNATURE.size + size

    def _unpack(self, header, start, tag):
        slots = self._slots
        slots.clear()
        yield
        with open(slots.package, "rb") as file:
            file.seek(start)
            for _ in range(header[9]):
                size, name_size = ENTRY.unpack_from(file.read(ENTRY.size))
                name = file.read(name_size).decode()
                if not is_safe(name):
                    raise ValueError(name)
                make_folders(slots.spare, name)
                with open(slots.spare + "/" + name, "wb") as target:
                    while size:
                        data = file.read(min(size, _CHUNK))
                        if not data:
                            raise ValueError(size)
                        target.write(data)
                        size -= len(data)
                        if size % _STEP < _CHUNK:
                            yield
        slots.arm(tag.hex(), self._running().hex(), list(header[6:9]))

    def _refuse(self, code, digest, role):
        self._log.log(events.UPDATE_REFUSED, role, self._running(), digest, code)
        self._slots.drop()

    def _keep(self):
        self._slots.commit()
        self._tell()

    def _tell(self):
        """Draw the consequences of the trial's end and log it: at the latest when a power cut between the two is over."""
        slots = self._slots
        if slots.state["failed"]:
            self._log.log(events.UPDATE_ROLLED_BACK, 0, bytes.fromhex(slots.state["failed"]), self._running())
            slots.told()
        elif slots.state["kept"]:
            security = self._security
            least = tuple(slots.state["least"])
            if least > (security.major, security.minor, security.patch):
                security.major, security.minor, security.patch = least
                security.save()
            self._log.log(events.UPDATE_COMMITTED, 0, bytes.fromhex(slots.state["before"]), self._running())
            slots.told()

    def _running(self):
        return self._meter.identity[5][:8]

    def _state(self, out):
        slots = self._slots
        return messages.BLOB_STATE.pack_into(out, 0, messages.UPDATE, slots.size, slots.received, slots.digest)


def _digest(file):
    """SHA-256 of a file from where it stands to its end."""
    found = hashlib.sha256()
    while True:
        data = file.read(_CHUNK)
        if not data:
            return found.digest()
        found.update(data)
