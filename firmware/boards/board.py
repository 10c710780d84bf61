"""What boards have in common: links, clock, watchdog, supervision inputs, and the loop that goes round them."""

import gc
import json
import select
import sys
import time

import machine
import micropython
from micropython import const

from firmware.assembly import assemble
from firmware.clock import Clock
from firmware.drivers.rs485 import Rs485
from firmware.identity import identity, software_digest
from firmware.selftest import SelfTest
from protocol import events
from protocol.image import Image

from .slots import Slots
from .wiring import Wiring

WATCHDOG_MS = const(8000)
"""The RP2040 takes 8,388 at most; the longest thing between two feeds is a reply at the lowest rate of a link."""
SAMPLE_MS = const(100)
LOWEST_BAUD = const(2400)
_BUFFER = const(1100)
"""The longest frame and more: what a link keeps while an erase or a long reply is under way."""
_INTERRUPT = b"\r\x03"
"""What a host types to reach the prompt (mpremote, `tonne flash`): heeded on USB between two frames, never within one."""
_FEED_MS = const(2000)
_CHUNK = const(256)
_TURNS_A_COLLECTION = const(40)
_REPLIES_A_COLLECTION = const(16)
_MOST_REPLIES = const(64)
_COLLECTION_MS = const(12)
"""The heap is collected when the line is quiet, or while a reply leaves that takes longer than that does, or at the latest behind
this many replies (1.5 KB of garbage each): never at a moment that nobody chose, and hardly ever when a request may come."""
_TURN_MS = const(20)
"""The longest sleep: what a brown-out waits at most before everything is kept."""
_QUIET_MS = const(30)
"""Nothing heard for so long: an erase of the flash, which stops the receivers, hits no request."""
UPDATES = "/updates"
"""The folder of the update's slots (`firmware.boards.slots`, pico_image/main.py)."""
_RESETS = {machine.WDT_RESET: events.RESET_WATCHDOG}


class Buses:
    """Opens pins and buses (`firmware.boards.wiring`); a board adds `pulse`."""

    def pulse(self, number, spec):
        """Pulse input `number`."""
        raise NotImplementedError

    def reset_cause(self):
        """Why the board started (`protocol.events`)."""
        return _RESETS.get(machine.reset_cause(), events.RESET_POWER)

    def restart(self):
        """Start again."""
        machine.reset()

    def uart(self, spec):
        """A UART; on RS-485 where a direction pin is named."""
        if spec["baud"] < LOWEST_BAUD:
            raise ValueError("baud: expected %d or more, got %d" % (LOWEST_BAUD, spec["baud"]))
        tx, rx = machine.Pin(spec["tx"]), machine.Pin(spec["rx"])
        uart = machine.UART(spec["uart"], spec["baud"], tx=tx, rx=rx, rxbuf=_BUFFER, txbuf=_BUFFER)
        direction = spec.get("direction")
        return Rs485(uart, None if direction is None else machine.Pin(direction, machine.Pin.OUT, value=0))

    def spi(self, spec):
        """An SPI bus in mode 3."""
        sck, mosi, miso = (machine.Pin(spec[name]) for name in ("sck", "mosi", "miso"))
        baud = spec.get("baud", 100000)
        return machine.SPI(spec["spi"], baudrate=baud, polarity=1, phase=1, sck=sck, mosi=mosi, miso=miso)

    def select(self, spec):
        """A chip select pin."""
        return machine.Pin(spec["select"], machine.Pin.OUT, value=1)

    def i2c(self, spec):
        """An I2C bus at 100 kHz."""
        return machine.I2C(spec["i2c"], sda=machine.Pin(spec["sda"]), scl=machine.Pin(spec["scl"]), freq=100000)

    def adc(self, spec):
        """An analogue input."""
        return machine.ADC(machine.Pin(spec["adc"]))


class UsbLink:
    """The USB serial port, which is MicroPython's prompt when nothing runs. A byte at a time: there is no more to it."""

    def __init__(self, closed):
        self.closed = closed
        self._read = sys.stdin.buffer.read
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)
        self._between = True
        self._buffer = bytearray()
        self.write = sys.stdout.buffer.write

    def any(self):
        """Whether bytes wait."""
        return bool(self._poll.poll(0))

    def read(self):
        """The bytes that wait. Raises KeyboardInterrupt on the host's call for the prompt."""
        buffer = bytearray()
        while self._poll.poll(0) and len(buffer) < 256:
            buffer += self._read(1)
            if self._between and buffer == _INTERRUPT and not self.closed:
                raise KeyboardInterrupt
        data = bytes(buffer)
        if data:
            self._between = data[-1] == 0
        return data


