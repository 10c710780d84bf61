"""A Raspberry Pi Pico that needs no hardware: the real MicroPython image in rp2040py, its time counted in cycles.

    pico = Pico()
    pico.files({"main.py": b"..."})      # while it is off
    pico.on()
    pico.run_for(0.5)                    # seconds of the Pico's time
    print(pico.exec("print(1 + 1)"))

Everything happens on the caller's thread and only while time runs, so a run is deterministic to the cycle. Busy, the
chip executes about 8 M cycles a second (one second of its time takes 15 s); asleep, its time costs next to nothing,
because the USB host here, unlike rp2040py's, does not answer an idle OUT endpoint with empty packets for ever.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.execute_batch import execute_batch
from rp2040py.gpio_pin import GPIOPinState
from rp2040py.rp2040 import RP2040
from rp2040py.simulator import Simulator
from rp2040py.utils.logging import ConsoleLogger, LogLevel

from testbench.emulators import rp2040
from testbench.emulators.edges import Edge
from testbench.emulators.usb import UsbSerial
from testbench.errors import DeviceError, EmulatorError
from testbench.images import littlefs_image, pico_image, uf2

FLASH_SIZE = 2 * 1024 * 1024
CLOCK_HZ = 125_000_000
_SLICE_S = 0.001
_RAW_PROMPT = b"raw REPL; CTRL-B to exit\r\n>"
_ERASED = b"\xff"

_MARK_PIN = 22
_COUNT = """
import machine, micropython
machine.Pin({pin}, machine.Pin.OUT, value=0)
@micropython.viper
def _mark():
    ptr32(0xd000001c)[0] = 1 << {pin}
{setup}
def _measured():
    _mark()
    {statement}
    _mark()
for _ in range(3):
    _measured()
