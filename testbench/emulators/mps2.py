"""MicroPython on an emulated Cortex-M3: the board MPS2 AN385 under `qemu-system-arm`, deterministic to the instruction.

About 400 M instructions a second, forty times the emulated Pico, and the same 32-bit MicroPython: small ints of 31
bits, single-precision floats, native code. It has no flash, no `time`, no `select`.

QEMU runs with `-icount shift=7`: one instruction is 128 ns of its virtual time. The CMSDK timer counts at 25 MHz, so
3.2 ticks are one instruction and a count of ticks gives the number of instructions exactly (a shift of 0 would leave
25 instructions to a tick). Between calls the process is stopped, for MicroPython's REPL polls its UART.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from hostlink.flash.compile import compile_packages
from testbench.errors import DeviceError, EmulatorError
from testbench.images import mps2_image
from testbench.images.mpy import romfs

_ICOUNT_SHIFT = 7
_TIMER_HZ = 25_000_000  # AN385: CMSDK timer 0 on the 25 MHz system clock
_ROM = 0x21000000  # PSRAM, which MicroPython leaves alone
_PROMPT = b"raw REPL; CTRL-B to exit\r\n>"
_START_S = 20.0

_PRELUDE = """
import array, machine, micropython
_marks = array.array('I', [0, 0])
machine.mem32[0x40000000] = 0
machine.mem32[0x40000008] = 0xffffffff
machine.mem32[0x40000004] = 0xffffffff
machine.mem32[0x40000000] = 1
@micropython.viper
def _mark(index: int):
    timer = ptr32(0x40000004)
    marks = ptr32(_marks)
    marks[index] = timer[0]
"""

_MOUNT = """
import sys, uctypes, vfs
vfs.mount(vfs.VfsRom(uctypes.bytearray_at({address}, {size})), '/rom')
sys.path.append('/rom')
"""

_COUNT = """
{setup}
def _measured():
    _mark(0)
    {statement}
    _mark(1)
for _ in range(2):
    _measured()
print((_marks[0] - _marks[1]) & 0xffffffff)
"""


class Mps2:
    """A running MPS2. `with Mps2(packages=[...]) as mps2: mps2.run("print(1)")`.

    packages: directories or `.py` files, compiled for armv7m and importable by their own names.
    image: an ELF; default `testbench.images.mps2_image()`.
    link: the path of a pseudo-terminal on the board's UART1 (CMSDK, at 0x40005000).
    Raises ImageUnavailable, EmulatorError.
    """

    def __init__(self, packages: Sequence[Path] = (), image: Path | None = None) -> None:
        qemu = shutil.which("qemu-system-arm")
        if qemu is None:
            raise EmulatorError("qemu-system-arm is not installed: apt-get install qemu-system-arm")
        image = image or mps2_image()
        rom = romfs(compile_packages(packages, "armv7m")) if packages else b""
        command = [qemu, "-M", "mps2-an385", "-display", "none", "-monitor", "null", "-semihosting"]
        command += ["-icount", f"shift={_ICOUNT_SHIFT},sleep=off", "-serial", "pty", "-serial", "pty"]
        command += ["-kernel", str(image)]
        with tempfile.NamedTemporaryFile(suffix=".romfs") as file:
            if rom:
                file.write(rom)
                file.flush()
                command += ["-device", f"loader,file={file.name},addr={_ROM:#x},force-raw=on"]
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            self._repl = -1
            self._received = b""
            try:
                self._connect()
                self._start(len(rom))
            except BaseException:
                self.close()
                raise
        self._pause()

    def _connect(self) -> None:
        assert self._process.stdout is not None
        terminals = []
        for _ in range(2):  # "char device redirected to /dev/pts/3 (label serial0)"
            words = self._process.stdout.readline().decode().split()
            if len(words) < 5:
                raise EmulatorError(f"qemu-system-arm did not start: {self._last_words()}")
            terminals.append(words[4])
        self._prompt_url = terminals[0]
        self._repl = os.open(terminals[0], os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._repl)
        self.link = terminals[1]

    def _start(self, rom: int) -> None:
        self._wait(b">>> ", _START_S)
        self._write(b"\x01")
        self._wait(_PROMPT, _START_S)
        self.run(_PRELUDE)
        if rom:
            self.run(_MOUNT.format(address=_ROM, size=rom))

    def run(self, code: str, timeout: float = 60.0) -> str:
        """Execute `code` in `__main__` and return what it printed.

        timeout: host seconds. Raises DeviceError with the traceback, EmulatorError if the board ends or is silent.
        """
        self._resume()
        try:
            self._write(code.encode() + b"\x04")
            self._wait(b"OK", timeout)
            printed = self._wait(b"\x04", timeout)[:-1]
            raised = self._wait(b"\x04>", timeout)[:-2]
        finally:
            self._pause()
        if raised:
            raise DeviceError(raised.decode(errors="replace").strip().replace("\r\n", "\n"))
        return printed.decode().replace("\r\n", "\n")

    @contextmanager
    def at_its_own_pace(self) -> Iterator[str]:
        """Let it run until the end of the context; gives the port of its prompt, for another program to open."""
        self._resume()
        try:
            yield self._prompt_url
        finally:
            self._pause()

    def count(self, statement: str, setup: str = "") -> int:
        """Instructions that one line `statement` executes in a function, after `setup` and a first, unmeasured run.

        Calls, loads of names and everything the interpreter does for the line are part of it. Raises as `run`.
        """
        return self._count(statement, setup) - self._count("pass", "")

    def _count(self, statement: str, setup: str) -> int:
        ticks = int(self.run(_COUNT.format(setup=setup, statement=statement)))
        return round(ticks * 1e9 / _TIMER_HZ / (1 << _ICOUNT_SHIFT))

    def close(self) -> None:
        """End the process. Nothing of it stays."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()
        if self._repl >= 0:
            os.close(self._repl)
            self._repl = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def _pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._repl, data) :]

    def _wait(self, end: bytes, timeout: float) -> bytes:
        """Bytes up to and including `end`."""
        limit = time.monotonic() + timeout
        while end not in self._received:
            if self._process.poll() is not None:
                raise EmulatorError(f"qemu-system-arm ended: {self._last_words()}")
            ready, _, _ = select.select([self._repl], [], [], max(0.0, limit - time.monotonic()))
            if not ready:
                raise EmulatorError(
                    f"the board was silent for {timeout} s; expected {end!r}, got {self._received[-80:]!r}"
                )
            self._received += os.read(self._repl, 65536)
        head, _, self._received = self._received.partition(end)
        return head + end

    def _last_words(self) -> str:
        assert self._process.stderr is not None
        self._process.kill()
        lines = self._process.stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"
