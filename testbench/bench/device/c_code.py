"""C at -O2 on the board: compiled here, its machine code the body of an inline assembler function."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from testbench.errors import TestbenchError

_COMPILER = "arm-none-eabi-gcc"
_OPTIONS = ["-O2", "-mcpu=cortex-m3", "-mthumb", "-ffreestanding", "-nostdlib", "-fPIC", "-Wall", "-Wextra", "-Werror"]
_LINE = 8


def inline(source: Path, name: str, arguments: int) -> str:
    """MicroPython source of a function `name` of up to four `arguments` that runs the only function of the C file `source`.

    Raises TestbenchError without a compiler, or if the code needs anything but itself.
    """
    if shutil.which(_COMPILER) is None:
        raise TestbenchError(
            f"{_COMPILER} is not installed: `make mps2` installs it, or apt-get install gcc-arm-none-eabi"
        )
    with tempfile.TemporaryDirectory() as folder:
        program, code = Path(folder) / "program.elf", Path(folder) / "code.bin"
        _call([_COMPILER, *_OPTIONS, "-Wl,-Ttext=0,-e,accumulate", "-o", str(program), str(source)])
        _call([_COMPILER.replace("gcc", "objcopy"), "-O", "binary", "-j", ".text", str(program), str(code)])
        data = code.read_bytes()
    halves = struct.unpack(f"<{len(data) // 2}H", data)
    registers = ", ".join(f"r{n}" for n in range(arguments))
    lines = ["@micropython.asm_thumb", f"def {name}({registers}):", " bl(BODY)", " b(END)", " align(4)", " label(BODY)"]
    lines += [f" data(2, {', '.join(map(hex, halves[at : at + _LINE]))})" for at in range(0, len(halves), _LINE)]
    return "\n".join([*lines, " label(END)", ""])


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TestbenchError(f"{command[0]} failed: {done.stderr.strip()}")
