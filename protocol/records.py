"""The interval record: what one interval counted, and the registers at its end.

Its shape follows from the profile: so many channels, conditions, registers. The record is the same bytes in the
meter's flash, on the wire and under the hash chain.
"""

import hashlib

from .layout import Layout

HEAD_TEXT = "sequence/u32 start/u32/s duration/u16/s status/u16 profile/b8"
HEAD = Layout(HEAD_TEXT)
TAG_SIZE = 8
"""Bytes of the profile's fingerprint in a record."""
LINK_SIZE = 4
CHAIN_START = bytes(32)
CHANNEL_SIZE = 12
CONDITION_SIZE = 8
REGISTER_SIZE = 16


def text(channels, conditions, registers):
    """The field table of a record of this shape, for `Layout`."""
    fields = HEAD_TEXT
    for n in range(channels):
        fields += " increment%d/u32/quantum index%d/u64/quantum" % (n, n)
    for n in range(conditions):
        fields += " low%d/u32 high%d/u32" % (n, n)
    for n in range(registers):
        fields += " register%d/fx128" % n
    return fields + " link/b4"


def size(channels, conditions, registers):
    """Bytes of a record of this shape."""
    return HEAD.size + CHANNEL_SIZE * channels + CONDITION_SIZE * conditions + REGISTER_SIZE * registers + LINK_SIZE


def chain(head, record):
    """The chain's next head: SHA-256 of the head before and the record without its link.

    A record's link is the first four bytes of the head behind it: it tells where a chain breaks. What makes the chain
    evidence is the whole head, 32 bytes, in a signed statement.
    """
    digest = hashlib.sha256(head)
    digest.update(memoryview(record)[:-LINK_SIZE])
    return digest.digest()
