"""Who the meter says it is: software identification, profile fingerprint, shape; the same over every message."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from protocol.image import Image
from testbench.conformance.bench import Bench
from testbench.micropython import device_root

IDENTIFICATION = "d31-identification"


def software_digest(root: Path) -> bytes:
    """SHA-256 over the modules of a meter in path order, each as path, 0, length in decimal, 0, content."""
    digest = hashlib.sha256()

    def add(folder: Path) -> None:
        for path in sorted(folder.iterdir(), key=lambda p: p.name):
            if path.suffix in (".py", ".mpy"):
                content = path.read_bytes()
                digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)
            elif path.is_dir() and "." not in path.name and path.name != "__pycache__":
                add(path)

    for package in ("firmware", "protocol"):
        add(root / package)
    return digest.digest()


def test_identity(bench: Bench) -> None:
    profile = bench.profile
    with bench.device(profile.image) as device:
        first, again = device.meter.identify(), device.meter.identify()
        image = device.meter.profile()
        tag = device.meter.registers().profile
    bench.point("identity.stable", "tonne-messages", int(first == again), low=1, what="two identifications agree")
    fingerprint = hashlib.sha256(profile.image).digest()
    bench.point(
        "identity.fingerprint",
        IDENTIFICATION,
        int(first.fingerprint == fingerprint),
        low=1,
        what="fingerprint is the profile's SHA-256",
    )
    bench.point(
        "identity.image",
        "tonne-profile",
        int(bytes(image.data) == profile.image),
        low=1,
        what="profile read back, byte for byte",
    )
    bench.point(
        "identity.tag",
        "tonne-messages",
        int(tag == fingerprint[:8]),
        low=1,
        what="registers name the profile that governs",
    )
    shape = Image(profile.image)
    expected = (len(shape.channels), len(shape.conditions), len(shape.registers), shape.interval)
    got = (first.channels, first.conditions, first.registers, first.interval)
    bench.point(
        "identity.shape",
        "tonne-messages",
        int(got == expected),
        low=1,
        what="shape of the records as the profile has it",
    )
    bench.point(
        "identity.serial",
        IDENTIFICATION,
        int(bool(first.serial) and first.serial.isascii()),
        low=1,
        what="a serial number",
    )


def test_software(bench: Bench) -> None:
    """The software's identification is the digest of what runs, and changes with one byte of it."""
    root = bench.root or device_root()
    with tempfile.TemporaryDirectory(prefix="tonne-altered-") as folder:
        altered = Path(folder)
        for package in ("firmware", "protocol"):
            shutil.copytree(root / package, altered / package, ignore=shutil.ignore_patterns("__pycache__"))
        with (altered / "protocol/status.py").open("ab") as file:
            file.write(b"\n")
        with bench.device(bench.profile.image) as device:
            digest = device.meter.identify().software
        with bench.device(bench.profile.image, root=altered) as device:
            other = device.meter.identify().software
        bench.point(
            "identity.software", IDENTIFICATION, int(digest == software_digest(root)), low=1, what="digest of what runs"
        )
        right = other == software_digest(altered) != digest
        bench.point("identity.software_changes", IDENTIFICATION, int(right), low=1, what="digest changes with one byte")
