"""What hangs on an emulated RP2040's I2C, SPI and converter: models of `testbench.chips`. A transfer takes no time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from rp2040py import GPIOPinState
from rp2040py.peripherals.i2c import I2CMode
from rp2040py.rp2040 import RP2040

_PAUSE_NS = 5e6


class Memory(Protocol):
    """A chip on I2C: registers of a byte; not `present`, it does not answer its address."""

    present: bool

    def read(self, register: int, size: int) -> bytes: ...
    def write(self, register: int, data: bytes) -> None: ...


class Exchange(Protocol):
    """A chip on SPI: a frame begins when `select` goes low; `pause`: 5 ms and more passed since the last one."""

    def pause(self) -> None: ...
    def select(self, level: int) -> None: ...
    def exchange(self, byte: int) -> int: ...


class Analogue(Protocol):
    """What is at an input of the converter."""

    @property
    def raw(self) -> int: ...


class I2cBus:
    """The chips on a controller, by address. The first byte written is the register; it goes on by itself, written or read."""

    def __init__(self, number: int, chips: Mapping[int, Memory]) -> None:
        self._number = number
        self._chips = chips

    def wire(self, chip: RP2040) -> None:
        """Answer the controller of a chip that has just got power."""
        controller = chip.i2c[self._number]
        asked: Memory | None = None
        register = 0
        first = False

        def connect(address: int, mode: I2CMode) -> None:
            nonlocal asked, first
            asked = self._chips.get(address)
            first = mode == I2CMode.WRITE
            controller.complete_connect(asked is not None and asked.present)

        def write(value: int) -> None:
            nonlocal register, first
            if first:
                register, first = value, False
            elif asked:
                asked.write(register, bytes((value,)))
                register += 1
            controller.complete_write(True)

        def read(_acknowledged: bool) -> None:
            nonlocal register
            value = asked.read(register, 1)[0] if asked else 0xFF
            register += 1
            controller.complete_read(value)

        controller.on_connect, controller.on_write_byte, controller.on_read_byte = connect, write, read


class SpiBus:
    """The chips on a controller, by the GPIO of their select."""

    def __init__(self, number: int, chips: Mapping[int, Exchange]) -> None:
        self._number = number
        self._chips = chips

    def wire(self, chip: RP2040) -> None:
        """Answer the controller of a chip that has just got power."""
        controller = chip.spi[self._number]
        selected: list[Exchange] = []

        def transmit(value: int) -> None:
            answers = [each.exchange(value) for each in selected]
            controller.complete_transmit(answers[0] if answers else 0xFF)

        def watch(pin: int, each: Exchange) -> None:
            ended = 0.0

            def changed(value: GPIOPinState, _before: GPIOPinState) -> None:
                nonlocal ended
                low = value == GPIOPinState.LOW
                if low == (each in selected):
                    return
                if low and chip.clock.nanos - ended >= _PAUSE_NS:
                    each.pause()
                ended = chip.clock.nanos
                (selected.append if low else selected.remove)(each)
                each.select(int(not low))

            chip.gpio[pin].add_listener(changed)

        controller.on_transmit = transmit
        for pin, each in self._chips.items():
            watch(pin, each)


class Converter:
    """What is at GPIO 26 to 29, by GPIO."""

    FIRST = 26

    def __init__(self, inputs: Mapping[int, Analogue]) -> None:
        self._inputs = inputs

    def wire(self, chip: RP2040) -> None:
        """Answer the converter of a chip that has just got power."""
        adc = chip.adc
        convert = adc.on_adc_read

        def read(channel: int) -> None:
            source = self._inputs.get(self.FIRST + channel)
            if source:
                adc.channel_values[channel] = source.raw
            convert(channel)

        adc.on_adc_read = read
