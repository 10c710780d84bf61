"""Rig `mps2`: the meter's arithmetic on an emulated 32-bit Cortex-M3, for long runs; it has no link.

Commands gather in a file that the board reads through semihosting, so a million steps cost no more than their sampling.
"""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

from testbench.emulators.mps2 import Mps2
from testbench.micropython import device_root

COMMAND = struct.Struct("<BBHI")
"""The bench's commands, as `firmware/boards/mps2.py` takes them."""
MISSING = 0xFFFFFFFF
RUN_SECONDS = 900.0


class Mps2Rig:
    """A meter under a profile image; `time` is UNIX seconds at power-up, None for a clock that is not set.

    Every sample but an interval's last runs with the heap locked: one that allocates raises DeviceError (MemoryError).
    board: a running MPS2 with `firmware` and `protocol` to use; it is not closed. Raises as Mps2.
    """

    def __init__(self, profile: bytes, *, time: int | None = None, board: Mps2 | None = None) -> None:
        self._own = None if board else Mps2([device_root() / "protocol", device_root() / "firmware"])
        self._board = board or self._own
        self._commands = bytearray()
        self._folder = tempfile.TemporaryDirectory(prefix="tonne-mps2-")
        self._file = Path(self._folder.name) / "commands"
        self.run("from firmware.boards.mps2 import Bench\nimport gc")
        self.run("bench = None\ngc.collect()\nimage = bytearray()")
        for at in range(0, len(profile), 256):
            self.run(f"image += {profile[at : at + 256]!r}")
        self.run(f"bench = Bench(bytes(image), {time})\ndel image")

    def __enter__(self) -> Mps2Rig:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove every trace."""
        self._folder.cleanup()
        if self._own:
            self._own.close()

    def run(self, code: str) -> str:
        """Execute `code` on the board, where `bench` is its `Bench`, and return what it printed. Raises DeviceError."""
        assert self._board is not None
        return self._board.run(code, RUN_SECONDS)

    def count(self, statement: str) -> int:
        """Instructions of one line on the board (`Mps2.count`)."""
        assert self._board is not None
        return self._board.count(statement)

    def pulses(self, channel: int, count: int) -> None:
        """`count` quanta on `channel` at this moment of the meter's time; once a channel between two samples."""
        self._commands += COMMAND.pack(b"P"[0], channel, 0, count)

    def condition(self, source: int, value: int | None) -> None:
        """Input `source` of a condition measures `value` (raw) from this moment on; None: it is missing."""
        self._commands += COMMAND.pack(b"C"[0], source, 0, MISSING if value is None else value)

    def advance(self, milliseconds: int) -> None:
        """Let the meter's time pass: no more than an interval at once."""
        self._commands += COMMAND.pack(b"A"[0], 0, 0, milliseconds)

    def settle(self) -> None:
        """Return when the meter has taken in everything given so far. Raises DeviceError if it allocated."""
        self._file.write_bytes(self._commands)
        self._commands.clear()
        self.run(f"bench.run({str(self._file)!r})")

    def preset(self, word: int) -> None:
        """Fill every index and accumulator with 32-bit `word`."""
        self.run(
            "integrator = bench.meter.integrator\n"
            f"for n in range(0, integrator.increments_at, 2):\n"
            f"    integrator.state[n] = {word & 0xFFFF}\n    integrator.state[n + 1] = {word >> 16}"
        )

    def state(self) -> tuple[list[int], list[int], int]:
        """The channels' indices, the accumulators (raw) and the status of the running interval."""
        printed = self.run(
            "import binascii\nmeter = bench.meter\nintegrator = meter.integrator\n"
            "print(meter.status, integrator.channels, binascii.hexlify(integrator.bytes).decode())"
        )
        status, channels, text = printed.split()
        data = bytes.fromhex(text)
        count = int(channels)
        indices = struct.unpack_from(f"<{count}Q", data)
        accumulators = data[8 * count : len(data) - 4 * count]
        registers = [int.from_bytes(accumulators[at : at + 16], "little") for at in range(0, len(accumulators), 16)]
        return list(indices), registers, int(status)
