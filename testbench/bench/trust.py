"""What trust costs a 32-bit meter, in instructions of an emulated Cortex-M3 and bytes of garbage.

python -m testbench.bench.trust [--pico]: with --pico the MAC in cycles of an emulated Pico, too
"""

import argparse
from pathlib import Path
from typing import Protocol

from testbench.emulators.mps2 import Mps2

ROOT = Path(__file__).parents[2]
MAC_LIMIT = 30_000
"""Instructions that checking a privileged frame may cost on top of the frame."""

GUARD = """
import struct
from firmware.trust.hasher import Mac
from firmware.trust.kept import Keys, Security
from firmware.trust.session import Guard
from protocol import frame, messages, session
class Clock:
    uptime = 0
    def tick(self): pass
class Log:
    actor = 0
class RamJournal:
    latest = None
    def append(self, payload): return True
keys = Keys(RamJournal())
keys.provisioned = 1
keys.installer = bytes(32)
guard = Guard(keys, Security(RamJournal()), bytes(16), Clock(), bytes, None, Log())
guard.open(1, bytes(16))
guard.prove(1, Mac(bytes(32)).digest(session.HOST + session.transcript(1, bytes(16), bytes(16), bytes(16)))[:16])
plain = bytes((1, 0x21, 0, messages.CLOCK_SET)) + bytes(4)
covered = plain + struct.pack("<I", 7)
request = memoryview(covered + guard._mac.digest(covered)[:16])
bare = memoryview(bytes((1, 1, 0, messages.CLOCK_SET)) + bytes(4))
encoder = frame.Encoder()
"""

LMS = """
import gc, hashlib
from firmware.trust.hasher import Hasher
from firmware.trust.lms import Signature, Tree
hasher = Hasher()
block = bytearray(55)
tree = Tree(hasher, 5, b"i" * 16, b"s" * 32)
for _ in range(68): tree.step()
def leaf():
    for _ in range(68): tree.step()
def sign():
    signature = Signature(5)
    signature.begin(tree, 3, b"message")
    while not signature.step(): pass
"""

GARBAGE = """
while not tree.step(): pass
hasher.again = {again}
gc.collect()
gc.disable()
before = gc.mem_alloc()
sign()
print(gc.mem_alloc() - before)
gc.enable()
"""


class Counts(Protocol):
    """A board that counts what a statement takes: instructions (`Mps2`), or cycles (`Pico`: one or more an instruction)."""

    def count(self, statement: str, setup: str = "") -> int: ...


def mac_cost(board: Counts) -> tuple[int, int]:
    """What checking a request's MAC and signing its reply take, without what a frame takes that has none."""
    check = board.count("guard._counter = 6; guard.admit(request)", GUARD) - board.count("guard.admit(bare)", GUARD)
    sign = board.count("guard.sign(encoder.head(1, 0xA1, 0, 6, 27), 7)", GUARD)
    return check, sign


def signing(board: Mps2) -> dict[str, int]:
    """Instructions and garbage of LMS signing, W=4, trees of height 5."""
    return {
        "a hash of 55 bytes, instructions": board.count("hasher.digest(block)", LMS),
        "the longest step, instructions": board.count("tree.step()", LMS),
        "a leaf key, instructions": board.count("leaf()", LMS + "gc.collect()"),
        "a signature, instructions": board.count("sign()", LMS + "while not tree.step(): pass\ngc.collect()"),
        "a signature, bytes of garbage": int(board.run(LMS + GARBAGE.format(again=True))),
        "a signature, bytes of garbage with an object for each hash": int(board.run(LMS + GARBAGE.format(again=False))),
    }


def _on_a_pico() -> tuple[int, int]:
    from testbench.emulators.pico import Pico
    from testbench.images import modules_image

    board = Pico(modules_image(build=True))
    board.on()
    try:
        return mac_cost(board)
    finally:
        board.off()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="bench-trust", description=__doc__)
    parser.add_argument("--pico", action="store_true", help="the MAC in cycles of an emulated Pico, too (a minute)")
    asked = parser.parse_args()
    with Mps2([ROOT / "protocol", ROOT / "firmware"]) as board:
        check, sign = mac_cost(board)
        print(f"checking a frame's MAC: {check:,} instructions, {check / MAC_LIMIT:.0%} of the limit of {MAC_LIMIT:,}")
        print(f"signing its reply: {sign:,} instructions")
        if asked.pico:
            print("on a Pico (Cortex-M0+): {:,} and {:,} cycles".format(*_on_a_pico()))
        for name, value in signing(board).items():
            print(f"{name}: {value:,}")


if __name__ == "__main__":
    main()
