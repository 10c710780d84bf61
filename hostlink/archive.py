"""An archive: a folder of captures, profile images, statements and reports, and a manifest of every file's SHA-256.

    manifest.json           {"schema": 1, "about": {…}, "files": [{"path", "kind", "size", "sha256", "meter"?}, …]}
    manifest.json.sha256    the manifest's own digest, as `sha256sum` writes it: keep it elsewhere to notice a new manifest

The manifest finds what was altered by accident or carelessly. What a meter said is proved by its chain and its signed
statements, not by the manifest: who can write the folder can write a manifest.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hostlink.decoding import file_digest, write_whole
from hostlink.errors import DataError, UsageError
from hostlink.findings import NOTICE, Finding

MANIFEST = "manifest.json"
DIGEST = "manifest.json.sha256"
SCHEMA = 1
CAPTURE, PROFILE, STATEMENT, KEY, OTHER = "capture", "profile", "statement", "public key", "other"
KINDS = (CAPTURE, PROFILE, STATEMENT, KEY, OTHER)


class Entry(NamedTuple):
    """A file of an archive: path within it, kind, and the serial number of the meter it is of ("" for all or none)."""

    path: str
    kind: str
    meter: str = ""
    size: int = 0
    sha256: str = ""


@dataclass(frozen=True)
class Archive:
    """A manifest as read; `findings` tells what is wrong with the manifest itself."""

    folder: Path
    entries: tuple[Entry, ...]
    about: Mapping[str, Any]
    findings: tuple[Finding, ...]


def seal(folder: Path, entries: Iterable[Entry], about: Mapping[str, Any]) -> Path:
    """Write the manifest of `entries`, whose sizes and digests are taken now; returns its path."""
    files = []
    for entry in sorted(entries):
        path = folder / entry.path
        row = {"path": entry.path, "kind": entry.kind, "size": path.stat().st_size, "sha256": file_digest(path)}
        files.append(row | ({"meter": entry.meter} if entry.meter else {}))
    text = json.dumps({"schema": SCHEMA, "about": dict(about), "files": files}, indent=1, ensure_ascii=False) + "\n"
    write_whole(folder / MANIFEST, text.encode())
    write_whole(folder / DIGEST, _digest_line(text.encode()))
    return folder / MANIFEST


def is_archive(path: Path) -> bool:
    """Whether `path` is a folder with a manifest, or with the digest of one that is gone."""
    return (path / MANIFEST).exists() or (path / DIGEST).exists()


def load(folder: Path) -> Archive:
    """The manifest in `folder` and what is wrong with it. Raises DataError if it cannot be understood, UsageError if not read."""
    try:
        data = (folder / MANIFEST).read_bytes()
        line = (folder / DIGEST).read_bytes()
    except OSError as error:
        raise UsageError(f"expected {MANIFEST} and {DIGEST} in {folder}: {error.strerror or error}") from None
    findings = []
    if line != _digest_line(data):
        text = (
            f"{MANIFEST} and {DIGEST} do not fit: expected {hashlib.sha256(data).hexdigest()}; one of them was altered"
        )
        findings.append(Finding("file", MANIFEST, 0, 0, text))
    try:
        found = json.loads(data)
        if found["schema"] != SCHEMA:
            raise DataError(
                f"expected an archive of schema {SCHEMA} in {folder}, got {found['schema']}; update this host"
            )
        rows = [Entry(f["path"], f["kind"], f.get("meter", ""), int(f["size"]), f["sha256"]) for f in found["files"]]
        about = dict(found["about"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"expected a manifest in {folder / MANIFEST}, it cannot be read ({error}); it was altered"
        ) from None
    for row in rows:
        if row.kind not in KINDS or Path(row.path).is_absolute() or ".." in Path(row.path).parts:
            raise DataError(
                f"expected files of the archive in {folder / MANIFEST}, got {row.path!r} of kind {row.kind!r}"
            )
    known = {row.path for row in rows} | {MANIFEST, DIGEST}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in known:
            findings.append(Finding("file", name, 0, 0, f"{name} is not in the manifest; it was not looked at", NOTICE))
    return Archive(folder, tuple(rows), about, tuple(findings))


def check(folder: Path, entry: Entry) -> str:
    """What is wrong with a file of the archive, as a sentence; empty if it is what the manifest says."""
    path = folder / entry.path
    if not path.is_file():
        return f"{entry.path} is missing"
    size = path.stat().st_size
    if size != entry.size:
        return f"{entry.path} has {size} bytes, the manifest says {entry.size}: it was {'cut' if size < entry.size else 'added to'}"
    digest = file_digest(path)
    if digest != entry.sha256:
        return f"{entry.path} was altered: its SHA-256 is {digest}, the manifest says {entry.sha256}"
    return ""


def _digest_line(manifest: bytes) -> bytes:
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()
