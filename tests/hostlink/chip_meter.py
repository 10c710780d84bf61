"""A meter whose channels and inputs are chips, for MicroPython's unix port: the board's wiring and drivers on models of the chips.

    micropython chip_meter.py ROOT CONFIG.json LINK-FD

Standard input takes lines of JSON, each answered on standard output: ["advance", ms], ["load", channel, quanta, …] as the model's
`load`, ["set", channel or "input n", attribute, value], ["reset", channel], ["registers", channel, [addresses]].
"""

import io
import json
import select
import sys


class _Any:
    annotations = ClassVar = Any = None


sys.modules["__future__"] = sys.modules["typing"] = _Any  # what the models import, and only CPython has
root, path, link = sys.argv[1:]
sys.path.insert(0, root)

from firmware.assembly import assemble  # noqa: E402
from firmware.boards.wiring import Wiring  # noqa: E402
from firmware.clock import Clock  # noqa: E402
from firmware.identity import identity  # noqa: E402
from firmware.store.nor import FileNor  # noqa: E402
from protocol.image import Image  # noqa: E402
from testbench.chips.atm90 import Atm90e26Chip, Atm90e32Chip  # noqa: E402
from testbench.chips.bl0942 import Bl0942Chip  # noqa: E402

STEP_MS = 50


class Wire:
    """A UART or an SPI bus to one chip that answers at once."""

    def __init__(self, chip):
        self.chip = chip
        self._rx = b""

    def write(self, data):
        self._rx += self.chip.receive(bytes(data))

    def any(self):
        return len(self._rx)

    def readinto(self, buffer, size=-1):
        size = min(len(buffer) if size < 0 else size, len(self._rx))
        buffer[:size] = self._rx[:size]
        self._rx = self._rx[size:]
        return size

    def write_readinto(self, out, into):
        into[:] = bytes([self.chip.exchange(byte) for byte in out])


class Input:
    """A condition's input."""

    value = 100_000


class Pulses:
    """A pulse input: nothing to calibrate."""

    def take(self, counts, at):
        return 0


class Board:
    """Opens what `firmware.boards.wiring` asks for: each line of the configuration has a chip of its own."""

    def __init__(self):
        self.chips = []
        self._latest = None

    def pulse(self, number, spec):
        self.chips.append(None)
        return Pulses()

    def uart(self, spec):
        self.chips.append(Bl0942Chip())
        return Wire(self.chips[-1])

    def select(self, spec):
        return self._spi_chip(spec).select

    def spi(self, spec):
        return Wire(self._spi_chip(spec))

    def _spi_chip(self, spec):
        if spec is not self._latest:
            self._latest = spec
            self.chips.append(Atm90e26Chip() if spec["driver"] == "atm90e26" else Atm90e32Chip())
        return self.chips[-1]


with open(path) as file:
    config = json.load(file)
with open(config["profile"], "rb") as file:
    image = Image(file.read())
board = Board()
wiring = Wiring(config, board)
inputs = [Input() for _ in range(2)]
now = 0
clock = Clock(lambda: now, lambda later, sooner: later - sooner)
clock.set(config["time"])
who = identity(config["serial"], "chips", bytes(32))
flash = FileNor(config["flash"])
device = assemble(image, clock, wiring.channels, inputs, who, 1, flash, chips=wiring.chips)


def advance(milliseconds):
    global now
    for _ in range(milliseconds // STEP_MS):
        now += STEP_MS
        for chip in board.chips:
            if hasattr(chip, "pause"):
                chip.pause()
        for driver in wiring.polled:
            driver.poll(STEP_MS)
        device.meter.sample()
    device.step()


def do(verb, *given):
    if verb == "advance":
        advance(*given)
        return None
    if verb == "input":
        inputs[given[0]].value = given[1]
        return None
    chip = board.chips[given[0]]
    if verb == "load":
        for _ in range(100):  # spread, as a load is
            chip.load(given[1] / 100, *given[2:])
            advance(100)
    elif verb == "set":
        setattr(chip, given[1], given[2])
    elif verb == "reset":
        chip.reset()
    elif verb == "registers":
        return [chip.registers.get(register, 0) for register in given[1]]


port = io.open(int(link), "r+b", buffering=0)
poll = select.poll()
poll.register(sys.stdin, select.POLLIN)
poll.register(port, select.POLLIN)
print("null")
while True:
    for stream, _ in poll.poll(-1):
        if stream is port:
            for reply in device.server.feed(port.read(4096)):
                port.write(reply)
        else:
            line = sys.stdin.readline()
            if not line:
                sys.exit()
            print(json.dumps(do(*json.loads(line))))
