"""HSS/LMS signatures over SHA-256 (RFC 8554): verification, and the numbers that signer and verifier share.

All integers of the RFC are big-endian. Names and domain separators are the RFC's.
"""

import hashlib
import struct

N = 32
IDENTIFIER_SIZE = 16
D_PBLK = b"\x80\x80"
D_MESG = b"\x81\x81"
D_LEAF = b"\x82\x82"
D_INTR = b"\x83\x83"

OTS = {1: (1, 265, 7), 2: (2, 133, 6), 3: (4, 67, 4), 4: (8, 34, 0)}
"""LMOTS_SHA256_N32_Ww, section 4.1: type code: w, p, ls."""
HEIGHTS = {5: 5, 6: 10, 7: 15, 8: 20, 9: 25}
"""LMS_SHA256_M32_Hh, section 5.1: type code: h."""
MAX_LEVELS = 8

PUBLIC_SIZE = 4 + 4 + IDENTIFIER_SIZE + N
"""An LMS public key."""
HSS_PUBLIC_SIZE = 4 + PUBLIC_SIZE


def ots_size(kind):
    """Bytes of an LM-OTS signature."""
    return 4 + N * (OTS[kind][1] + 1)


def signature_size(kind, height):
    """Bytes of an LMS signature with LM-OTS type `kind` in a tree of `height`."""
    return 4 + ots_size(kind) + 4 + N * height


def digits(value, w, p, ls):
    """The `p` digits of `w` bits of a hash and its checksum: section 4.4 and Algorithm 3."""
    mask = (1 << w) - 1
    found = []
    checksum = 0
    for byte in value:
        for shift in range(8 - w, -1, -w):
            digit = byte >> shift & mask
            found.append(digit)
            checksum += mask - digit
    checksum = checksum << ls & 0xFFFF
    for n in range(p - len(found)):
        found.append(checksum >> 16 - w * (n + 1) & mask)
    return found


def public_of(message, signature, public):
    """The root that an LMS `signature` of `message` leads to (Algorithm 6a), or None if it is malformed.

    `public` is the LMS public key whose types and identifier govern.
    """
    if len(public) != PUBLIC_SIZE:
        return None
    kind, ots_kind = struct.unpack_from(">II", public)
    if kind not in HEIGHTS or ots_kind not in OTS:
        return None
    height = HEIGHTS[kind]
    if len(signature) != signature_size(ots_kind, height):
        return None
    at = 4 + ots_size(ots_kind)
    q, signed_kind = struct.unpack_from(">II", signature)
    if signed_kind != ots_kind or struct.unpack_from(">I", signature, at)[0] != kind or q >> height:
        return None
    identifier = public[8:24]
    value = _ots_public(message, signature[8:at], identifier, q, ots_kind)
    node = (1 << height) + q
    value = _hash(identifier, struct.pack(">I", node), D_LEAF, value)
    at += 4
    while node > 1:
        other = signature[at : at + N]
        pair = (other, value) if node & 1 else (value, other)
        node >>= 1
        value = _hash(identifier, struct.pack(">I", node), D_INTR, *pair)
        at += N
    return value


def verify(public, message, signature):
    """True if `signature` is an HSS signature of `message` under the HSS public key `public` (section 6.3)."""
    public = bytes(public)
    signature = bytes(signature)
    if len(public) != HSS_PUBLIC_SIZE or len(signature) < 4:
        return False
    levels = struct.unpack_from(">I", public)[0]
    if not 1 <= levels <= MAX_LEVELS or struct.unpack_from(">I", signature)[0] != levels - 1:
        return False
    key = public[4:]
    at = 4
    for _ in range(levels - 1):
        size = _size_at(signature, at)
        if size is None or len(signature) < at + size + PUBLIC_SIZE:
            return False
        below = signature[at + size : at + size + PUBLIC_SIZE]
        if public_of(below, signature[at : at + size], key) != key[24:]:
            return False
        key = below
        at += size + PUBLIC_SIZE
    return public_of(message, signature[at:], key) == key[24:]


def _size_at(signature, at):
    if len(signature) < at + 8:
        return None
    ots_kind = struct.unpack_from(">I", signature, at + 4)[0]
    if ots_kind not in OTS or len(signature) < at + 8 + ots_size(ots_kind):
        return None
    kind = struct.unpack_from(">I", signature, at + 4 + ots_size(ots_kind))[0]
    return signature_size(ots_kind, HEIGHTS[kind]) if kind in HEIGHTS else None


def _ots_public(message, signature, identifier, q, kind):
    """K of Algorithm 4b from C and y[0 .. p - 1] in `signature`."""
    w, p, ls = OTS[kind]
    prefix = identifier + struct.pack(">I", q)
    block = bytearray(prefix + bytes(3 + N))
    whole = hashlib.sha256(prefix + D_PBLK)
    last = (1 << w) - 1
    for i, digit in enumerate(digits(_hash(prefix, D_MESG, signature[:N], message), w, p, ls)):
        block[20] = i >> 8
        block[21] = i & 0xFF
        value = signature[N * (i + 1) : N * (i + 2)]
        for j in range(digit, last):
            block[22] = j
            block[23:] = value
            value = hashlib.sha256(block).digest()
        whole.update(value)
    return whole.digest()


def _hash(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()
