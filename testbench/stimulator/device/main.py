"""The stimulator's program, for any Raspberry Pi Pico with MicroPython (`testbench.stimulator` is its host).

Each pulse train runs in a PIO state machine of its own at 1 MHz, so its count and times are exact whatever else happens here.
"""

import sys

import machine
import rp2

PULSE_CYCLES = 4
"""Cycles of a level that the program spends beside its loop: so many microseconds a level has at least."""


@rp2.asm_pio(set_init=rp2.PIO.OUT_HIGH)
def train():
    pull()
    mov(x, osr)
    pull()
    mov(isr, osr)
    pull()
    label("pulse")
    mov(y, isr)
    set(pins, 0)
    label("low")
    jmp(y_dec, "low")
    mov(y, osr)
    set(pins, 1)
    label("high")
    jmp(y_dec, "high")
    jmp(x_dec, "pulse")
    push()


class Plant:
    """Pins by number; a pin that pulses has its state machine."""

    def __init__(self):
        self._machines = {}

    def pulses(self, pin, count, low_us, high_us):
        """Start `count` pulses; the level is high before and after."""
        if count < 1 or low_us < PULSE_CYCLES or high_us < PULSE_CYCLES:
            raise ValueError("expected a pulse or more, each level %d us or more" % PULSE_CYCLES)
        if pin not in self._machines:
            number = len(self._machines)
            self._machines[pin] = rp2.StateMachine(number, train, freq=1000000, set_base=machine.Pin(pin))
            self._machines[pin].active(1)
        running = self._machines[pin]
        if running.tx_fifo():
            raise ValueError("GPIO %d still pulses" % pin)
        while running.rx_fifo():
            running.get()
        for word in (count - 1, low_us - 3, high_us - 4):
            running.put(word)
        return ""

    def running(self, pin):
        """1 while the train on a pin goes on."""
        return 0 if pin not in self._machines or self._machines[pin].rx_fifo() else 1

    def level(self, pin, high):
        """Hold a pin."""
        machine.Pin(pin, machine.Pin.OUT, value=high)
        return ""

    def pwm(self, pin, duty):
        """1 kHz, `duty` of 65,535."""
        machine.PWM(machine.Pin(pin), freq=1000, duty_u16=duty)
        return ""


VERBS = ("pulses", "running", "level", "pwm")


def answer(plant, line):
    """The answer to one line, or None where it is not a request."""
    words = line.split()
    if len(words) < 2:
        return None
    number, verb = words[:2]
    try:
        if verb not in VERBS:
            raise ValueError("no verb " + verb)
        return "%s ok %s" % (number, getattr(plant, verb)(*[int(word) for word in words[2:]]))
    except (ValueError, TypeError, OSError) as error:
        return "%s error %s" % (number, error)


def main():
    plant = Plant()
    while True:
        said = answer(plant, sys.stdin.readline())
        if said:
            print(said)


main()
