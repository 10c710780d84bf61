"""Board `esp32` on MicroPython's unix port, its chip's modules stood in for: it imports, counts in hardware, keeps its store.

What the stand-ins do not show (times, real flash, a real counter) takes a chip.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

from testbench import micropython
from testbench import series as measured
from testbench.demo import gas_profile

PORT = Path(__file__).with_name("esp32_port")
PROFILE, FACTOR = gas_profile(measured.CUBIC_FOOT)
BOARD_JSON = {
    "serial": "TONNE-0032",
    "address": 3,
    "link": {"uart": 1, "tx": 17, "rx": 16, "baud": 9600, "direction": 4},
    "channels": [{"driver": "pulse", "pin": 27}],
    "inputs": [{"driver": "current_loop", "adc": 34, "low": 0, "high": 1000, "milliohms": 100000}],
}
CODE = """
import os, sys
os.chdir(given[0])
import machine
from esp32 import PCNT, Partition
from firmware.boards import esp32
from firmware.boards.board import Board
def start():
    led = machine.Pin(esp32.LED, machine.Pin.OUT, value=0)
    return Board("esp32", esp32.Esp32Buses(), esp32.PartitionNor(Partition.find(1, label="tonne")[0]), led)
def co2(board):
    data = bytes(board.device.meter.integrator.bytes)
    at = 2 * board.device.meter.integrator.accumulators_at
    return [int.from_bytes(data[:8], "little"), int.from_bytes(data[at : at + 16], "little")]
board = start()
unit = PCNT.units[0]
result = [board.device.meter.identity[:2], unit.running, unit.pin.number]
for pulses in given[1]:
    unit.count(pulses)
    board.turn(0)
result += [co2(board), machine.WDT.fed, board.device.keeper.meter.status & 0x0400, [i.value for i in board.polled]]
board.device.shut_down()
board = start()
result += [co2(board)]
"""


def test_it_counts_in_its_hardware_counter_and_keeps_the_count(tmp_path: Path) -> None:
    (tmp_path / "board.json").write_text(json.dumps(BOARD_JSON))
    (tmp_path / "profile.bin").write_bytes(PROFILE)
    pulses = [1, 32000, 900, 32766, 5, 0, 20000]
    found = micropython.evaluate(CODE, [str(tmp_path), pulses], path=PORT)
    _, running, pin, (index, raw), fed, fault, values, after = found
    assert (running, pin, fed, fault) == (True, 27, len(pulses), 0)
    assert index == sum(pulses)
    assert abs(Fraction(raw, 1 << 64) - FACTOR * index) <= Fraction(index, 1 << 33), "the constant, rounded"
    assert after == [index, raw], "what the partition kept"
    assert 0 < values[0] < 1000
