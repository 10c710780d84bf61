"""A board at MicroPython's prompt, over mpremote's SerialTransport: the one module that knows it (version 1.29)."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import serial
from serial.tools import list_ports

from hostlink.errors import BoardError, PortError
from hostlink.transport import explain

PICO_USB = (0x2E8A, 0x0005)
"""Raspberry Pi, MicroPython on the RP2040."""
MACHINE = "Raspberry Pi Pico with RP2040"
VERSIONS = ((1, 25),)
"""MicroPython versions that the firmware was proved on."""
FILE_BLOCKS = 94
ALL_BLOCKS = 352
_CHUNK = 1024
_READ_S = 30.0
"""Seconds that a board at its prompt may take for one step; an emulated one on a busy machine does."""
_RUN_S = 300.0
"""Seconds that code on the board may take before it prints."""
PROMPT_S = 3.0
_LISTEN_S = 2.0
_NOTHING = b"\0\0\0\0"
"""Never said at a prompt: what is read until it comes is read until all is quiet."""

_HOLD = """
import machine
if machine.mem32[0x40058000]>>30&1:
 _w=machine.WDT(timeout=8000)
 _t=machine.Timer(-1,period=2000,mode=1,callback=lambda t:_w.feed())
"""
"""The watchdog, once on, cannot be turned off (RP2040 datasheet 4.7): the prompt feeds it."""

_INSPECT = """
import sys,os,machine,json
m=sys.implementation
try:s=os.statvfs('/');n=os.listdir('/')
except (OSError,AttributeError):s=(0,)*10;n=[]
u=machine.unique_id() if hasattr(machine,'unique_id') else b''
try:from frozen_digest import DIGEST as d
except ImportError:d=b''
print(json.dumps([m[0],list(m[1][:3]),m._machine,u.hex(),s[2],s[3]*s[0],n,d.hex()]))
"""

_DIGESTS = """
import os,hashlib,json
def _d(p,o):
 for e in os.ilistdir(p or '/'):
  q=p+'/'+e[0]
  if e[1]&0x4000:_d(q,o)
  elif ONLY is not None and q[1:] not in ONLY:o[q[1:]]=''
  else:
   h=hashlib.sha256()
   with open(q,'rb') as f:
    while True:
     b=f.read(1024)
     if not b:break
     h.update(b)
   o[q[1:]]=h.digest().hex()
