"""The chips that a board.json names, as models (`testbench.chips`) on the buses of an emulated Pico."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from hostlink.errors import UsageError
from testbench.chips.atm90 import Atm90e26Chip, Atm90e32Chip
from testbench.chips.bl0942 import Bl0942Chip
from testbench.chips.bmp280 import Bmp280Chip
from testbench.chips.current_loop import Transmitter
from testbench.chips.ds3231 import Ds3231Chip
from testbench.chips.modbus import ModbusInstrument
from testbench.emulators.buses import Converter, I2cBus, SpiBus
from testbench.emulators.pico import Pico

BMP280, DS3231 = 0x76, 0x68
"""I2C addresses."""
ZERO_UA, SPAN_UA = 4000, 16_000


class Fitted:
    """`channels` and `inputs` by number are the models behind the lines of board.json, None for a pin; `rtc` if there is one.

    A chip that several lines name is one model. Answers on a UART follow at once; the other transfers take no time.
    """

    def __init__(self, board: Pico, config: Mapping[str, Any]) -> None:
        self._specs = {"channel": config["channels"], "input": config.get("inputs", ())}
        self._made: dict[tuple[Any, ...], Any] = {}
        self.channels = [self._model(spec) for spec in self._specs["channel"]]
        self.inputs = [self._model(spec) for spec in self._specs["input"]]
        self.rtc: Ds3231Chip | None = None
        if "rtc" in config:
            self.rtc = self._made["i2c", config["rtc"]["i2c"], DS3231] = Ds3231Chip()
        self._wire(board)

    def power_lost(self) -> None:
        """The board's supply was theirs, too; the clock has a battery of its own."""
        for model in self._made.values():
            if hasattr(model, "reset"):
                model.reset()

    def count(self, channel: int, quanta: int) -> None:
        """So many quanta pass the chip of a channel. Raises UsageError for a current loop, which has a flow instead."""
        model, spec = self.channels[channel], self._specs["channel"][channel]
        if isinstance(model, ModbusInstrument):
            function, first, words = spec.get("function", 4), spec["first"], spec.get("words", 2)
            model.set(function, first, model.value(function, first, words) + quanta, words)
        elif isinstance(model, Transmitter):
            raise UsageError(
                f"channel {channel} is a current loop: give it a flow, `chips.channels[{channel}].microamperes`"
            )
        else:
            model.energy(quanta)

    def measure(self, source: int, value: int | None) -> None:
        """Input `source` measures `value` in the condition's unit; None: its instrument is gone. Raises UsageError without one."""
        if not 0 <= source < len(self.inputs):
            raise UsageError(
                f"expected one of the board's {len(self.inputs)} inputs, got {source}: name it in board.json"
            )
        model, spec = self.inputs[source], self._specs["input"][source]
        if isinstance(model, Bmp280Chip):
            model.present = value is not None
            if value is not None:
                model.measure(**{spec["driver"].partition(".")[2]: value})
        elif isinstance(model, Transmitter):
            span = Fraction(SPAN_UA, spec["high"] - spec["low"])
            model.microamperes = Fraction(0) if value is None else ZERO_UA + (value - spec["low"]) * span
        elif isinstance(model, ModbusInstrument):
            model.silent = value is None
            if value is not None:
                raw = Fraction(value - spec.get("offset", 0)) * spec.get("denominator", 1) / spec.get("numerator", 1)
                model.set(spec.get("function", 4), spec["first"], round(raw), spec.get("words", 1))
        else:
            raise UsageError(f"input {source} ({spec['driver']}) has no model to set")

    def _model(self, spec: Mapping[str, Any]) -> Any:
        chip = spec["driver"].partition(".")[0]
        if chip == "bl0942":
            return self._one(("uart", spec["uart"], spec.get("address", 0)), lambda: Bl0942Chip(spec.get("address", 0)))
        if chip == "modbus":
            return self._one(("uart", spec["uart"], spec["unit"]), lambda: ModbusInstrument(spec["unit"]))
        if chip in ("atm90e26", "atm90e32"):
            kind = Atm90e26Chip if chip == "atm90e26" else Atm90e32Chip
            return self._one(("spi", spec["spi"], spec["select"]), kind)
        if chip == "bmp280":
            return self._one(("i2c", spec["i2c"], spec.get("address", BMP280)), Bmp280Chip)
        if chip == "current_loop":
            reference = Fraction(spec.get("reference_mv", 3300))
            return self._one(("adc", 0, spec["adc"]), lambda: Transmitter(spec.get("milliohms", 150_000), reference))
        return None

    def _one(self, key: tuple[Any, ...], make: Any) -> Any:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _wire(self, board: Pico) -> None:
        buses: dict[tuple[str, int], dict[int, Any]] = {}
        for (kind, number, at), model in self._made.items():
            buses.setdefault((kind, number), {})[at] = model
        for (kind, number), models in buses.items():
            if kind == "uart":
                self._wire_uart(board, number, list(models.values()))
            elif kind == "i2c":
                board.wires.append(I2cBus(number, models).wire)
            elif kind == "spi":
                board.wires.append(SpiBus(number, models).wire)
            else:
                board.wires.append(Converter(models).wire)

    def _wire_uart(self, board: Pico, number: int, models: list[Any]) -> None:
        def answer(data: bytes) -> None:
            for model in models:
                said = model.receive(data)
                if said:
                    board.send(number, said)

        board.sent[number] = answer
