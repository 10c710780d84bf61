"""HSS/LMS (RFC 8554) on the host: verification that says what is wrong, and a signer for update packages.

The signer is stateful: whoever owns the key keeps `next` before a signature is given away. Keys made here claim the
algorithm of RFC 8554, not compliance with NIST SP 800-208, which asks for keys made and kept in a cryptographic module.
"""

import hashlib
import struct

from hostlink.errors import DataError, ProofError, UsageError
from protocol import lms

OTS_KIND = 3
"""LMOTS_SHA256_N32_W4."""


def verify(public: bytes, message: bytes, signature: bytes, what: str = "the message") -> None:
    """Check an HSS signature. Raises DataError for a key that is none, ProofError if the signature does not hold."""
    if len(public) != lms.HSS_PUBLIC_SIZE:
        raise DataError(f"expected an HSS public key of {lms.HSS_PUBLIC_SIZE} bytes, got {len(public)}")
    if not lms.verify(public, message, signature):
        raise ProofError(f"the signature of {what} does not hold under key {fingerprint(public)}")


def fingerprint(public: bytes) -> str:
    """A public key as people compare it: 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


class PrivateKey:
    """An HSS key of one LMS tree, W=4: `secret` 32 bytes, `height` 5 (32 signatures) or 10 (1,024, a second to make)."""

    def __init__(self, secret: bytes, height: int = 10, next_leaf: int = 0) -> None:
        kinds = {h: kind for kind, h in lms.HEIGHTS.items()}
        if height not in kinds or height > 15:
            raise UsageError(f"expected a tree of height 5, 10 or 15, got {height}")
        self.next_leaf = next_leaf
        self._height = height
        self._kind = kinds[height]
        self._seed = hashlib.sha256(b"tonne host seed" + secret).digest()
        self._identifier = hashlib.sha256(b"tonne host name" + secret).digest()[:16]
        self._nodes = self._grow()

    @property
    def public(self) -> bytes:
        """The HSS public key."""
        return struct.pack(">III", 1, self._kind, OTS_KIND) + self._identifier + self._nodes[1]

    @property
    def remaining(self) -> int:
        """Signatures left."""
        return (1 << self._height) - self.next_leaf

    def sign(self, message: bytes) -> bytes:
        """Sign with the next leaf and step on; keep `next_leaf` before you give the signature away. Raises UsageError."""
        q = self.next_leaf
        if self.remaining <= 0:
            raise UsageError("expected an unused leaf: this signing key is exhausted, make a new one")
        self.next_leaf += 1
        prefix = self._identifier + struct.pack(">I", q)
        randomizer = _sha256(prefix + struct.pack(">HB", 0xFFFD, 0xFF) + self._seed)
        w, p, ls = lms.OTS[OTS_KIND]
        chosen = lms.digits(_sha256(prefix + lms.D_MESG + randomizer + message), w, p, ls)
        chains = b"".join(self._chain(prefix, i, digit) for i, digit in enumerate(chosen))
        node = (1 << self._height) + q
        path = b""
        while node > 1:
            path += self._nodes[node ^ 1]
            node >>= 1
        ots = struct.pack(">I", OTS_KIND) + randomizer + chains
        return struct.pack(">II", 0, q) + ots + struct.pack(">I", self._kind) + path

    def _grow(self) -> dict[int, bytes]:
        leaves = 1 << self._height
        w, p, _ = lms.OTS[OTS_KIND]
        nodes = {}
        for q in range(leaves):
            prefix = self._identifier + struct.pack(">I", q)
            key = _sha256(prefix + lms.D_PBLK + b"".join(self._chain(prefix, i, (1 << w) - 1) for i in range(p)))
            nodes[leaves + q] = _sha256(self._identifier + struct.pack(">I", leaves + q) + lms.D_LEAF + key)
        for node in range(leaves - 1, 0, -1):
            below = nodes[2 * node] + nodes[2 * node + 1]
            nodes[node] = _sha256(self._identifier + struct.pack(">I", node) + lms.D_INTR + below)
        return nodes

    def _chain(self, prefix: bytes, i: int, steps: int) -> bytes:
        value = _sha256(prefix + struct.pack(">HB", i, 0xFF) + self._seed)
        for j in range(steps):
            value = _sha256(prefix + struct.pack(">HB", i, j) + value)
        return value


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