_o={}
_d('',_o)
print(json.dumps(_o))
"""

_LAY_OUT = """
import rp2,vfs
_b=rp2.Flash()
for _n in (2,3):_b.ioctl(6,_n)
try:vfs.umount('/')
except OSError:pass
vfs.VfsLfs2.mkfs(_b,progsize=256)
vfs.mount(vfs.VfsLfs2(_b,progsize=256),'/')
with open('/boot.py','wb') as _f:_f.write(BOOT)
exec(BOOT)
"""


@dataclass(frozen=True)
class Found:
    """What a board says of itself; `uid` is the serial number of its flash, `free` bytes of its mounted filesystem, `frozen` the
    digest of the firmware in its image (`make image`), empty for a stock MicroPython.
    """

    uid: str
    name: str
    machine: str
    version: tuple[int, ...]
    blocks: int
    free: int
    names: tuple[str, ...]
    frozen: str = ""

    def check(self) -> None:
        """Raises BoardError if its MicroPython is not one that the firmware was proved on."""
        if self.name != "micropython" or self.version[:2] not in VERSIONS:
            wanted = " or ".join(".".join(map(str, version)) for version in VERSIONS)
            found = f"{self.name} {'.'.join(map(str, self.version))}"
            raise BoardError(f"expected MicroPython {wanted}, found {found}: put that image on the board first")

    @property
    def laid_out(self) -> bool:
        """Whether its flash is laid out for the meter."""
        return self.blocks == FILE_BLOCKS


def find() -> list[str]:
    """The ports of all boards on USB that MicroPython for the Pico runs on."""
    return sorted(port.device for port in list_ports.comports() if (port.vid, port.pid) == PICO_USB)


class Board:
    """A board at its prompt. Use as a context manager. Raises PortError (no port, busy), BoardError."""

    def __init__(self, url: str) -> None:
        try:
            from mpremote.transport import TransportError
            from mpremote.transport_serial import SerialTransport
        except ImportError:
            raise BoardError("mpremote is not installed: pip install 'tonne[flash]'") from None
        self.url = url
        self._transport_error = TransportError
        try:
            serial.serial_for_url(url, exclusive=True).close()
            self._transport = SerialTransport(url, timeout=_READ_S)
        except (TransportError, serial.SerialException, OSError, ValueError) as error:
            raise PortError(explain(url, error)) from None

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the port back, if it is still there."""
        with contextlib.suppress(PortError):
            self._guard(self._transport.close)

    def prompt(self, attempts: int = 3, seconds: float = PROMPT_S) -> None:
        """Stop what runs and get the raw prompt, each time waited for so many seconds. Raises BoardError."""
        serial_, read_until = self._transport.serial, self._transport.read_until
        end = b"raw REPL; CTRL-B to exit\r\n"
        data = b""
        self._guard(setattr, serial_, "timeout", _LISTEN_S)
        for _ in range(attempts):
            self._guard(serial_.write, b"\r\x03\x03")
            self._guard(read_until, 1, _NOTHING, timeout=_LISTEN_S)
            self._guard(serial_.write, b"\r\x01")
            data = self._guard(read_until, 1, end, timeout=seconds)
            if data.endswith(end):
                # What was cut off before may still answer: once all is quiet, the prompt is asked for again and comes once.
                self._guard(read_until, 1, _NOTHING, timeout=_LISTEN_S)
                self._guard(serial_.write, b"\r\x01")
                data = self._guard(read_until, 1, end, timeout=seconds)
            if data.endswith(end):
                self._transport.in_raw_repl = True
                self._guard(setattr, serial_, "timeout", _READ_S)
                return
        raise BoardError(
            f"expected MicroPython's prompt on {self.url}, got {data[-40:]!r}: no MicroPython, its REPL is closed"
            " (an image of `make image`), or the port is another device's"
        )

    def run(self, code: str, seconds: float = _RUN_S) -> str:
        """What `code` prints. Raises BoardError with the last line of its traceback."""
        printed, raised = self._guard(self._transport.exec_raw, code, timeout=seconds)
        if raised:
            last = raised.decode(errors="replace").strip().splitlines()[-1]
            raise BoardError(f"code on the board raised {last}")
        return printed.decode(errors="replace")

    def inspect(self) -> Found:
        """What it is; from here on its watchdog is fed.

        Raises BoardError if it is no Pico.
        """
        name, version, machine, uid, blocks, free, names, frozen = json.loads(self.run(_INSPECT))
        if machine != MACHINE:
            running = f"{name} {'.'.join(map(str, version))} on {machine}"
            raise BoardError(f"expected {MACHINE}, found {running}: this firmware is for another board")
        self.run(_HOLD)
        return Found(uid, name, machine, tuple(version), blocks, free, tuple(names), frozen)

    def lay_out(self, boot: bytes) -> None:
        """Format the board's files and lay its flash out for the meter; the store is left as it is."""
        self.run(f"BOOT={boot!r}\n{_LAY_OUT}")

    def digests(self, only: Collection[str] | None = None) -> dict[str, str]:
        """SHA-256 of every file by path; if `only` is given, the empty text for all others."""
        return json.loads(self.run(f"ONLY={None if only is None else tuple(only)!r}\n{_DIGESTS}"))

    def write(self, path: str, data: bytes, progress: Callable[[int], None] = lambda done: None) -> None:
        """Put a file in place, its folders too: beside it first, then over it. Raises BoardError, also where it is full."""
        folder = PurePosixPath(path).parent
        folders = [str(part) for part in [*reversed(folder.parents), folder] if str(part) != "."]
        self.run(f"import os\nfor _p in {folders!r}:\n try:os.mkdir(_p)\n except OSError:pass\n")
        try:
            self._guard(
                self._transport.fs_writefile, "new.part", data, _CHUNK, progress_callback=lambda done, _: progress(done)
            )
        except OSError as error:
            raise BoardError(f"cannot write {path}: {_reason(error)}") from None
        self.run(f"os.rename('new.part',{path!r})")

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files."""
        self.run(f"import os\nfor _p in {list(paths)!r}:os.remove(_p)\n")

    def restart(self) -> None:
        """Reset the board: it starts what is on it."""
        self._guard(self._transport.exec_raw_no_follow, "import machine,time\ntime.sleep_ms(50)\nmachine.reset()")

    def _guard(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        try:
            return call(*arguments, **named)
        except self._transport_error as error:
            raise BoardError(f"{self.url}: the board does not answer as MicroPython does: {error}") from None
        except serial.SerialException as error:
            raise PortError(
                f"{self.url} went away: {error}; check the cable, then run the same command again"
            ) from None
        except OSError as error:
            if error.errno in (5, 6, 19):  # EIO, ENXIO, ENODEV: the device behind the port is gone
                raise PortError(
                    f"{self.url} went away: {error}; check the cable, then run the same command again"
                ) from None
            raise


def digest(data: bytes) -> str:
    """SHA-256 as `Board.digests` has it."""
    return hashlib.sha256(data).hexdigest()


def _reason(error: OSError) -> str:
    return "the board's filesystem is full" if error.errno == 28 else str(error)
