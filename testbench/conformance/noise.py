"""`python -m testbench.conformance.noise [FRAMES]`: frames through a line with bit errors, and what was accepted of them.

Readings are asked for in windows of requests; four windows in a row have no sequence number in common. The device's replies come
back through the same errors. As on any link, a reply to another window is stale and not taken; what is taken is held against what
the device must have said.
"""

import argparse
import random
import sys
import time

from hostlink.errors import NoReply
from protocol import frame, messages
from protocol.deframer import Deframer
from testbench.conformance import profiles, rigs
from testbench.conformance.bench import START, Device
from testbench.conformance.line import Script
from testbench.faults import BitErrors

WINDOW = 64
QUIET = 0.05
RATE = 1e-3
PROFILE = profiles.named("natural-gas")


class Tally:
    """What became of the frames."""

    sent = accepted = stale = wrong = readouts = incomplete = 0

    def __str__(self) -> str:
        return (
            f"{self.sent:,} frames sent, {self.accepted:,} replies accepted, {self.stale} stale, {self.wrong} wrong; "
            f"{self.readouts} readouts, {self.incomplete} incomplete"
        )


def run(frames: int, rate: float = RATE, seed: int = 1) -> Tally:
    """Send at least `frames` requests through errors at `rate`; every window also has one readout with retries."""
    tally = Tally()
    random_ = random.Random(seed)
    open_ = rigs.opener("unix", lambda *_: None, lambda: Script(()))
    noise = BitErrors(rate, random_)
    with open_(PROFILE.image, START, noise) as device:
        pulses = 0
        while tally.sent < frames:
            count = random_.randrange(1, 1000)
            device.pulses(0, count)
            pulses += count
            device.settle()
            _window(device, pulses, tally)
            if tally.sent % (16 * WINDOW) == 0:
                _readout(device, pulses, tally)
    return tally


def _window(device: Device, pulses: int, tally: Tally) -> None:
    address = device.meter.address
    first = tally.sent % 256
    asked = range(first, first + WINDOW)
    device.line.send(b"".join(frame.encode(address, 0, n, messages.READING) for n in asked))
    tally.sent += WINDOW
    deframer = Deframer()
    last = False
    while not last and (data := device.line.receive(QUIET)):
        for view in deframer.feed(data):
            got = bytes(view)
            if got[2] not in asked:
                tally.stale += 1
                continue
            tally.accepted += 1
            last = got[2] == asked[-1]
            tally.wrong += not _right(got, address, pulses)


def _right(got: bytes, address: int, pulses: int) -> bool:
    if got[0] != address or got[1] != frame.CONTROL_REPLY | frame.VERSION or got[3] != messages.READING:
        return False
    if len(got) != frame.HEADER_SIZE + messages.READING_REPLY.size:
        return False
    return PROFILE.counted(got[frame.HEADER_SIZE :]) == pulses


def _readout(device: Device, pulses: int, tally: Tally) -> None:
    tally.readouts += 1
    device.meter.timeout = QUIET
    try:
        body = device.meter.ask(messages.READING, retries=200)
    except NoReply:
        tally.incomplete += 1
        return
    tally.wrong += PROFILE.counted(body) != pulses


def main() -> int:
    """Print the tally; 0 only if nothing wrong was accepted and every readout completed."""
    parser = argparse.ArgumentParser(
        prog="python -m testbench.conformance.noise", description="frames through bit errors"
    )
    parser.add_argument("frames", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=RATE)
    arguments = parser.parse_args()
    began = time.monotonic()
    tally = run(arguments.frames, arguments.rate)
    print(f"bit error rate {arguments.rate:g}: {tally} ({time.monotonic() - began:.0f} s)")
    return 1 if tally.wrong or tally.incomplete else 0


if __name__ == "__main__":
    sys.exit(main())
