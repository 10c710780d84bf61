"""SHA-256 of short blocks, again and again behind the same beginning, without an object for each; HMAC over it."""

import hashlib

import uctypes

from protocol.session import pads

_OBJECT = 128
"""Bytes that MicroPython's SHA-256 object spans on its heap: 116 to 128 are used, in blocks of 16 or 32."""


class Hasher:
    """SHA-256 of `prefix` and a block: 64 bytes of garbage a hash instead of 192, and the prefix is hashed once.

    MicroPython has no way to restart or copy a hash object, so the memory of one that has taken the prefix is kept and put
    back. Where a trial shows that this does not work, each hash is an object of its own.
    """

    def __init__(self, prefix=b""):
        self._prefix = prefix
        self._sha = hashlib.sha256(prefix)
        self._memory = uctypes.bytearray_at(id(self._sha), _OBJECT)
        self._begun = bytes(self._memory)
        sample = bytes(range(55))
        expected = hashlib.sha256(prefix + sample).digest()
        self.again = True
        for _ in range(2):
            self.again = self.again and self.digest(sample) == expected

    def digest(self, block):
        """SHA-256 of prefix and `block`."""
        if self.again:
            self._memory[:] = self._begun
            sha = self._sha
        else:
            sha = hashlib.sha256(self._prefix)
        sha.update(block)
        return sha.digest()

    def iterate(self, block, at, value, steps):
        """`steps` times `value[:] = digest(block)` with `block[at]` 0, 1, …; `value` is a view of `block`."""
        if not self.again:
            for n in range(steps):
                block[at] = n
                value[:] = self.digest(block)
            return
        memory = self._memory
        begun = self._begun
        sha = self._sha
        for n in range(steps):
            block[at] = n
            memory[:] = begun
            sha.update(block)
            value[:] = sha.digest()


class Mac:
    """HMAC-SHA256 under one key, as `protocol.session.Mac`, its pads hashed beforehand: two compressions instead of four."""

    def __init__(self, key):
        inner, outer = pads(key)
        self._inner = Hasher(inner)
        self._outer = Hasher(outer)

    def digest(self, data):
        """32 bytes over `data`."""
        return self._outer.digest(self._inner.digest(data))
