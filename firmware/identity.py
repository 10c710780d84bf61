"""Who this meter is and what runs on it: the software digest over the legally relevant modules."""

import binascii
import hashlib
import os

MAJOR, MINOR, PATCH = 0, 1, 0
PACKAGES = ("firmware", "protocol")


def identity(serial, hardware, digest):
    """The fields of `protocol.messages.IDENTITY` from `serial` to `software`."""
    return (serial.encode(), hardware.encode(), MAJOR, MINOR, PATCH, digest)


def software_digest(root):
    """SHA-256 over every module below `root` in path order, each as path, 0, length in decimal, 0, content."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        if package in os.listdir(root or "/"):
            _add(digest, root, package)
    return digest.digest()


def _add(digest, root, path):
    full = root + "/" + path
    for name in sorted(os.listdir(full)):
        inner = path + "/" + name
        if name.endswith((".py", ".mpy")):
            with open(root + "/" + inner, "rb") as module:
                content = module.read()
            digest.update(b"%s\0%d\0" % (inner.encode(), len(content)))
            digest.update(content)
        elif "." not in name and name != "__pycache__":
            _add(digest, root, inner)


def text(digest):
    """A digest as people compare it: the first eight hexadecimal digits."""
    return binascii.hexlify(digest[:4]).decode()
