"""Profiles and tables over the link, in blocks that can be resumed; nothing takes effect before its digest is checked."""

import hashlib

from protocol import messages
from protocol import status as codes
from protocol.image import MAX_SIZE, Image, ImageError
from protocol.intensities import Intensities
from protocol.records import TAG_SIZE

from .meter import Unfit
from .refusal import Refusal


class RamBlobs:
    """Committed blobs by (kind, tag), and the one on its way, in memory. A board with flash brings its own."""

    def __init__(self):
        self._kept = {}
        self._data = None
        self.kind = self.size = self.received = 0
        self.digest = bytes(32)

    def begin(self, kind, size, digest):
        """Expect a blob; going on with the one that was begun if it is the same."""
        if self._data is None or (kind, size, digest) != (self.kind, self.size, self.digest):
            self._data = bytearray(size)
            self.kind, self.size, self.digest, self.received = kind, size, digest, 0

    def write(self, data):
        """Append `data`, which fits."""
        self._data[self.received : self.received + len(data)] = data
        self.received += len(data)

    def complete(self):
        """The blob that has come in whole, or None."""
        return self._data if self._data is not None and self.received == self.size else None

    def drop(self):
        """Forget what is on its way."""
        self._data = None
        self.kind = self.size = self.received = 0

    def keep(self, kind, tag, data):
        """Keep a blob readable by `tag`."""
        self._kept[(kind, tag)] = data

    def read(self, kind, tag):
        """A kept blob, or None."""
        return self._kept.get((kind, tag))


class BlobService:
    """Handlers for `link.Server`: begin, block, commit, read."""

    def __init__(self, meter, blobs):
        self._meter = meter
        self._blobs = blobs
        blobs.keep(messages.PROFILE, meter.image.fingerprint[:TAG_SIZE], meter.image.data)

    def table(self):
        """`{message: (request size or -1, handler)}`."""
        return {
            messages.BLOB_READ: (messages.BLOB_READ_REQUEST.size, self.read),
            messages.BLOB_BEGIN: (messages.BLOB_BEGIN_REQUEST.size, self.begin),
            messages.BLOB_BLOCK: (-1, self.block),
            messages.BLOB_COMMIT: (messages.BLOB_COMMIT_REQUEST.size, self.commit),
        }

    def begin(self, body, out):
        kind, size, digest = messages.BLOB_BEGIN_REQUEST.unpack_from(body)
        if kind not in (messages.PROFILE, messages.INTENSITIES):
            raise Refusal(codes.BAD_VALUE, kind)
        if not 0 < size <= MAX_SIZE:
            raise Refusal(codes.BAD_VALUE, MAX_SIZE)
        self._blobs.begin(kind, size, digest)
        return self._state(out)

    def block(self, body, out):
        head = messages.BLOB_BLOCK_REQUEST.size
        if len(body) < head:
            raise Refusal(codes.WRONG_LENGTH, head)
        kind, offset = messages.BLOB_BLOCK_REQUEST.unpack_from(body)
        blobs = self._blobs
        if not kind or kind != blobs.kind:
            raise Refusal(codes.NOT_READY, blobs.kind)
        data = body[head:]
        if offset == blobs.received and len(data) <= blobs.size - blobs.received:
            blobs.write(data)
        return self._state(out)

    def commit(self, body, out):
        kind, digest = messages.BLOB_COMMIT_REQUEST.unpack_from(body)
        blobs = self._blobs
        data = blobs.complete()
        if data is None or (kind, digest) != (blobs.kind, blobs.digest):
            raise Refusal(codes.NOT_READY, blobs.received)
        if hashlib.sha256(data).digest() != digest:
            blobs.drop()
            raise Refusal(codes.BAD_DIGEST)
        try:
            if kind == messages.PROFILE:
                effective = self._meter.propose(Image(data))
            else:
                effective = self._meter.push(Intensities(data))
        except ImageError:
            blobs.drop()
            raise Refusal(codes.WRONG_VERSION)
        except Unfit as unfit:
            raise Refusal(codes.NOT_ALLOWED, unfit.detail)
        blobs.keep(kind, digest[:TAG_SIZE], data)
        blobs.drop()
        return messages.BLOB_COMMIT_REPLY.pack_into(out, 0, kind, effective)

    def read(self, body, out):
        kind, tag, offset, size = messages.BLOB_READ_REQUEST.unpack_from(body)
        if kind == messages.PROFILE and tag == bytes(TAG_SIZE):
            tag = self._meter.image.fingerprint[:TAG_SIZE]
        data = self._blobs.read(kind, tag)
        if data is None:
            raise Refusal(codes.NOT_FOUND, kind)
        if offset > len(data):
            raise Refusal(codes.BAD_VALUE, len(data))
        at = messages.BLOB_READ_REPLY.pack_into(out, 0, len(data), offset)
        size = min(size, len(data) - offset, len(out) - at)
        out[at : at + size] = data[offset : offset + size]
        return at + size

    def _state(self, out):
        blobs = self._blobs
        return messages.BLOB_STATE.pack_into(out, 0, blobs.kind, blobs.size, blobs.received, blobs.digest)
