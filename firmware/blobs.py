"""Profiles and tables over the link, in blocks that can be resumed; nothing takes effect before its digest is checked."""

import hashlib

from protocol import messages
from protocol import status as codes
from protocol.image import MAX_SIZE, Image, ImageError
from protocol.intensities import Intensities
from protocol.records import TAG_SIZE

from .meter import Unfit
from .refusal import Refusal
from .store.blobs import Full


class BlobService:
    """Handlers for `link.Server`: begin, block, commit, read."""

    def __init__(self, meter, keeper):
        self._meter = meter
        self._keeper = keeper
        self._blobs = keeper.blobs

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
        largest = min(MAX_SIZE, self._blobs.largest)
        if not 0 < size <= largest:
            raise Refusal(codes.BAD_VALUE, largest)
        try:
            self._blobs.begin(kind, size, digest)
        except Full:
            raise Refusal(codes.EXHAUSTED, len(self._blobs.slots))
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
                effective = self._keeper.accept_profile(Image(data))
            else:
                effective = self._keeper.accept_intensities(Intensities(data))
        except ImageError:
            blobs.drop()
            raise Refusal(codes.WRONG_VERSION)
        except Unfit as unfit:
            raise Refusal(codes.NOT_ALLOWED, unfit.detail)
        return messages.BLOB_COMMIT_REPLY.pack_into(out, 0, kind, effective)

    def read(self, body, out):
        kind, tag, offset, size = messages.BLOB_READ_REQUEST.unpack_from(body)
        image = self._meter.image
        if kind == messages.PROFILE and tag in (bytes(TAG_SIZE), image.fingerprint[:TAG_SIZE]):
            data = image.data
        else:
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
