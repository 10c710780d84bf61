"""The emulated Pico: the real image, its times, its wires, and what a power cut leaves."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest

from testbench.emulators.edges import pulse_train
from testbench.emulators.pico import Pico
from testbench.errors import DeviceError, EmulatorError
from testbench.images import littlefs_image

pytestmark = pytest.mark.pico

COUNT_PIN_5 = """
from machine import Pin
import array, micropython, time
n = array.array('I', [0])
@micropython.viper
def falling(pin):
    count = ptr32(n)
    count[0] = count[0] + 1
Pin(5, Pin.IN, Pin.PULL_UP).irq(falling, Pin.IRQ_FALLING, hard=True)
"""
UART_0 = "from machine import UART, Pin\nimport time\nu = UART(0, {baud}, tx=Pin(0), rx=Pin(1))\n"


def test_the_real_image_runs_with_31_bit_small_ints(pico: Pico) -> None:
    printed = pico.exec(
        "import sys, os; print(sys.implementation[1][:2], sys.maxsize == 2**31 - 1, os.uname().machine)"
    )
    assert printed == "(1, 25) True Raspberry Pi Pico with RP2040\n"


def test_it_boots_runs_main_and_shows_its_files(pico_uf2: Path) -> None:
    board = Pico(pico_uf2)
    board.files({"main.py": b"import meter.pulse\n", "meter/pulse.py": b"with open('ran', 'w') as f: f.write('yes')\n"})
    board.on()
    board.run_for(0.3)
    assert board.read_files()["ran"] == b"yes"


def test_time_is_the_picos_own(pico: Pico) -> None:
    began = pico.now
    pico.exec("import time; time.sleep(3)")
    assert 3.0 <= pico.now - began < 3.1


def test_two_runs_are_the_same_to_the_cycle(pico_uf2: Path) -> None:
    def run() -> tuple[float, str]:
        board = Pico(pico_uf2)
        board.on()
        return board.now, board.exec("import time; print(time.ticks_us(), time.ticks_cpu())")

    assert run() == run()


def test_cycles_of_a_call_are_counted(pico: Pico) -> None:
    thumb = "@micropython.asm_thumb\ndef nops():\n"
    shortest = pico.count("nops()", thumb + "    nop()\n")
    assert pico.count("nops()", thumb + "    nop()\n" * 101) - shortest == 100


def test_an_exception_on_the_pico_is_its_traceback_here(pico: Pico) -> None:
    with pytest.raises(DeviceError, match="ZeroDivisionError"):
        pico.exec("1 // 0")
    with pytest.raises(EmulatorError, match=r"within 0\.2 s"):
        pico.exec("while True: pass", limit=0.2)
    assert pico.exec("print('alive')") == "alive\n"


def test_uart_bytes_take_their_time_both_ways(pico: Pico) -> None:
    sent: list[tuple[float, bytes]] = []
    pico.sent[0] = lambda byte: sent.append((pico.now, byte))
    pico.exec(UART_0.format(baud=9600) + "u.write(b'registers')")
    pico.run_for(0.02)
    assert b"".join(byte for _, byte in sent) == b"registers"
    for (sooner, _), (later, _) in pairwise(sent):
        assert later - sooner == pytest.approx(10 / 9600, rel=0.002)  # start, eight bits, stop
    pico.send(0, b"meter" * 20)
    assert pico.exec("time.sleep(0.11); print(u.read())") == repr(b"meter" * 20) + "\n"
    assert pico.lost(0) == 0


def test_the_line_is_free_only_when_the_last_stop_bit_has_left(pico: Pico) -> None:
    """What an RS-485 driver's release hangs on."""
    took = pico.exec(
        UART_0.format(baud=19200)
        + "t = time.ticks_us(); u.write(b'x' * 20)\nwhile not u.txdone(): pass\nprint(time.ticks_diff(time.ticks_us(), t))"
    )
    assert 200e6 / 19200 <= int(took) <= 200e6 / 19200 + 200


def test_pulses_reach_a_hard_interrupt(pico: Pico) -> None:
    pico.drive(5, True)
    pico.exec(COUNT_PIN_5)
    pico.edges(5, pulse_train(50, 1000.0, jitter=0.2))
    pico.run_for(0.06)
    assert pico.exec("print(n[0])") == "50\n"


def test_a_flash_write_stops_interrupts_as_on_silicon(pico: Pico) -> None:
    pico.drive(5, True)
    pico.exec(COUNT_PIN_5)
    pico.edges(5, pulse_train(100, 1000.0))
    pico.exec("with open('log', 'w') as f: f.write('x' * 300)")
    pico.run_for(0.1)
    assert int(pico.exec("print(n[0])")) < 80  # a sector erase alone takes 45 ms


def test_bounce_adds_edges_and_the_same_seed_the_same_train() -> None:
    clean = list(pulse_train(20, 10.0))
    shaken = list(pulse_train(20, 10.0, bounce_s=0.005, bounces=3, random_=random.Random(1)))
    assert len(shaken) == len(clean) * 7
    assert shaken == sorted(shaken)
    assert shaken == list(pulse_train(20, 10.0, bounce_s=0.005, bounces=3, random_=random.Random(1)))
    assert [level for _, level in shaken[6::7]] == [level for _, level in clean]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_cut_finds_flash_half_erased_and_keeps_the_rest(pico_uf2: Path, share: float) -> None:
    board = Pico(pico_uf2, seed=7)
    block = 100
    offset = littlefs_image.START + block * littlefs_image.BLOCK
    board.write_flash(offset, bytes(littlefs_image.BLOCK))
    other_blocks = board.read_flash(0, offset)
    board.on()
    board.start(f"import rp2; rp2.Flash().ioctl(6, {block})")
    board.run_to_flash_write(1, share, limit=1.0)
    board.off()
    left = board.read_flash(offset, littlefs_image.BLOCK)
    ones = sum(byte.bit_count() for byte in left) / (8 * len(left))
    assert ones == pytest.approx(share, abs=0.02)
    assert board.read_flash(0, offset) == other_blocks
    board.on()
    assert board.exec("print(1)") == "1\n"


def test_power_off_forgets_memory_and_keeps_time_and_flash(pico: Pico) -> None:
    pico.exec("kept = 1\nwith open('kept', 'w') as f: f.write('1')")
    before = pico.now
    pico.off()
    with pytest.raises(EmulatorError, match="no power"):
        pico.run_for(1)
    pico.on()
    assert pico.exec("print('kept' in globals(), open('kept').read())") == "False 1\n"
    assert pico.now > before


def test_a_reset_by_the_firmware_reboots_it(pico: Pico) -> None:
    pico.start("import machine; machine.reset()")
    pico.run_for(0.2)
    assert pico.exec("import machine; print(machine.reset_cause() == machine.WDT_RESET)") == "True\n"


def test_flash_is_written_only_without_power(pico: Pico) -> None:
    with pytest.raises(EmulatorError, match="cut it before"):
        pico.files({})
