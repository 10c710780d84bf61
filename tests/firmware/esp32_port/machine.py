"""Stands in for the ESP32's `machine` on MicroPython's unix port: what the board opens, and nothing behind it."""

import io

WDT_RESET = 3
_POLL = 3


def reset_cause():
    return 1


class Pin:
    """A pin that holds what was put on it."""

    IN, OUT, PULL_UP, IRQ_FALLING = 1, 3, 2, 2

    def __init__(self, number, mode=IN, pull=None, value=1):
        self.number = number
        self._value = value

    def __call__(self, value=None):
        if value is None:
            return self._value
        self._value = value

    def irq(self, handler, trigger):
        self.handler = handler


class UART(io.IOBase):
    """A line on which nothing comes."""

    def __init__(self, number, baudrate, tx=None, rx=None, rxbuf=0, txbuf=0):
        self.settings = (number, baudrate, tx.number, rx.number)

    def ioctl(self, request, argument):
        return 0

    def any(self):
        return 0

    def readinto(self, buffer):
        return 0


class WDT:
    """Counts how often it was fed."""

    fed = 0

    def __init__(self, timeout):
        self.timeout = timeout

    def feed(self):
        WDT.fed += 1


class ADC:
    """A converter in the middle of its range."""

    ATTN_11DB = 3

    def __init__(self, pin, atten):
        self.atten = atten

    def read_u16(self):
        return 1900 << 4
