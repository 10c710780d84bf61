"""Update packages: firmware gathered from a folder, signed with the manufacturer's key, read and checked again."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from hostlink import lms
from hostlink.errors import DataError, UsageError
from protocol.update import ENTRY, FORMAT, HEADER, LARGEST, MAGIC, SIGNATURE, is_safe

PACKAGES = ("firmware", "protocol")
SUFFIXES = (".py", ".mpy")
_VERSION = re.compile(r"^MAJOR, MINOR, PATCH = (\d+), (\d+), (\d+)$", re.MULTILINE)

Version = tuple[int, int, int]


@dataclass(frozen=True)
class Package:
    """What a package says and holds; `tag` is how events name it."""

    hardware: str
    version: Version
    least: Version
    files: dict[str, bytes]
    tag: bytes


def version(text: str) -> Version:
    """A version from "1.2.3". Raises UsageError."""
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", text)
    if not match or max(int(part) for part in match.groups()) > 255:
        raise UsageError(f"expected a version such as 1.2.3, each part at most 255, got {text!r}")
    return int(match[1]), int(match[2]), int(match[3])


def gather(folder: Path) -> dict[str, bytes]:
    """The modules of `firmware` and `protocol` below `folder`, or the linked application, by path. Raises UsageError."""
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for package in PACKAGES
        for path in sorted((folder / package).rglob("*"))
        if path.suffix in SUFFIXES and "__pycache__" not in path.parts
    }
    if not any(name.startswith(f"{PACKAGES[0]}/") for name in found):
        raise UsageError(f"expected the package {PACKAGES[0]} in {folder}")
    return found


def version_of(files: dict[str, bytes]) -> Version:
    """The version that the firmware gives itself. Raises UsageError if it cannot be read from source."""
    match = _VERSION.search(files.get("firmware/identity.py", b"").decode(errors="replace"))
    if not match:
        raise UsageError("expected the version in firmware/identity.py; compiled modules need --version")
    return version(".".join(match.groups()))


def build(files: dict[str, bytes], hardware: str, number: Version, least: Version, key: lms.PrivateKey) -> bytes:
    """A signed package. Keep `key` before you give the package away. Raises UsageError."""
    if len(hardware.encode()) > 12 or least > number:
        raise UsageError(
            f"expected hardware of at most 12 bytes and a least version up to {number}, got {hardware!r}, {least}"
        )
    unsafe = [name for name in files if not is_safe(name) or len(name.encode()) > 255]
    if unsafe:
        raise UsageError(f"expected plain relative paths, got {unsafe[0]!r}")
    content = b"".join(
        ENTRY.pack(len(data), len(name.encode())) + name.encode() + data for name, data in sorted(files.items())
    )
    header = HEADER.pack(
        MAGIC, FORMAT, hardware.encode(), *number, *least, len(files), hashlib.sha256(content).digest()
    )
    signature = key.sign(header)
    package = header + SIGNATURE.pack(len(signature)) + signature + content
    if len(package) > LARGEST:
        raise UsageError(f"expected a package of at most {LARGEST} bytes, this one has {len(package)}")
    return package


def read(data: bytes, public: bytes) -> Package:
    """A package that holds under the manufacturer's public key. Raises DataError, ProofError."""
    if len(data) < HEADER.size + SIGNATURE.size or data[:4] != MAGIC:
        raise DataError("expected an update package, got something else")
    (_, form, hardware, *numbers, files, content) = HEADER.unpack_from(data)
    if form != FORMAT:
        raise DataError(f"expected an update package of format {FORMAT}, got {form}")
    start = HEADER.size + SIGNATURE.size + SIGNATURE.unpack_from(data, HEADER.size)[0]
    lms.verify(public, data[: HEADER.size], data[HEADER.size + SIGNATURE.size : start], "the update package")
    if hashlib.sha256(data[start:]).digest() != content:
        raise DataError("the update package was altered: its files are not those that were signed")
    found = {}
    at = start
    for _ in range(files):
        size, name_size = ENTRY.unpack_from(data, at)
        at += ENTRY.size + name_size
        found[data[at - name_size : at].decode()] = data[at : at + size]
        at += size
    first, second, third, *least = numbers
    return Package(
        hardware.rstrip(b"\0").decode(), (first, second, third), (least[0], least[1], least[2]), found, content[:8]
    )
