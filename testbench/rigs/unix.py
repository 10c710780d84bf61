"""Rig `unix`: the firmware in a real MicroPython process, its link a pseudo-terminal, its time and pulses from here."""

import contextlib
import json
import os
import pty
import select
import shutil
import struct
import subprocess
import tempfile
import threading
import tty
from pathlib import Path

from hostlink.errors import TonneError
from protocol import status as flags
from testbench.micropython import device_root, interpreter

COMMAND = struct.Struct("<BBHI")
"""The bench's commands, as `firmware/boards/unix.py` takes them."""
HEAP = "2m"
ADVANCE_LIMIT = 0xFFFFFFFF
ROOT_VARIABLE = "TONNE_DEVICE"
"""Names the folder of what rigs run that are given none: how the suites run the linked application (`make linked`)."""
RESTART = 75
"""Exit code of a meter that wants to be started again."""
POWER_CUT = 76
"""Exit code of a meter whose power went in a write to flash."""
FLASH_SIZE = 256 * 4096
"""What the Pico sets aside for the store (`firmware.store.layout`)."""
ANSWER_SECONDS = 60.0


class RigError(TonneError):
    """The device under test did not start, or ended by itself."""

    exit_code = 3


class UnixRig:
    """A meter as a process. Use as a context manager, or `power.on()` and `close()`.

    `url` stays the same over power cuts, and so does `flash`. `time` is UNIX seconds at first power-up, None for a clock that
    is not set; time that passes without power reaches the meter if it has a clock with a battery, `rtc`. `root` holds the
    packages `firmware` and `protocol` that run; by default this installation's.
    """

    def __init__(
        self,
        profile: bytes,
        *,
        serial: str = "TONNE-0001",
        address: int = 1,
        time: int | None = None,
        heap: str = HEAP,
        root: Path | None = None,
        rtc: bool = True,
        flash_size: int = FLASH_SIZE,
        slots: bool = False,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tonne-rig-")
        self.folder = Path(self._folder.name)
        self.root = root or Path(os.environ.get(ROOT_VARIABLE, device_root()))
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.url = os.ttyname(self._slave)
        (self.folder / "profile.bin").write_bytes(profile)
        self._config = {
            "address": address,
            "link": self._master,
            "profile": str(self.folder / "profile.bin"),
            "root": str(self.root),
            "serial": serial,
        }
        self.flash = FlashFile(self.folder / "flash.bin", flash_size)
        self._config["flash"] = str(self.flash.path)
        self._program = self.root / "firmware/boards/unix.py"
        if slots:
            self._program = self.root / "firmware/boards/unix_boot.py"
            self.slots = self.folder / "slots"
            self._config["slots"] = str(self.slots)
            for package in ("firmware", "protocol"):
                if (self.root / package).exists():  # the linked application has but one
                    shutil.copytree(
                        self.root / package, self.slots / "a" / package, ignore=shutil.ignore_patterns("__pycache__")
                    )
        self._start = time
        self._rtc = rtc
        self._passed = 0
        self._heap = heap
        self._process: subprocess.Popen[bytes] | None = None
        self._commands = bytearray()
        self._lock = threading.RLock()
        self._token = 0
        self.power = self.stimulus = self.clock = self

    def __enter__(self) -> "UnixRig":
        self.on()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def on(self) -> None:
        """Start the process and wait until it serves. Raises RigError."""
        self._config.pop("time", None)
        if self._start is not None and (self._rtc or not self._passed):
            self._config["time"] = self._start + self._passed // 1000
        self.flash.powered = True
        config = self.folder / "config.json"
        config.write_text(json.dumps(self._config))
        read_end, self._stdin = os.pipe()
        os.set_blocking(read_end, False)
        self._errors = (self.folder / "stderr.txt").open("wb")
        self._process = subprocess.Popen(
            [*interpreter(), "-X", f"heapsize={self._heap}", str(self._program), str(config)],
            stdin=read_end,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            pass_fds=[self._master],
            bufsize=0,
        )
        os.close(read_end)
        self._expect(b"UP\r\n")

    def off(self) -> None:
        """Kill the process: power is gone between two instructions."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        os.close(self._stdin)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()
        self._process = None
        self.flash.powered = False
        self._commands.clear()

    def stop(self) -> None:
        """Let the meter stop by itself, as a board does that is switched off in order. Raises RigError if it does not."""
        assert self._process is not None
        self.settle()
        os.close(self._stdin)
        self._stdin = os.open(os.devnull, os.O_WRONLY)
        code = self._process.wait(ANSWER_SECONDS)
        if code:
            raise self._ended()
        self.off()

    def await_restart(self, seconds: float = ANSWER_SECONDS) -> None:
        """Wait until the meter ends to be started again, as after an update, and start it. Raises RigError."""
        assert self._process is not None
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise RigError(f"expected the meter to restart within {seconds} s, it runs on") from None
        if code != RESTART:
            raise self._ended()
        self.off()
        self.on()

    def close(self) -> None:
        """Power off and remove every trace."""
        self.off()
        for end in (self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(end)
        self._folder.cleanup()

    def pulses(self, channel: int, count: int) -> None:
        """`count` quanta on `channel` at this moment of the meter's time."""
        self._send(b"P"[0], channel, count)

    def condition(self, source: int, value: int | None) -> None:
        """Input `source` of a condition measures `value` (raw) from this moment on; None: it is missing."""
        self._send(b"C"[0], source, 0xFFFFFFFF if value is None else value)

    def advance(self, milliseconds: int) -> None:
        """Let time pass, for the meter if it has power."""
        self._passed += milliseconds
        if self._process is None:
            return
        while milliseconds > ADVANCE_LIMIT:
            self._send(b"A"[0], 0, ADVANCE_LIMIT)
            milliseconds -= ADVANCE_LIMIT
        self._send(b"A"[0], 0, milliseconds)

    def tamper(self, number: int, opened: bool) -> None:
        """Tamper input `number` is open or closed from this moment on."""
        self._send(b"T"[0], number, int(opened))

    def jump(self, channel: int) -> None:
        """The external counter behind `channel` is reset or jumps: what it counted meanwhile is not known."""
        self._send(b"J"[0], channel, flags.COUNTER_JUMP)

    def brown_out(self, failing: bool = True) -> None:
        """The meter's supply signals that it is about to fail, or that it is good again."""
        self._send(b"B"[0], 0, int(failing))

    def arm_cut(self, operation: int, byte: int) -> None:
        """Have power go at byte `byte` of the `operation`-th write to flash from now on, 1 the next; see `lost_power`."""
        self._send(b"K"[0], 0, operation - 1 << 16 | byte)

    def lost_power(self) -> bool:
        """Whether the armed cut came in what was sent until now; power is then off. Raises RigError if the meter ended itself."""
        try:
            self.settle()
        except RigError:
            assert self._process is not None
            with contextlib.suppress(subprocess.TimeoutExpired):
                if self._process.wait(ANSWER_SECONDS) == POWER_CUT:
                    self.off()
                    return True
            raise
        return False

    def settle(self) -> None:
        """Return when the meter has taken in everything sent so far. Raises RigError if it ended."""
        with self._lock:
            self._token = (self._token + 1) & 0xFFFFFFFF
            self._send(b"S"[0], 0, self._token)
            self._flush()
            self._expect(struct.pack("<I", self._token))

    def _send(self, op: int, index: int, value: int) -> None:
        with self._lock:
            self._commands += COMMAND.pack(op, index, 0, value)
            if len(self._commands) >= 1 << 16:
                self._flush()

    def _flush(self) -> None:
        try:
            while self._commands:
                written = os.write(self._stdin, self._commands)
                del self._commands[:written]
        except BrokenPipeError:
            raise self._ended() from None

    def _expect(self, answer: bytes) -> None:
        assert self._process is not None and self._process.stdout is not None
        got = b""
        while len(got) < len(answer):
            ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_SECONDS)
            data = self._process.stdout.read(len(answer) - len(got)) if ready else b""
            if not data:
                raise self._ended()
            got += data
        if got != answer:
            raise RigError(f"the meter's process does not answer: {self._last_words(got)}")

    def _last_words(self, said: bytes) -> str:
        """The last line of what an ending process prints: MicroPython shows an exception on standard output."""
        assert self._process is not None and self._process.stdout is not None
        while select.select([self._process.stdout], [], [], 0.5)[0] and (data := self._process.stdout.read(4096)):
            said += data
        return said.decode(errors="replace").strip().splitlines()[-1]

    def _ended(self) -> RigError:
        self._errors.flush()
        said = (self.folder / "stderr.txt").read_text(errors="replace").strip().splitlines()
        last = said[-1] if said else "nothing on standard error"
        return RigError(f"the meter's process does not answer: {last}")


class FlashFile:
    """The meter's flash as a file. Written only without power, as a programmer on the bench does."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        self.powered = False
        path.write_bytes(b"\xff" * size)

    def read(self, at: int, size: int) -> bytes:
        """`size` bytes of flash from `at` on."""
        with self.path.open("rb") as file:
            file.seek(at)
            return file.read(size)

    def write(self, at: int, data: bytes) -> None:
        """Put `data` into flash. Raises RigError while the meter has power."""
        if self.powered:
            raise RigError("expected the meter without power to write its flash; power.off() first")
        with self.path.open("r+b") as file:
            file.seek(at)
            file.write(data)