class Board:
    """Everything that `run` goes round; made from board.json and the profile that a new meter starts with, profile.bin.

    `hardware` names the board, `nor` is its flash for the store, `led` a pin that is 1 while the meter serves. A `closed` board
    never gives the prompt. `slot` is the one that the firmware came from, "" for what was there at the factory.
    """

    def __init__(self, hardware, buses, nor, led, closed=False, slot=""):
        micropython.kbd_intr(-1)
        with open("board.json") as file:
            config = json.load(file)
        with open("profile.bin", "rb") as file:
            image = Image(file.read())
        link = config["link"]
        wiring = Wiring(config, buses)
        self.polled = wiring.polled
        clock = _clock(wiring, config)
        self._restart = buses.restart
        self.device = assemble(
            image,
            clock,
            wiring.channels,
            wiring.inputs,
            identity(config["serial"], hardware, _digest(slot)),
            config["address"],
            nor,
            reset=buses.reset_cause(),
            slots=Slots(UPDATES, slot),
            chips=wiring.chips,
        )
        self.device.server.add(SelfTest(self.device.meter, self.polled).table())
        self.uart = buses.uart(link)
        self.usb = UsbLink(closed)
        self._usb_server = self.device.server.twin()
        self._poll = select.poll()
        self._poll.register(self.uart.stream, select.POLLIN)
        self._poll.register(sys.stdin, select.POLLIN)
        self._long_reply = _COLLECTION_MS * link["baud"] // 10000
        self._buffer = bytearray(_CHUNK)
        self._view = memoryview(self._buffer)
        self._serving = led
        self._tamper = _input(config, "tamper")
        self._power = _input(config, "brownout")
        self._failing = False
        self._has_been_good = False
        self._turns = self._replies = 0
        if self._power:
            self._power.irq(self._power_fails, machine.Pin.IRQ_FALLING)
        self._watchdog = machine.WDT(timeout=WATCHDOG_MS)
        self._last = self._heard = time.ticks_ms()

    def run(self):
        """Serve and sample for ever, or until a host asks for the prompt."""
        gc.collect()
        gc.threshold(-1)
        self._serving(1)
        try:
            while True:
                self.turn(SAMPLE_MS)
        except KeyboardInterrupt:
            self.device.shut_down()
            watchdog = self._watchdog
            feed = lambda timer: watchdog.feed()  # noqa: E731
            machine.Timer(-1, period=_FEED_MS, mode=machine.Timer.PERIODIC, callback=feed)
        finally:
            self._serving(0)
            if not self.usb.closed:
                micropython.kbd_intr(3)

    def turn(self, wait):
        """Serve what comes within `wait` milliseconds, then sample once its time has come."""
        left = wait - time.ticks_diff(time.ticks_ms(), self._last)
        if left > 0:
            self._poll.poll(min(left, _TURN_MS))
            self._serve()
        if self._power:
            self._watch_supply()
        now = time.ticks_ms()
        passed = time.ticks_diff(now, self._last)
        if passed < wait:
            return
        self._last = now
        for driver in self.polled:
            driver.poll(passed)
        if self._tamper:
            self.device.tamper(0, self._tamper())
        self.device.meter.sample()
        self._turns += 1
        if time.ticks_diff(now, self._heard) >= _QUIET_MS:
            self.device.step()
            if self.device.restart:
                self.device.shut_down()
                self._restart()
            if self._turns >= _TURNS_A_COLLECTION:
                self._collect()
        self._watchdog.feed()

    def _watch_supply(self):
        """A board that starts on a rising supply has not seen it fall."""
        failing = self._failing
        self._failing = False
        good = self._power() and not failing
        self._has_been_good = self._has_been_good or good
        if self._has_been_good:
            self.device.supply(good)

    def _serve(self):
        uart = self.uart
        size = min(uart.any(), _CHUNK)
        if size:
            self._heard = time.ticks_ms()
            uart.readinto(self._buffer, size)  # asked for more, it would wait some 3 ms for it
            for reply in self.device.server.feed(bytes(self._view[:size])):
                self._replies += 1
                hidden = self._replies >= _REPLIES_A_COLLECTION and len(reply) >= self._long_reply
                uart.write(reply, self._collect if hidden else None)
        usb = self.usb
        if usb.any():
            self._heard = time.ticks_ms()
            for reply in self._usb_server.feed(usb.read()):
                usb.write(reply)
                self._replies += 1
        if self._replies >= _MOST_REPLIES:
            self._collect()

    def _collect(self):
        self._turns = self._replies = 0
        gc.collect()

    def _power_fails(self, pin):
        self._failing = True


def _input(config, name):
    number = config.get(name)
    return None if number is None else machine.Pin(number, machine.Pin.IN, machine.Pin.PULL_UP)


def _clock(wiring, config):
    if "rtc" not in config:
        return Clock(time.ticks_ms, time.ticks_diff)
    from firmware.drivers.ds3231 import Ds3231, RtcClock

    return RtcClock(Ds3231(wiring.bus("i2c", config["rtc"])), time.ticks_ms, time.ticks_diff)


def _digest(slot):
    """Of the modules in the slot, on the files, or the one that was frozen in beside them."""
    if slot:
        return software_digest(UPDATES + "/" + slot)
    try:
        from frozen_digest import DIGEST
    except ImportError:
        return software_digest("")
    return DIGEST
