"""The MPS2 emulator: a 32-bit MicroPython that counts its instructions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from testbench.emulators.mps2 import Mps2
from testbench.errors import DeviceError, EmulatorError

pytestmark = pytest.mark.pico


def test_it_is_the_32_bit_micropython_of_the_device(mps2: Mps2) -> None:
    printed = mps2.run("import sys; print(sys.implementation[1][:2], sys.maxsize == 2**31 - 1, 1.0 + 2**-24 == 1.0)")
    assert printed == "(1, 25) True True\n"


def test_a_small_int_has_31_bits_and_the_next_one_allocates(mps2: Mps2) -> None:
    mps2.run("import micropython\ndef grow(x):\n    micropython.heap_lock()\n    try:\n        return x + 1\n"
             "    finally:\n        micropython.heap_unlock()")  # fmt: skip
    assert mps2.run("print(grow(2**30 - 2))") == "1073741823\n"
    with pytest.raises(DeviceError, match=r"MemoryError"):
        mps2.run("grow(2**30 - 1)")


def test_counts_are_exact_and_repeat(mps2: Mps2) -> None:
    def count(nops: int) -> int:
        setup = "@micropython.asm_thumb\ndef nops():\n" + "    nop()\n" * nops
        return mps2.count("nops()", setup)

    shortest = count(1)
    assert [count(n) - shortest for n in (2, 3, 10, 101)] == [1, 2, 9, 100]
    assert count(1) == shortest
    assert mps2.count("pass") == 0


def test_an_exception_on_the_board_is_its_traceback_here(mps2: Mps2) -> None:
    with pytest.raises(DeviceError, match=r"ZeroDivisionError"):
        mps2.run("print('before')\n1 // 0")
    assert mps2.run("print('alive')") == "alive\n"


def test_packages_are_importable_with_their_compiled_code(mps2: Mps2) -> None:
    assert mps2.run("import protocol.frame\nprint(protocol.frame.__file__)") == "/rom/protocol/frame.mpy\n"


def test_the_second_uart_is_a_pseudo_terminal(mps2: Mps2) -> None:
    link = os.open(mps2.link, os.O_RDWR | os.O_NOCTTY)
    try:
        mps2.run(
            "from machine import mem32\nmem32[0x40005010] = 16\nmem32[0x40005008] = 3\n"
            "for byte in b'meter': mem32[0x40005000] = byte"
        )
        assert os.read(link, 16) == b"meter"
    finally:
        os.close(link)


def test_silence_and_an_end_are_told_apart(mps2: Mps2, tmp_path: Path) -> None:
    with Mps2() as other:
        with pytest.raises(EmulatorError, match=r"silent for 0.3 s"):
            other.run("while True: pass", timeout=0.3)
        other.close()
    not_an_image = tmp_path / "empty.elf"
    with pytest.raises(EmulatorError, match=r"qemu-system-arm .*empty.elf"):
        Mps2(image=not_an_image)
