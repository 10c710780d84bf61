"""A second board that plays the plant: pulse trains, levels and power for a device under test, told over its USB serial port.

`device/main.py` runs on any Raspberry Pi Pico with MicroPython: copy it there as main.py. Here is the host's end of its port.

    Stimulator("/dev/ttyACM1").pulses(2, 100, 1000.0)     GPIO 2: 100 pulses, low for half of each millisecond

A line `number verb arguments` is answered by `number ok …` or `number error …`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import serial

from hostlink.errors import LinkError, NoReply, PortError
from hostlink.transport import explain

MICROSECONDS = 1_000_000
ANSWER_S = 2.0
READ_S = 0.02
TRIES = 3


class StimulatorError(LinkError):
    """The stimulator would not: it says why."""


class Stimulator:
    """The stimulator behind a pyserial URL. `clock` and `sleep` are the plant's time, which an emulator has of its own.

    Raises PortError, NoReply, StimulatorError.
    """

    def __init__(
        self, url: str, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        try:
            self._port = serial.serial_for_url(url, timeout=READ_S, exclusive=True)
        except (serial.SerialException, OSError, ValueError) as error:
            raise PortError(explain(url, error)) from None
        self.url = url
        self._clock, self._sleep = clock, sleep
        self._number = 0
        self._received = b""

    def close(self) -> None:
        """Give the port back."""
        self._port.close()

    def pulses(self, pin: int, count: int, hertz: float, low: float = 0.5) -> None:
        """`count` active-low pulses on a GPIO, low for the share `low` of a period; returns when the last one has ended."""
        if not count:
            return
        period = MICROSECONDS / hertz
        low_us = round(low * period)
        self.ask("pulses", pin, count, low_us, round(period) - low_us)
        self._sleep(count / hertz)
        end = self._clock() + ANSWER_S
        while self.ask("running", pin) != "0":
            if self._clock() > end:
                raise StimulatorError(f"{self.url}: the pulses on GPIO {pin} do not end")
            self._sleep(0.01)

    def level(self, pin: int, high: bool) -> None:
        """Hold a GPIO high or low: a power switch, a tamper contact."""
        self.ask("level", pin, int(high))

    def analogue(self, pin: int, share: float) -> None:
        """PWM of 1 kHz on a GPIO, high for `share` of the time: a condition, behind an RC filter."""
        self.ask("pwm", pin, round(65535 * share))

    def ask(self, verb: str, *arguments: int) -> str:
        """Have the stimulator do `verb`; what it answers behind `ok`."""
        for _ in range(TRIES):
            self._number += 1
            words = " ".join(map(str, (self._number, verb, *arguments)))
            try:
                self._port.write(words.encode() + b"\n")
                answer = self._answer(self._number)
            except (serial.SerialException, OSError) as error:
                raise PortError(f"{self.url} failed while open: {error}; check the cable and open it again") from None
            if answer is None:
                continue
            kind, _, rest = answer.partition(" ")
            if kind != "ok":
                raise StimulatorError(f"{self.url}: the stimulator refused {verb!r}: {rest}")
            return rest
        raise NoReply(
            f"expected the stimulator on {self.url}, {TRIES} attempts: silence; is its main.py on that board?"
        )

    def _answer(self, number: int) -> str | None:
        end = self._clock() + ANSWER_S
        while self._clock() < end:
            self._received += self._port.read(64)
            *lines, self._received = self._received.split(b"\n")
            for line in lines:
                first, _, rest = line.decode(errors="replace").strip().partition(" ")
                if first == str(number):
                    return rest
        return None
