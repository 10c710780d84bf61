"""Signing with LMS (RFC 8554) in steps of at most sixteen hashes: LM-OTS W=4, SHA-256.

One hash costs 8 k instructions on a Cortex-M3, a step 0.13 M at most, a leaf 10 M, a signature 6 M: see `make bench-trust`.
"""

import hashlib
import struct

from protocol.lms import D_INTR, D_LEAF, D_MESG, D_PBLK, HEIGHTS, N, digits, signature_size

OTS_KIND = 3
W, P, LS = 4, 67, 4
LAST = (1 << W) - 1
_RANDOMIZER = 0xFFFD
"""Index of the pseudo-random C among a leaf's secrets: never that of a chain."""


class Chains:
    """The hash chains of one-time keys; the secrets are those of the RFC's Appendix A."""

    def __init__(self, hasher, identifier, seed):
        self._hasher = hasher
        self._block = bytearray(identifier + bytes(7 + N))
        self.value = memoryview(self._block)[23:]
        self._seed = seed

    def run(self, q, i, steps):
        """Leave chain `i` of leaf `q`, `steps` along, in `value`."""
        block = self._block
        value = self.value
        hasher = self._hasher
        struct.pack_into(">IHB", block, 16, q, i, 0xFF)
        value[:] = self._seed
        value[:] = hasher.digest(block)
        hasher.iterate(block, 22, value, steps)


class Tree:
    """One LMS private key, and its tree once `step` has made it.

    `height` 5, 10, …; `identifier` 16 bytes, `seed` 32 bytes. Holds 64 bytes a leaf.
    """

    def __init__(self, hasher, height, identifier, seed):
        self._hasher = hasher
        self.height = height
        self.identifier = identifier
        self.chains = Chains(hasher, identifier, seed)
        self.nodes = memoryview(bytearray(N << height + 1))
        self._interior = bytearray(identifier + bytes(4) + D_INTR + bytes(2 * N))
        self._leaf = 0
        self._chain = 0
        self._key = None

    @property
    def ready(self):
        """The tree is made: it can sign."""
        return self._leaf >> self.height == 1

    @property
    def kind(self):
        """The RFC's type code."""
        for kind in HEIGHTS:
            if HEIGHTS[kind] == self.height:
                return kind

    def step(self):
        """One chain of one leaf; returns `ready`. A tree takes 68 steps a leaf."""
        if self.ready:
            return True
        q = self._leaf
        if not self._chain:
            self._key = hashlib.sha256(self.identifier + struct.pack(">I", q) + D_PBLK)
        if self._chain < P:
            self.chains.run(q, self._chain, LAST)
            self._key.update(self.chains.value)
            self._chain += 1
            return False
        self._close_leaf(q)
        self._chain = 0
        self._leaf += 1
        return self.ready

    def _close_leaf(self, q):
        nodes = self.nodes
        node = (1 << self.height) + q
        leaf = self.identifier + struct.pack(">I", node) + D_LEAF + self._key.digest()
        nodes[N * node : N * (node + 1)] = self._hasher.digest(leaf)
        interior = self._interior
        while node & 1 and node > 1:
            node >>= 1
            struct.pack_into(">I", interior, 16, node)
            interior[22:] = nodes[2 * N * node : 2 * N * (node + 1)]
            nodes[N * node : N * (node + 1)] = self._hasher.digest(interior)

    def public(self):
        """The LMS public key."""
        return struct.pack(">II", self.kind, OTS_KIND) + self.identifier + bytes(self.nodes[N : 2 * N])


class Signature:
    """An LMS signature in the making, for trees of `height`. `data` holds it until it is dropped."""

    def __init__(self, height):
        self.size = signature_size(OTS_KIND, height)
        self.data = memoryview(b"")
        self._tree = None

    @property
    def under_way(self):
        """Begun, and not whole yet."""
        return self._tree is not None

    def begin(self, tree, q, message, randomizer=None):
        """Sign `message` with leaf `q` of `tree`, which is ready. The leaf must never be used for anything else."""
        chains = tree.chains
        if randomizer is None:
            chains.run(q, _RANDOMIZER, 0)
            randomizer = bytes(chains.value)
        head = tree.identifier + struct.pack(">I", q)
        digest = hashlib.sha256(head + D_MESG + randomizer)
        digest.update(message)
        self._digits = digits(digest.digest(), W, P, LS)
        self.data = memoryview(bytearray(self.size))
        struct.pack_into(">II", self.data, 0, q, OTS_KIND)
        self.data[8 : 8 + N] = randomizer
        self._tree = tree
        self._q = q
        self._chain = 0

    def drop(self):
        """Give back the room of a signature that has been kept."""
        self.data = memoryview(b"")

    def step(self):
        """One chain; returns True when the signature is whole in `data`. A signature takes 68 steps."""
        tree = self._tree
        if tree is None:
            return True
        i = self._chain
        if i < P:
            tree.chains.run(self._q, i, self._digits[i])
            self.data[8 + N * (i + 1) : 8 + N * (i + 2)] = tree.chains.value
            self._chain += 1
            return False
        at = 8 + N * (P + 1)
        struct.pack_into(">I", self.data, at, tree.kind)
        at += 4
        node = (1 << tree.height) + self._q
        while node > 1:
            other = node ^ 1
            self.data[at : at + N] = tree.nodes[N * other : N * (other + 1)]
            node >>= 1
            at += N
        self._tree = None
        return True
