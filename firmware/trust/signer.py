"""The meter's HSS key (RFC 8554, section 6): small trees below small trees, made when there is nothing else to do.

Everything follows from one secret and the number of the next leaf. The number is kept, increased, before a leaf is used:
a power cut may waste a leaf and never uses one twice. A tree above signs only the one key that its leaf is for, which
the secret gives again bit for bit, so making that signature anew after a power cut tells nothing new.
"""

import hashlib
import struct

from protocol.lms import PUBLIC_SIZE

from .hasher import Hasher
from .lms import Signature, Tree


class Exhausted(Exception):
    """Every leaf of the key is used."""


class Signer:
    """An HSS private key of `levels` trees of `height`, `next` its first unused leaf.

    `burn(leaf)` is True once it is kept, past any power cut, that the next unused leaf is `leaf`.
    Call `step` while there is time: it never runs longer than sixteen hashes.
    """

    def __init__(self, secret, next, burn, levels=3, height=5):
        self.levels = levels
        self.height = height
        self.capacity = 1 << levels * height
        self.next = next
        self._secret = secret
        self._burn = burn
        self._hasher = Hasher()
        self._signature = Signature(height)
        self.certificates = [None] * (levels - 1)  # type: list
        self._certified = [-1] * (levels - 1)
        self._trees = [None] * levels  # type: list
        self._numbers = [-1] * levels
        self._leaf = -1
        self._message = None
        self.public = b""

    @property
    def remaining(self):
        """Signatures left."""
        return self.capacity - self.next

    @property
    def signature(self):
        """The signature that was made last, until it is released."""
        return self._signature.data

    def release(self):
        """Signature and certificates have been kept: give back their room. A certificate is None from then on, until it changes."""
        self._signature.drop()
        self.certificates = [None] * (self.levels - 1)

    @property
    def signing(self):
        """A signature is under way."""
        return self._message is not None

    def begin(self, message):
        """Begin to sign `message` with the next leaf, burned first. Returns the leaf, or -1 if it could not be burned.

        Raises Exhausted.
        """
        if self.next >= self.capacity:
            raise Exhausted()
        leaf = self.next
        burned = self._burn(leaf + 1)
        self.next = leaf + 1
        if not burned:
            return -1
        self._leaf = leaf
        self._message = message
        return leaf

    def step(self):
        """Do the next piece of work; False when there is none. A signature begun is whole once `signing` is False."""
        leaf = self._leaf if self.signing else self.next
        if leaf >= self.capacity:
            leaf = self.capacity - 1
        for level in range(self.levels):
            number = leaf >> self.height * (self.levels - level)
            if level + 1 < self.levels and self._certified[level] == leaf >> self.height * (self.levels - level - 1):
                self._numbers[level] = -1
                self._trees[level] = None  # it has signed what it was made for, and can be made again
                continue
            if self._numbers[level] != number:
                self._plant(level, number)
            if not self._trees[level].ready:
                if self._trees[level].step() and level == 0:
                    self.public = struct.pack(">I", self.levels) + self._trees[0].public()
                return True
            if level and self._certified[level - 1] != number:
                return self._certify(level, number)
        if not self.signing:
            return False
        if not self._signature.under_way:
            self._signature.begin(self._trees[-1], leaf & (1 << self.height) - 1, self._message)
        if self._signature.step():
            self._message = None
        return True

    def _plant(self, level, number):
        """Begin tree `number` of `level`."""
        base = struct.pack(">BI", level, number)
        seed = hashlib.sha256(b"tonne tree seed" + self._secret + base).digest()
        identifier = hashlib.sha256(b"tonne tree name" + self._secret + base).digest()[:16]
        self._trees[level] = None
        self._trees[level] = Tree(self._hasher, self.height, identifier, seed)
        self._numbers[level] = number

    def _certify(self, level, number):
        """Sign the key of tree `number` of `level` with the tree above: a step of it."""
        signature = self._signature
        if not signature.under_way:
            leaf = number & (1 << self.height) - 1
            signature.begin(self._trees[level - 1], leaf, self._trees[level].public())
        if signature.step():
            certificate = bytearray(signature.size + PUBLIC_SIZE)
            certificate[: signature.size] = signature.data
            certificate[signature.size :] = self._trees[level].public()
            signature.drop()
            self.certificates[level - 1] = certificate
            self._certified[level - 1] = number
        return True


def secret(*sources):
    """32 secret bytes out of several sources: as good as the best of them."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(struct.pack(">H", len(source)))
        digest.update(source)
    return digest.digest()
