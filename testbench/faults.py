"""Faults on a line: bits that flip at a given rate, the same ones for the same seed."""

import math
import random


class BitErrors:
    """Flips each bit of a stream with probability `rate`, however the stream is cut into pieces."""

    def __init__(self, rate: float, random_: random.Random) -> None:
        self.flipped = 0
        self.passed = 0
        self._scale = math.log1p(-rate) if rate else 0.0
        self._random = random_
        self._next = self._gap()

    def __call__(self, data: bytes) -> bytes:
        """`data` as the other end gets it."""
        bits = 8 * len(data)
        self.passed += bits
        if self._next >= bits:
            self._next -= bits
            return data
        spoilt = bytearray(data)
        while self._next < bits:
            spoilt[self._next >> 3] ^= 1 << (self._next & 7)
            self.flipped += 1
            self._next += 1 + self._gap()
        self._next -= bits
        return bytes(spoilt)

    def _gap(self) -> int:
        """Bits until the next error: geometric."""
        if not self._scale:
            return 1 << 62
        return int(math.log(1.0 - self._random.random()) / self._scale)
