"""MicroPython images for the emulated targets, built once and cached for this user.

`pico_image()` is MicroPython 1.25.0 for the Raspberry Pi Pico (UF2); `mps2_image()` is MicroPython's `qemu` port for
the board MPS2_AN385, a Cortex-M3 (ELF). Both are built from Debian trixie's source packages by `build.sh`, which
needs apt; elsewhere the environment names an image: `PICO_UF2=path`, `MPS2_ELF=path`.

The cache is `$XDG_CACHE_HOME/tonne/images` (`~/.cache/tonne/images`): every clone and worktree shares it. Sources are
keyed by the digest of the recipe, images by that and the digest of everything frozen into them.

Errors: `ImageUnavailable` is the only one raised here; its message is one line that says what to do.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hostlink.flash.compile import PACKAGES, lay_out, pico_application, pico_sources, software_digest, source_root
from testbench.errors import ImageUnavailable
from testbench.images import uf2

_RECIPE = Path(__file__).with_name("build.sh")
_PORT_MODULES = {
    "pico": 'freeze("$(PORT_DIR)/modules")\n',
    "meter": 'freeze("$(PORT_DIR)/modules", "rp2.py")\n',
    "mps2": "",
}


def pico_image(frozen: Sequence[Path] = (), *, build: bool = False) -> Path:
    """The UF2 of MicroPython for the Pico.

    frozen: packages (directories) and modules (`.py` files) to freeze into the image under their own names.
    build: build it when it is not cached (about a minute the first time); otherwise a missing image raises.
    Raises ImageUnavailable.
    """
    named = _named("PICO_UF2") if not frozen else None
    return named or _image("pico", "uf2", frozen, build)


def modules_image(*, build: bool = False) -> Path:
    """The UF2 with every module of the firmware under its own name, not linked: for what tests or measures one by itself."""
    return pico_image([source_root() / package for package in PACKAGES], build=build)


def mps2_image(frozen: Sequence[Path] = (), *, build: bool = False) -> Path:
    """The ELF of MicroPython for the MPS2 AN385; arguments and errors as `pico_image`."""
    named = _named("MPS2_ELF") if not frozen else None
    return named or _image("mps2", "elf", frozen, build)


def meter_image(*, build: bool = False) -> Path:
    """The UF2 of the Pico's MicroPython with the meter's firmware frozen in: nothing is on the filesystem but what is a
    unit's own, and once that is there the prompt is closed (`firmware/boards/pico_image`). Arguments and errors as `pico_image`.
    """
    cache = _cache()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            stage(Path(folder) / "meter")
            digest = _digest("", [Path(folder) / "meter"])
            staged = cache / f"meter-{digest}"
            if not staged.exists():
                (Path(folder) / "meter").rename(staged)
    except OSError as error:
        raise ImageUnavailable(f"cannot lay out the meter's image in {cache}: {error}") from error
    return _image("meter", "uf2", [staged], build)


def stage(folder: Path) -> None:
    """Lay out in `folder` what a meter's image freezes: the linked modules, those that MicroPython starts, the digest."""
    lay_out(pico_sources(), folder)
    boards = source_root() / "firmware/boards"
    for source in (*(boards / "pico_image").glob("*.py"), boards / "slots.py"):
        shutil.copy(source, folder / source.name)
    digest = software_digest(pico_application())
    (folder / "frozen_digest.py").write_text(f"DIGEST = {digest!r}\n")


def manifest(port: str, frozen: Iterable[Path]) -> str:
    """MicroPython manifest text that freezes `frozen` beside the modules the port needs itself."""
    text = _PORT_MODULES[port]
    if port == "meter":
        return text + "".join(f"freeze({str(path)!r}, opt=3)\n" for path in frozen)
    for path in (path.resolve() for path in frozen):
        kind = "module" if path.suffix == ".py" else "package"
        text += f"{kind}({path.name!r}, base_path={str(path.parent)!r}, opt=3)\n"
    return text


def _named(variable: str) -> Path | None:
    value = os.environ.get(variable)
    if not value:
        return None
    path = Path(value)
    if not path.is_file():
        raise ImageUnavailable(f"{variable} names {value}, which is not a file: correct it or unset it")
    return path


def _image(port: str, suffix: str, frozen: Sequence[Path], build: bool) -> Path:
    recipe = hashlib.sha256(_RECIPE.read_bytes()).hexdigest()[:16]
    cache = _cache()
    image = cache / f"{port}-{_digest(recipe, frozen)}.{suffix}"
    if image.exists():
        return image
    if not build:
        goal, variable = {"pico": ("pico", "PICO_UF2"), "meter": ("image", "TONNE_UF2"), "mps2": ("mps2", "MPS2_ELF")}[
            port
        ]
        raise ImageUnavailable(f"no {port} image yet: run `make {goal}` (Debian), or set {variable}=path")
    tree = cache / f"sources-{recipe}"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _lock(cache / "lock"):
            if not image.exists():
                _fetch(tree)
                _compile(port, tree, image, manifest(port, frozen))
    except OSError as error:
        raise ImageUnavailable(f"cannot build the {port} image: {error}") from error
    return image


def _fetch(tree: Path) -> None:
    ready = tree / "ready"
    if not ready.exists():
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir()
        _build(tree, "sources", tree)
        ready.touch()


def _compile(port: str, tree: Path, image: Path, text: str) -> None:
    source = tree / f"{port}-manifest.py"
    if not source.exists() or source.read_text() != text:
        source.write_text(text)
    output = tree / f"{port}.new"
    target = "pico" if port == "meter" else port
    # What was frozen for another image is taken for the same module if it is newer: linked and plain sources share their paths.
    shutil.rmtree(tree / target / "frozen_mpy", ignore_errors=True)
    _build(tree, target, tree, source, output)
    if image.suffix == ".uf2":
        output.write_bytes(uf2.from_bin(output.read_bytes()))
    output.rename(image)


def _build(tree: Path, step: str, *arguments: Path) -> None:
    log = tree / f"{step}.log"
    with log.open("wb") as sink:
        command = ["nice", "bash", str(_RECIPE), step, *map(str, arguments)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        lines = log.read_text(errors="replace").strip().splitlines() or ["nothing was printed"]
        raise ImageUnavailable(f"building {step} failed: {lines[-1]} (whole log: {log})")


def _digest(recipe: str, frozen: Sequence[Path]) -> str:
    digest = hashlib.sha256(recipe.encode() + (b"frozen anew" if frozen else b""))
    for path in frozen:
        if not path.exists():
            raise ImageUnavailable(f"cannot freeze {path}: no such package or module")
        files = [path] if path.is_file() else sorted(path.rglob("*.py"))
        for file in files:
            content = file.read_bytes()
            digest.update(f"{file.relative_to(path.parent)} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "tonne" / "images"


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
