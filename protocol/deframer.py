"""Frames out of any byte stream: finds the next good frame after any noise, in linear time and bounded memory."""

import binascii

from . import frame

SHORT = "short"
OVERSIZE = "oversize"
STUFFING = "stuffing"
CRC = "crc"
REASONS = (SHORT, OVERSIZE, STUFFING, CRC)


class Deframer:
    """Feed it bytes as they come; it yields each good frame once and counts what it refuses.

    A frame is a memoryview `address, control, sequence, message, body` without its CRC, good until the next one is
    asked for. `on_refused(reason, encoded)`, if given, is told of every refused run of bytes between two zero bytes
    (of an oversize run, only the part that was kept).
    """

    def __init__(self, max_body=frame.MAX_BODY, on_refused=None):
        self._buffer = bytearray(frame.wire_size(max_body) - 2)
        self._view = memoryview(self._buffer)
        self._size = 0
        self._oversize = False
        self._on_refused = on_refused
        self.good = 0
        self.refused = dict.fromkeys(REASONS, 0)

    def feed(self, data):
        """Yield the good frames that end within `data` (bytes)."""
        start = 0
        size = len(data)
        while start < size:
            end = data.find(b"\0", start)
            stop = size if end < 0 else end
            self._keep(data, start, stop)
            if end < 0:
                return
            start = end + 1
            if self._size or self._oversize:
                good = self._close()
                if good is not None:
                    yield good

    def clear(self):
        """Forget a frame that has begun, as after a line was silent for too long."""
        if self._size or self._oversize:
            self._refuse(SHORT)
        self._size = 0
        self._oversize = False

    def _keep(self, data, start, stop):
        fits = min(stop - start, len(self._buffer) - self._size)
        if fits < stop - start:
            self._oversize = True
        if fits:
            self._view[self._size : self._size + fits] = data[start : start + fits]
            self._size += fits

    def _close(self):
        size = self._size
        oversize = self._oversize
        if oversize:
            self._refuse(OVERSIZE)
            self._size = 0
            self._oversize = False
            return None
        encoded = bytes(self._view[:size]) if self._on_refused else None
        self._size = 0
        size = frame.unstuff(self._buffer, size)
        if size < 0:
            return self._refuse(STUFFING, encoded)
        if size < frame.MIN_FRAME:
            return self._refuse(SHORT, encoded)
        end = size - frame.CRC_SIZE
        buffer = self._buffer
        crc = binascii.crc32(self._view[:end])
        if (
            buffer[end] != crc & 0xFF
            or buffer[end + 1] != (crc >> 8) & 0xFF
            or buffer[end + 2] != (crc >> 16) & 0xFF
            or buffer[end + 3] != (crc >> 24) & 0xFF
        ):
            return self._refuse(CRC, encoded)
        self.good += 1
        return self._view[:end]

    def _refuse(self, reason, encoded=None):
        self.refused[reason] += 1
        if self._on_refused:
            self._on_refused(reason, bytes(self._view[: self._size]) if encoded is None else encoded)
