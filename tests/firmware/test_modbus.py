"""Modbus RTU instruments and the RS-485 driver: values, misses, wrong answers."""

from __future__ import annotations

from firmware.drivers.counter import MISSING
from firmware.drivers.modbus import HOLDING, INPUT, ModbusLine, Quantity, Total
from firmware.drivers.rs485 import Rs485
from protocol.status import COUNTER_JUMP
from testbench.chips.modbus import ModbusInstrument
from tests.firmware.buses import POLL_MS, Uart, poll, take


def test_modbus_concentration_and_total() -> None:
    analyser, flow = ModbusInstrument(17), ModbusInstrument(18)
    analyser.set(INPUT, 0x10, 412)
    flow.set(HOLDING, 100, 0xFFFFFFF0, words=2)
    concentration = Quantity(17, 0x10, numerator=100)
    total = Total(18, 100, per_second=50, function=HOLDING)
    line = ModbusLine(Uart(analyser, flow), (concentration, total))
    poll(line, 2000)
    assert concentration.value == 41200
    assert take(total) == (0, 0)
    flow.set(HOLDING, 100, 0x14, words=2)
    poll(line, 1100)
    assert take(total) == (36, 0), "over the wrap of 32 bits"
    flow.set(HOLDING, 100, 0, words=2)
    poll(line, 1100)
    assert take(total) == (0, COUNTER_JUMP)
    assert line.errors == 0


def test_modbus_signed_scaled_and_out_of_range() -> None:
    unit = ModbusInstrument(1)
    unit.set(INPUT, 0, 0x10000 - 40)
    kelvin = Quantity(1, 0, numerator=10, offset=27315, signed=True)
    line = ModbusLine(Uart(unit), (kelvin,))
    poll(line, 2000)
    assert kelvin.value == 27315 - 400
    unit.set(INPUT, 0, 0x8000)
    poll(line, 1100)
    assert kelvin.value == MISSING


def test_modbus_one_miss_keeps_the_value_two_lose_it() -> None:
    unit = ModbusInstrument(1)
    unit.set(INPUT, 0, 5)
    point = Quantity(1, 0)
    line = ModbusLine(Uart(unit), (point,))
    poll(line, 2000)
    unit.silent = True
    while not line.errors:
        line.poll(POLL_MS)
    assert point.value == 5
    poll(line, 1100)
    assert point.value == MISSING
    unit.silent = False
    poll(line, 2100)
    assert point.value == 5


def faulty(answer: bytes) -> list[bytes]:
    """Wrong answers by the dozen: wrong unit, function, size, CRC, cut, echoed, none."""
    wrong_unit = bytes([answer[0] + 1]) + answer[1:]
    wrong_function = answer[:1] + b"\x03" + answer[2:]
    wrong_size = answer[:2] + b"\x04" + answer[3:]
    wrong_crc = answer[:-1] + bytes([answer[-1] ^ 1])
    flipped = [bytes([b ^ (n == at) for n, b in enumerate(answer)]) for at in range(len(answer))]
    return [
        wrong_unit,
        wrong_function,
        wrong_size,
        wrong_crc,
        answer[:-2],
        b"",
        bytes([1, 0x84, 2, 0xC2, 0xC1]),
        *flipped,
    ]


def test_modbus_takes_no_wrong_answer() -> None:
    unit = ModbusInstrument(1)
    unit.set(INPUT, 0, 0x1234)
    good = unit.receive(bytes.fromhex("010400000001") + bytes.fromhex("31ca"))
    for wrong in faulty(good):
        uart = Uart(unit)
        uart.noise = lambda data, wrong=wrong: wrong if data else data
        point = Quantity(1, 0)
        line = ModbusLine(uart, (point,))
        poll(line, 3000)
        assert point.value == MISSING, wrong.hex()
        assert line.errors


def test_rs485_drives_the_line_only_while_it_sends() -> None:
    unit = ModbusInstrument(1)
    unit.set(INPUT, 0, 7)
    uart = Uart(unit)
    trace: list[object] = []
    uart.flush = lambda: trace.append("sent")  # type: ignore[attr-defined]
    line = Rs485(uart, trace.append)
    point = Quantity(1, 0)
    poll(ModbusLine(line, (point,)), 2000)
    assert point.value == 7
    assert trace[:4] == [0, 1, "sent", 0]
