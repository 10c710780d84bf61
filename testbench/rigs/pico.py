"""Rig `pico`: the meter's image, MicroPython and firmware, in an RP2040 emulator; its links are pseudo-terminals.

A thread lets the Pico's time pass, never faster than ours, and carries bytes between wires and terminals, so any serial
tool can talk to `url` (UART 0) and `usb_url` (the USB port, with the REPL). Busy, a second of its time takes 15 s of
ours: give `rig.now` to `hostlink.meter.connect(clock=…)`, and the host's time-outs are the Pico's.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import threading
import time
import tty
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from testbench.emulators.edges import Edge, pulse_train
from testbench.emulators.pico import Pico
from testbench.errors import EmulatorError
from testbench.images import littlefs_image, meter_image
from testbench.micropython import device_root
from testbench.rigs.fitted import Fitted

SERVING_PIN = 25
"""The LED: lit while the meter serves."""
PULSE_PIN = 5
SETTLE_US = 100
PULSE_HZ = 1000.0
START_S = 10.0

FILES_FROM, FILES_TO, STORE_FROM, STORE_TO = 2, 96, 96, 352
"""Blocks of `firmware.boards.pico_flash`; a test holds the two together."""
_STEP_S = 0.002
_BEHIND_S = 0.05


def board_config(
    serial: str = "TONNE-0001", address: int = 1, channels: int = 1, baud: int = 115200, **more: Any
) -> dict[str, Any]:
    """A board.json: pulse inputs on GPIO 5, 6, …, the link on UART 0 with its RS-485 direction on GPIO 2."""
    pulses = [{"driver": "pulse", "pin": PULSE_PIN + n, "settle_us": SETTLE_US} for n in range(channels)]
    link = {"uart": 0, "tx": 0, "rx": 1, "baud": baud, "direction": 2}
    return {"serial": serial, "address": address, "link": link, "channels": pulses, **more}


def boot_file() -> bytes:
    """The boot.py of a board."""
    return (device_root() / "firmware/boards/pico_boot.py").read_bytes()


def put_files(board: Pico, files: Mapping[str, bytes]) -> None:
    """Lay out a Pico's flash for the meter: `files` in its filesystem, the store as it is."""
    start = littlefs_image.START
    bootstrap = littlefs_image.build({"boot.py": boot_file()})
    board.write_flash(start, bootstrap[: FILES_FROM * littlefs_image.BLOCK])
    image = littlefs_image.build(files, FILES_TO - FILES_FROM)
    board.write_flash(start + FILES_FROM * littlefs_image.BLOCK, image)


def get_files(board: Pico) -> dict[str, bytes]:
    """The files of a Pico laid out for the meter. Raises littlefs.LittleFSError if its filesystem does not mount."""
    start = littlefs_image.START + FILES_FROM * littlefs_image.BLOCK
    return littlefs_image.read(board.read_flash(start, (FILES_TO - FILES_FROM) * littlefs_image.BLOCK))


