"""The stimulator's own program on CPython, behind a pseudo-terminal: the trains that its PIO would run go to a rig."""

import os
import pty
import threading
import tty
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from testbench import stimulator

PROGRAM = Path(stimulator.__file__).parent / "device/main.py"
WORDS = 3
"""What the PIO program pulls for a train: pulses less one, and the two levels' times."""


class Plant:
    """`url` is its port, `pulses(pin, count)` what a train does; `asked` are the lines that came."""

    def __init__(self, pulses: Callable[[int, int], None]) -> None:
        self.asked: list[str] = []
        self._pulses = pulses
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.url = os.ttyname(self._slave)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Hang up."""
        os.close(self._slave)

    def _serve(self) -> None:
        program = self._program()
        board = program["Plant"]()
        received = b""
        while True:
            try:
                received += os.read(self._master, 256)
            except OSError:
                os.close(self._master)
                return
            *lines, received = received.split(b"\n")
            for line in lines:
                self.asked.append(line.decode())
                os.write(self._master, program["answer"](board, line.decode()).encode() + b"\r\n")

    def _program(self) -> dict[str, Any]:
        """The program's names with pins and PIO replaced; it does not serve yet."""
        pulses = self._pulses

        class StateMachine:
            def __init__(self, _number: int, _program: object, freq: int, set_base: int) -> None:
                assert freq == stimulator.MICROSECONDS
                self._pin = set_base
                self._words: list[int] = []
                self._ended = 0

            def active(self, on: int) -> None:
                assert on

            def tx_fifo(self) -> int:
                return len(self._words)

            def rx_fifo(self) -> int:
                return self._ended

            def get(self) -> None:
                self._ended -= 1

            def put(self, word: int) -> None:
                self._words.append(word)
                if len(self._words) == WORDS:
                    pulses(self._pin, self._words[0] + 1)
                    self._words.clear()
                    self._ended += 1

        rp2 = SimpleNamespace(
            PIO=SimpleNamespace(OUT_HIGH=1), StateMachine=StateMachine, asm_pio=lambda **_: lambda program: program
        )
        source = PROGRAM.read_text().replace("import machine\nimport rp2\n", "").removesuffix("main()\n")
        names: dict[str, Any] = {"machine": SimpleNamespace(Pin=int), "rp2": rp2}
        exec(compile(source, str(PROGRAM), "exec"), names)
        return names
