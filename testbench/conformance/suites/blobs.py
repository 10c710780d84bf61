"""Blobs to a device, block by block."""

import hashlib

from hostlink.errors import Refused
from protocol import messages
from testbench.conformance.bench import Device

BLOCK = 200


def begin(device: Device, kind: int, data: bytes, digest: bytes | None = None) -> int:
    """Announce a blob; the offset that the device wants next."""
    sha = hashlib.sha256(data).digest() if digest is None else digest
    body = device.meter.ask(messages.BLOB_BEGIN, messages.BLOB_BEGIN_REQUEST.pack(kind, len(data), sha))
    return messages.BLOB_STATE.unpack_from(body)[2]


def send(device: Device, kind: int, data: bytes, start: int = 0, end: int | None = None) -> int:
    """Send the bytes `start` to `end`; the offset that the device wants next."""
    wanted = start
    for at in range(start, len(data) if end is None else end, BLOCK):
        part = data[at : min(at + BLOCK, len(data) if end is None else end)]
        body = device.meter.ask(messages.BLOB_BLOCK, messages.BLOB_BLOCK_REQUEST.pack(kind, at) + part)
        wanted = messages.BLOB_STATE.unpack_from(body)[2]
    return wanted


def commit(device: Device, kind: int, data: bytes, digest: bytes | None = None) -> int:
    """Let a blob take effect; the UNIX second from which it does. Raises Refused."""
    sha = hashlib.sha256(data).digest() if digest is None else digest
    body = device.meter.ask(messages.BLOB_COMMIT, messages.BLOB_COMMIT_REQUEST.pack(kind, sha))
    return messages.BLOB_COMMIT_REPLY.unpack_from(body)[1]


def upload(device: Device, kind: int, data: bytes) -> int:
    """All of it."""
    send(device, kind, data, begin(device, kind, data))
    return commit(device, kind, data)


def refused(device: Device, kind: int, data: bytes, digest: bytes | None = None) -> int:
    """Upload what should not be taken; the refusal's code, 0 if it was taken."""
    try:
        send(device, kind, data, begin(device, kind, data, digest))
        commit(device, kind, data, digest)
    except Refused as refusal:
        return refusal.code
    return 0