"""


class Pico:
    """One Pico and its flash. It starts without power.

    image: a UF2; default `testbench.images.pico_image()`.
    uid: the 64-bit serial number of its flash, which is the board's.
    seed: of what a power cut leaves in a half-erased sector or a half-programmed page.
    Raises ImageUnavailable, EmulatorError (rp2040py is not the version this is written for), ValueError (no UF2).
    """

    def __init__(
        self, image: Path | None = None, *, seed: int = 0, uid: bytes = b"\xe6\x60\x58\x38\x83\x00\x00\x01"
    ) -> None:
        self._chip: RP2040 | None = None
        self._flash = bytearray(_ERASED * FLASH_SIZE)
        self.bootsel(image or pico_image())
        self.files({})
        self._random = random.Random(seed)
        self._uid = uid
        self._before_ns = 0.0
        self.sent: list[Callable[[bytes], None] | None] = [None, None]
        """What takes the bytes that UART 0 and 1 send, as each leaves the wire."""
        self.wires: list[Callable[[RP2040], None]] = []
        """Called with the chip each time it gets power: what hangs on its other buses (`testbench.emulators.buses`)."""

    # Power

    @property
    def powered(self) -> bool:
        return self._chip is not None

    def on(self) -> None:
        """Apply power: the chip boots from flash as soon as time runs."""
        if self._chip is not None:
            return
        chip = RP2040()
        chip.logger = ConsoleLogger(LogLevel.ERROR)
        chip.load_bootrom(BOOTROM_B1)
        chip.flash[:FLASH_SIZE] = self._flash
        self._uarts, self._nor = rp2040.install(chip, self._uart_sent, self._random, self._uid)
        self.usb = UsbSerial(chip)
        self._simulator = Simulator(rp2040=chip)
        self._stop = chip.clock.create_alarm(self._time_is_up)
        for wire in self.wires:
            wire(chip)
        chip.leave_reset()
        self._chip = chip

    def off(self) -> None:
        """Take power away now, between two instructions; what the flash was writing stays half done."""
        if self._chip is None:
            return
        self._nor.cut()
        self._flash[:] = self._chip.flash[:FLASH_SIZE]
        self._before_ns += self._chip.clock.nanos
        self._chip = None

    # Time

    @property
    def now(self) -> float:
        """Seconds the Pico has had power since it was made."""
        return (self._before_ns + (self._chip.clock.nanos if self._chip else 0.0)) / 1e9

    def run_for(self, seconds: float) -> None:
        """Let `seconds` of the Pico's time pass, to the cycle. Raises EmulatorError if it has no power or halts."""
        self._powered_chip()
        self._stop.schedule(seconds * 1e9)
        self._run()

    def run_until(self, condition: Callable[[], bool], limit: float) -> None:
        """Let time pass until `condition()`, looked at every millisecond; raises EmulatorError after `limit` seconds."""
        end = self.now + limit
        while not condition():
            if self.now >= end:
                raise EmulatorError(f"did not happen within {limit} s of the Pico's time")
            self.run_for(_SLICE_S)

    def at(self, seconds: float, call: Callable[[], None]) -> None:
        """Have `call()` happen `seconds` from now in the Pico's time, exactly then."""
        self._powered_chip().clock.create_alarm(call).schedule(seconds * 1e9)

    def run_to_flash_write(self, operation: int, share: float, limit: float) -> None:
        """Run until the `operation`-th erase or program from now (1 = the next) has had `share` of its time."""
        remaining = operation

        def began(duration_ns: float) -> None:
            nonlocal remaining
            remaining -= 1
            if remaining == 0:
                self._stop.schedule(share * duration_ns)

        self._powered_chip()
        self._stop.schedule(limit * 1e9)
        self._nor.on_write = began
        try:
            self._run()
        finally:
            self._nor.on_write = None
        if remaining > 0:
            raise EmulatorError(f"{operation - remaining} flash writes within {limit} s, expected {operation}")

    def watch_flash(self, call: Callable[[float], None] | None) -> None:
        """Have `call(duration_ns)` happen at the beginning of each erase and program; None: no more."""
        self._powered_chip()
        self._nor.on_write = call

    def _run(self) -> None:
        simulator = self._simulator
        self._up = simulator.stopped = False
        while not simulator.stopped:
            execute_batch(simulator, 1)
        if not self._up:
            raise EmulatorError("the Pico's core halted at a breakpoint: its firmware panicked")

    def _time_is_up(self) -> None:
        self._up = True
        self._simulator.stop()

    # Flash

    def read_flash(self, offset: int, size: int) -> bytes:
        """`size` bytes of flash from `offset`."""
        return bytes((self._chip.flash if self._chip else self._flash)[offset : offset + size])

    def write_flash(self, offset: int, data: bytes) -> None:
        """Put `data` into flash, as a programmer would. Raises EmulatorError while there is power."""
        if self._chip is not None:
            raise EmulatorError("the Pico has power: cut it before writing its flash")
        self._flash[offset : offset + len(data)] = data

    def bootsel(self, image: Path) -> None:
        """Copy a UF2 onto the drive that a Pico with BOOTSEL held is: its blocks are written, all else stays."""
        if self._chip is not None:
            raise EmulatorError("the Pico has power: cut it before writing its flash")
        uf2.write_flash(image.read_bytes(), self._flash)

    def files(self, files: Mapping[str, bytes]) -> None:
        """Make the filesystem hold exactly `files`, by path. Raises EmulatorError while there is power."""
        self.write_flash(littlefs_image.START, littlefs_image.build(files))

    def read_files(self) -> dict[str, bytes]:
        """The files in flash, by path. Raises littlefs.LittleFSError if the filesystem does not mount."""
        return littlefs_image.read(self.read_flash(littlefs_image.START, littlefs_image.BLOCK * littlefs_image.BLOCKS))

    # Pins and wires

    def drive(self, pin: int, level: bool) -> None:
        """Drive an input pin."""
        self._powered_chip().gpio[pin].set_input_value(level)

    def voltage(self, pin: int, raw: int) -> None:
        """Have the converter read `raw`, 12 bits, at GPIO 26 to 29."""
        self._powered_chip().adc.channel_values[pin - 26] = raw

    def level(self, pin: int) -> bool:
        """Whether the chip drives `pin` high now."""
        return self._powered_chip().gpio[pin].value == GPIOPinState.HIGH

    def watch(self, pin: int, call: Callable[[bool, float], None]) -> None:
        """Have `call(level, now)` happen at each edge the chip makes on `pin`."""

        def changed(value: GPIOPinState, _before: GPIOPinState) -> None:
            if value in (GPIOPinState.LOW, GPIOPinState.HIGH):
                call(value == GPIOPinState.HIGH, self.now)

        self._powered_chip().gpio[pin].add_listener(changed)

    def edges(self, pin: int, train: Iterable[Edge]) -> None:
        """Drive `pin` through a train (see `edges.pulse_train`) that starts now."""
        chip = self._powered_chip()
        start = chip.clock.nanos
        coming: Iterator[Edge] = iter(train)
        level = True

        def step() -> None:
            nonlocal level
            chip.gpio[pin].set_input_value(level)
            arm()

        def arm() -> None:
            nonlocal level
            following = next(coming, None)
            if following is not None:
                moment, level = following
                alarm.schedule(max(0.0, start + moment * 1e9 - chip.clock.nanos))

        alarm = chip.clock.create_alarm(step)
        arm()

    def send(self, uart: int, data: bytes) -> None:
        """Put `data` on the RX wire of a UART, at the rate the firmware has set."""
        self._powered_chip()
        self._uarts[uart].receive(data)

    def lost(self, uart: int) -> int:
        """Bytes that arrived at a full receive FIFO since power on."""
        self._powered_chip()
        return self._uarts[uart].lost

    # The REPL

    def exec(self, code: str, limit: float = 10.0) -> str:
        """Run `code` on the REPL over USB and return what it printed; what ran before is interrupted.

        limit: seconds of the Pico's time. Raises DeviceError with the traceback, EmulatorError after `limit`.
        """
        self.start(code)
        return self.finish(limit)

    def start(self, code: str) -> None:
        """Begin `exec`: time runs until the REPL has taken the code."""
        usb = self.usb
        self.run_until(lambda: usb.connected, 3.0)
        usb.received.clear()
        usb.send(b"\r\x03\x03\x01")
        self.run_until(lambda: usb.received.endswith(_RAW_PROMPT), 3.0)
        usb.received.clear()
        usb.send(code.encode() + b"\x04")
        self.run_until(lambda: usb.received.startswith(b"OK"), 30.0)

    def finish(self, limit: float = 10.0) -> str:
        """End `exec`: run until the code has ended. Raises as `exec`."""
        received = self.usb.received
        self.run_until(lambda: received.endswith(b"\x04>"), limit)
        printed, raised, _ = bytes(received[2:]).split(b"\x04")
        if raised:
            raise DeviceError(raised.decode(errors="replace").strip().replace("\r\n", "\n"))
        return printed.decode().replace("\r\n", "\n")

    def count(self, statement: str, setup: str = "") -> int:
        """Cycles that one line `statement` takes in a function, after `setup` and a first run; raises as `exec`.

        GPIO 22 marks its beginning and end. Of two measured runs the shorter counts: the other met an interrupt.
        """
        return self._cycles(statement, setup) - self._cycles("pass", "")

    def _cycles(self, statement: str, setup: str) -> int:
        chip = self._powered_chip()
        marks: list[int] = []
        remove = chip.gpio[_MARK_PIN].add_listener(lambda _value, _before: marks.append(chip.core.cycles))
        try:
            self.exec(_COUNT.format(pin=_MARK_PIN, setup=setup, statement=statement), limit=60.0)
        finally:
            remove()
        runs = [end - begin for begin, end in zip(marks[-6::2], marks[-5::2], strict=True)]
        return min(runs[1:])

    def _uart_sent(self, uart: int, byte: int) -> None:
        taker = self.sent[uart]
        if taker:
            taker(bytes((byte,)))

    def _powered_chip(self) -> RP2040:
        if self._chip is None:
            raise EmulatorError("the Pico has no power")
        return self._chip