class Terminal:
    """A pseudo-terminal; `url` is what a serial tool opens, here are `read` and `write` of the other end."""

    def __init__(self) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.url = os.ttyname(self._slave)
        self.tap: Callable[[bytes], None] | None = None
        """If given, takes what would be written."""

    def read(self) -> bytes:
        with contextlib.suppress(BlockingIOError, OSError):
            return os.read(self._master, 4096)
        return b""

    def write(self, data: bytes) -> None:
        """Bytes that nobody reads are lost once the terminal is full, as on a wire."""
        if self.tap:
            self.tap(data)
            return
        with contextlib.suppress(BlockingIOError):
            os.write(self._master, data)

    def unplug(self) -> None:
        """Pull the cable: the port is gone for whoever has it open."""
        with contextlib.suppress(OSError):
            os.close(self._master)

    def close(self) -> None:
        for end in (self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(end)


class Pump:
    """Lets a Pico's time pass on a thread of its own, at most as fast as ours, and joins its wires to terminals.

    Whoever touches the board meanwhile holds `lock`. An EmulatorError ends the thread and is raised by `check`.
    """

    def __init__(self, board: Pico, uart: int = 0) -> None:
        self.board = board
        self.lock = threading.RLock()
        self.link, self.usb = Terminal(), Terminal()
        self.before: Callable[[float], None] | None = None
        """Told of each step of time before the board takes it, also while it has no power: what stimulates it steps first."""
        self._uart = uart
        self._outgoing = bytearray()
        self._error: Exception | None = None
        self._stopping = False
        board.sent[uart] = self._outgoing.extend
        self._thread = threading.Thread(target=self._run, name="pico", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the thread, close the terminals."""
        self._stopping = True
        self._thread.join()
        self.link.close()
        self.usb.close()

    def check(self) -> None:
        """Raise what ended the thread, if something did."""
        if self._error:
            raise EmulatorError(f"the emulated Pico stopped: {self._error}")

    def advance(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let so much of the Pico's time pass, as fast as may be; True as soon as `until()`, looked at every 2 ms."""
        with self.lock:
            end = self.board.now + seconds
            while not until():
                left = end - self.board.now
                if left <= 1e-9:
                    return False
                self._step(min(_STEP_S, left))
            return True

    def _run(self) -> None:
        ours, its = time.monotonic(), self.board.now
        while not self._stopping:
            passed = time.monotonic() - ours
            with self.lock:
                ahead = self.board.now - its - passed
                if ahead < 0 and (self.board.powered or self.before):
                    try:
                        self._step(_STEP_S)
                    except Exception as error:
                        self._error = error
                        return
            if ahead < -_BEHIND_S or ahead > _BEHIND_S:
                ours, its = time.monotonic(), self.board.now
            if ahead >= 0:
                time.sleep(_STEP_S)
            else:
                time.sleep(0)

    def _step(self, seconds: float) -> None:
        board = self.board
        incoming = self.link.read()
        if incoming and board.powered:
            board.send(self._uart, incoming)
        incoming = self.usb.read()
        if incoming and board.powered:
            board.usb.send(incoming)
        if self.before:
            self.before(seconds)
        if self.before and not board.powered:
            return
        board.run_for(seconds)
        if self._outgoing:
            self.link.write(bytes(self._outgoing))
            self._outgoing.clear()
        received = board.usb.received
        if received:
            self.usb.write(bytes(received))
            received.clear()


class StoreFlash:
    """The part of a Pico's flash that the meter keeps its store in."""

    size = (STORE_TO - STORE_FROM) * littlefs_image.BLOCK

    def __init__(self, board: Pico) -> None:
        self._board = board

    def read(self, at: int, size: int) -> bytes:
        """`size` bytes from `at` on."""
        return self._board.read_flash(self._from(at), size)

    def write(self, at: int, data: bytes) -> None:
        """Put `data` there. Raises EmulatorError while the meter has power."""
        self._board.write_flash(self._from(at), data)

    def _from(self, at: int) -> int:
        return littlefs_image.START + STORE_FROM * littlefs_image.BLOCK + at


class PicoRig:
    """A meter on an emulated Pico. Use as a context manager, or `power.on()` and `close()`.

    config: board.json (`board_config`); image: a UF2, default the meter's own (`make image`), built if need be.
    `url` stays the same over power cuts.
    Raises ImageUnavailable, EmulatorError.
    """

    def __init__(
        self,
        profile: bytes,
        *,
        config: Mapping[str, Any] | None = None,
        image: Path | None = None,
        seed: int = 0,
    ) -> None:
        self.config = dict(config or board_config())
        self.board = Pico(image or meter_image(build=True), seed=seed)
        put_files(self.board, {"board.json": json.dumps(self.config).encode(), "profile.bin": profile})
        self.chips = Fitted(self.board, self.config)
        """Models of the chips that `config` names."""
        self.pump = Pump(self.board)
        self.url, self.usb_url = self.pump.link.url, self.pump.usb.url
        self.boot_s = 0.0
        """Seconds of the Pico's time from power to serving, at the last `on`."""
        self.flash = StoreFlash(self.board)
        self.power = self.stimulus = self.clock = self

    def __enter__(self) -> Self:
        self.on()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def on(self) -> None:
        """Apply power and wait until the meter serves. Raises EmulatorError with what it printed if it does not."""
        with self.pump.lock:
            self.board.on()
            began = self.board.now
            for spec in self.config["channels"]:
                if "pin" in spec:
                    self.board.drive(spec["pin"], True)
            if "brownout" in self.config:
                self.board.drive(self.config["brownout"], True)
            printed = bytearray()
            self.pump.usb.tap = printed.extend
            try:
                if not self.pump.advance(START_S, lambda: self.board.level(SERVING_PIN)):
                    raise EmulatorError(
                        f"the meter did not start within {START_S} s: {printed.decode(errors='replace')}"
                    )
            finally:
                self.pump.usb.tap = None
            self.boot_s = self.board.now - began

    def off(self) -> None:
        """Take power away, between two instructions; flash stays as it is, half-written included."""
        with self.pump.lock:
            self.board.off()
            self.chips.power_lost()

    def close(self) -> None:
        """Power off, stop, remove every trace."""
        self.pump.close()
        self.board.off()

    def now(self) -> float:
        """Seconds the Pico has had power: the clock of the host's time-outs."""
        self.pump.check()
        return self.board.now

    def pulses(self, channel: int, count: int) -> None:
        """`count` pulses on a channel's pin at 1 kHz, jittered, and the Pico's time passes meanwhile; or in its chip, at once."""
        if self.chips.channels[channel] is not None:
            with self.pump.lock:
                self.chips.count(channel, count)
            return
        self.edges(channel, pulse_train(count, PULSE_HZ, jitter=0.1))
        self.advance(int(1000 * count / PULSE_HZ) + 1)

    def edges(self, channel: int, train: Sequence[Edge] | Iterator[Edge]) -> None:
        """Drive a channel's pin through a train that starts now."""
        with self.pump.lock:
            self.board.edges(self.config["channels"][channel]["pin"], train)

    def condition(self, source: int, value: int | None) -> None:
        """Input `source` measures `value` in the condition's unit; None: its instrument is gone."""
        with self.pump.lock:
            self.chips.measure(source, value)

    def brown_out(self, failing: bool = True) -> None:
        """The supply signals that it is about to fail, or that it is good again."""
        with self.pump.lock:
            self.board.drive(self.config["brownout"], not failing)

    def advance(self, milliseconds: int) -> None:
        """Let the Pico's time pass, as fast as the emulator can."""
        self.pump.advance(milliseconds / 1000)

    def settle(self) -> None:
        """Return when the meter has sampled everything given so far: two of its sampling periods."""
        self.pump.advance(0.25)

    def cut_in_flash_write(self, operation: int, share: float, limit: float = 5.0) -> None:
        """Take power away when the `operation`-th erase or program from now has had `share` of its time."""
        with self.pump.lock:
            self.board.run_to_flash_write(operation, share, limit)
            self.board.off()
            self.chips.power_lost()
