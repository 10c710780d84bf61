"""Board `unix`: a meter in a MicroPython process. Its link is a pseudo-terminal; its time and counts come from outside.

    micropython firmware/boards/unix.py CONFIG.json

The bench writes 8-byte commands to standard input: `op u8, index u8, zero u16, value u32`, little-endian:
    A  advance the clock by `value` ms      P  `value` pulses on channel `index`      S  answer `value` on standard output
    C  input `index` of a condition measures `value` from now on, 0xFFFFFFFF: it is missing
    T  the tamper input is `value` from now on: 1 opened, 0 closed      B  the supply fails (1), is good again (0)
    J  the counter behind channel `index` was reset or jumped
    K  power goes in a write to flash to come: `value` high word more of them are done, the next is cut at byte `value` low word
Counts belong to the moment at which they arrive. Power off is the process killed; at
the end of standard input it stops by itself and keeps everything. Standard input and the link, an
inherited file descriptor, do not block: MicroPython's `read(n)` otherwise waits for n bytes.
"""

import io
import json
import select
import struct
import sys

COMMAND = "<BBHI"
COMMAND_SIZE = 8
ADVANCE, PULSES, SYNC, CONDITION, TAMPER, BROWN_OUT, JUMP, CUT = b"APSCTBJK"
INPUTS = 8
MISSING = 0xFFFFFFFF
READ_SIZE = 4096
RESTART = 75
"""Exit code of a board that wants to be started again, after an update."""
POWER_CUT = 76
"""Exit code of a board whose power went in a write to flash."""
HALF_DONE = 0x55
"""Bits that the byte at which a write is cut still takes."""
MOST_WAITING = 0xFFFFFFFF
LINK_WAIT_MS = 1000


class BenchPulses:
    """A pulse input whose pulses the bench sends."""

    def __init__(self):
        self.waiting = 0
        self.jumps = 0
        self.flags = 0

    def take(self, counts, at):
        """Put the pulses since the last call into the two limbs at `counts[at]`; returns the status flags to raise."""
        count = self.waiting
        if count:
            self.waiting = 0
            counts[at] = count & 0xFFFF
            counts[at + 1] = count >> 16
        flags = self.flags
        self.flags = 0
        return flags


class BenchInput:
    """A measured condition that the bench sets."""

    value = -1


class Bench:
    """Virtual time and stimulus."""

    def __init__(self, channels, source, sink):
        self.now_ms = 0
        self.cut = None
        self.inputs = [BenchPulses() for _ in range(channels)]
        self.conditions = [BenchInput() for _ in range(INPUTS)]
        self._source = source
        self._sink = sink
        self._rest = b""

    def ticks_ms(self):
        return self.now_ms

    def serve(self, device):
        """Take in what the bench has sent; False at its end."""
        meter = device.meter
        data = self._source.read(READ_SIZE)
        if not data:
            return False
        data = self._rest + data
        end = len(data) - len(data) % COMMAND_SIZE
        self._rest = data[end:]
        for at in range(0, end, COMMAND_SIZE):
            op, index, _, value = struct.unpack_from(COMMAND, data, at)
            if op == ADVANCE:
                meter.sample()
                device.keeper.prepare()
                self.now_ms += value
            elif op == PULSES:
                if self.inputs[index].waiting + value > MOST_WAITING:
                    meter.sample()
                self.inputs[index].waiting += value
            elif op == CONDITION:
                meter.sample()
                self.conditions[index].value = -1 if value == MISSING else value
            elif op == SYNC:
                meter.sample()
                self._sink.write(struct.pack("<I", value))
            elif op == TAMPER:
                device.tamper(index, value)
            elif op == JUMP:
                self.inputs[index].jumps += 1
                self.inputs[index].flags = value
                meter.sample()
            elif op == BROWN_OUT:
                device.supply(not value)
            elif op == CUT:
                self.cut = (value >> 16, value & 0xFFFF)
        return True


def cuttable(base, bench):
    """The class of flash `base` that loses power where `bench.cut` says: (whole writes to come first, byte of the next)."""

    class Cuttable(base):  # type: ignore[valid-type, misc]
        def _write(self, at, data):
            if bench.cut is None:
                base._write(self, at, data)
                return
            whole, byte = bench.cut
            if whole:
                bench.cut = (whole - 1, byte)
                base._write(self, at, data)
                return
            byte = min(byte, len(data) - 1)
            part = bytearray(data[: byte + 1])
            old = bytearray(1)
            self.read_into(at + byte, old)
            part[byte] = old[0] ^ (old[0] ^ part[byte]) & HALF_DONE
            base._write(self, at, part)
            sys.exit(POWER_CUT)

    return Cuttable


def write_all(stream, data, patience):
    """Write `data` to a stream that does not block; False, and the rest lost, if nobody takes it for `patience` ms."""
    poll = select.poll()
    poll.register(stream, select.POLLOUT)
    at = 0
    while at < len(data):
        if not poll.poll(patience):
            return False
        at += stream.write(data[at:]) or 0
    return True


def main(path, slot=None):
    """Run the meter that the configuration at `path` describes, from folder `slot` if it was started from one."""
    with open(path) as file:
        config = json.load(file)
    root = slot or config["root"]
    sys.path.insert(0, root)
    from firmware.assembly import assemble
    from firmware.boards.slots import Slots
    from firmware.clock import Clock
    from firmware.identity import identity, software_digest
    from firmware.store.nor import FileNor
    from protocol.image import Image

    with open(config["profile"], "rb") as file:
        image = Image(file.read())
    source = io.open(0, "rb", buffering=0)
    sink = io.open(1, "wb", buffering=0)
    link = io.open(config["link"], "r+b", buffering=0)
    bench = Bench(len(image.channels), source, sink)
    clock = Clock(bench.ticks_ms, lambda later, sooner: later - sooner)
    if "time" in config:
        clock.set(config["time"])
    who = identity(config["serial"], "unix", software_digest(root))
    slots = Slots(config["slots"], slot.rsplit("/", 1)[1]) if slot else None
    nor = cuttable(FileNor, bench)(config["flash"])
    device = assemble(image, clock, bench.inputs, bench.conditions, who, config["address"], nor, slots=slots)

    poll = select.poll()
    poll.register(source, select.POLLIN)
    poll.register(link, select.POLLIN)
    patience = LINK_WAIT_MS
    sink.write(b"UP\r\n")
    while True:
        busy = device.step()
        if device.restart:
            device.shut_down()
            sys.exit(RESTART)
        for stream, events in poll.poll(0 if busy else -1):
            if stream is source:
                if not bench.serve(device):
                    device.shut_down()
                    return
            elif events & select.POLLIN:
                for reply in device.server.feed(link.read(READ_SIZE)):
                    patience = LINK_WAIT_MS if write_all(link, reply, patience) else 0


if __name__ == "__main__":
    main(sys.argv[1])
