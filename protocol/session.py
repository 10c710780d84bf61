"""Sessions: who may change what, how a key is proved, and the MAC of a privileged frame.

    host  -> SESSION_OPEN   role, host nonce                 meter -> meter nonce
    host  -> SESSION_PROVE  role, proof("tonne host")        meter -> proof("tonne meter"), idle time
    host  -> any message    body, counter, mac               meter -> body, counter, mac

    proof(label)  = HMAC(role key, label | role | serial number | host nonce | meter nonce), first 16 bytes
    session key   = HMAC(role key, "tonne session" | role | serial number | host nonce | meter nonce)
    mac           = HMAC(session key, header | body | counter), first 16 bytes

HMAC is HMAC-SHA256 (RFC 2104, FIPS 198-1). A privileged frame has `CONTROL_MAC` in its header, which the MAC covers; its
counter only goes up within a session. The reply carries the request's counter and a MAC of its own.
"""

import hashlib
import struct

from . import messages

NOBODY = 0
INSTALLER = 1
LABORATORY = 2
MANUFACTURER = 3
ROLES = {NOBODY: "nobody", INSTALLER: "installer", LABORATORY: "laboratory", MANUFACTURER: "manufacturer"}

NEEDS = {
    messages.CLOCK_SET: INSTALLER,
    messages.BLOB_READ: NOBODY,
    messages.BLOB_BEGIN: INSTALLER,
    messages.BLOB_BLOCK: INSTALLER,
    messages.BLOB_COMMIT: INSTALLER,
    messages.SESSION_OPEN: NOBODY,
    messages.SESSION_PROVE: NOBODY,
    messages.SESSION_CLOSE: INSTALLER,
    messages.KEYS_PROVISION: NOBODY,
    messages.KEY_ROTATE: INSTALLER,
    messages.TRUST: NOBODY,
    messages.PARAMETER_GET: NOBODY,
    messages.PARAMETER_SET: INSTALLER,
    messages.SEAL_CLOSE: INSTALLER,
    messages.SEAL_BREAK: LABORATORY,
    messages.SELF_TEST: NOBODY,
    messages.INPUTS: NOBODY,
}
"""The role that a message needs once a meter has keys. What a factory-new meter takes from nobody says its handler."""

KEY_SIZE = 32
NONCE_SIZE = 16
MAC_SIZE = 16
"""Half of the hash: the least that RFC 2104, section 5, recommends."""
TRAILER = 4 + MAC_SIZE

HOST = b"tonne host"
METER = b"tonne meter"
SESSION = b"tonne session"
ROTATE = b"tonne rotate"

FREE_FAILURES = 3
LONGEST_WAIT = 3600


def needed(message):
    """The role that `message` needs. What no table names is reading below 0x10, and the manufacturer's above."""
    return NEEDS.get(message, NOBODY if message < 0x10 else MANUFACTURER)


def wait(failures):
    """Seconds that a meter stays shut after so many failed proofs in a row: 2, 4, 8, … one hour from the third on."""
    if failures < FREE_FAILURES:
        return 0
    return min(2 << min(failures - FREE_FAILURES, 12), LONGEST_WAIT)


class Mac:
    """HMAC-SHA256 under one key of at most 64 bytes, its pads made once."""

    def __init__(self, key):
        self._inner, self._outer = pads(key)

    def digest(self, data):
        """32 bytes over `data`."""
        inner = hashlib.sha256(self._inner)
        inner.update(data)
        outer = hashlib.sha256(self._outer)
        outer.update(inner.digest())
        return outer.digest()


def pads(key):
    """The blocks that HMAC hashes first, inside and outside, for a key of at most 64 bytes."""
    block = bytes(key) + bytes(64 - len(key))
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)


def transcript(role, serial, host_nonce, meter_nonce):
    """What both sides prove their key over; `serial` is the number as IDENTIFY tells it, 16 bytes."""
    return bytes((role,)) + serial + host_nonce + meter_nonce


def cover(mac, counter, role, key):
    """A new key for `role` as it travels, or, applied again, as it is. `mac` is that of the session key.

    The pad is HMAC(session key, "tonne rotate" | counter | role): a counter is used once, and so is its pad.
    """
    pad = mac.digest(ROTATE + struct.pack("<IB", counter, role))
    return bytes(key[n] ^ pad[n] for n in range(KEY_SIZE))
