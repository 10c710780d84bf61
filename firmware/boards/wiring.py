"""What is wired to a board: `board.json`, written when the board is flashed, made into drivers.

    {"serial": "TONNE-0001", "address": 1, "link": {"uart": 0, "tx": 0, "rx": 1, "baud": 115200, "direction": 2},
     "channels": [{"driver": "pulse", "pin": 5, "settle_us": 200},
                  {"driver": "bl0942", "uart": 1, "tx": 8, "rx": 9, "baud": 9600, "per_second": 200}],
     "inputs": [{"driver": "bmp280.pressure", "i2c": 0, "sda": 20, "scl": 21}, {"driver": "bmp280.temperature", "i2c": 0}],
     "tamper": 10, "brownout": 11, "rtc": {"i2c": 0}}

A bus is opened where it is first named; later lines need only its number. docs/pico.md has every key.
"""


class WiringError(ValueError):
    """board.json asks for what this board does not have."""


class Wiring:
    """`channels` and `inputs` in the order of `board.json`, `polled`: the drivers that ask their chips, and `chips`: those of
    channels, which can be calibrated, by channel number.

    `board` opens what is needed: `pulse(number, spec)`, `uart(spec)`, `spi(spec)`, `select(spec)`, `i2c(spec)`, `adc(spec)`.
    """

    def __init__(self, config, board):
        self.polled = []  # type: list
        self._board = board
        self._buses = {}  # type: dict
        self._chips = {}
        self._lines = {}  # type: dict
        self._pulses = 0
        self.chips = {}  # type: dict
        self.channels = [self._make(spec) for spec in config.get("channels", ())]
        for n, channel in enumerate(self.channels):
            if hasattr(channel, "calibrate"):
                self.chips[n] = channel
        self.inputs = [self._make(spec) for spec in config.get("inputs", ())]
        for uart, points in self._lines.items():
            from firmware.drivers.modbus import ModbusLine

            self.polled.append(ModbusLine(self._buses["uart", uart], points))

    def i2c(self, spec):
        """The I2C bus that a line names."""
        return self._bus("i2c", spec)

    def _make(self, spec):
        chip = spec["driver"].partition(".")[0]
        makers = {
            "pulse": self._pulse,
            "bl0942": self._bl0942,
            "atm90e26": self._atm90e26,
            "atm90e32": self._atm90e32,
            "bmp280": self._bmp280,
            "current_loop": self._current_loop,
            "modbus": self._modbus,
        }
        if chip not in makers:
            raise WiringError("board.json: there is no driver %s" % chip)
        return makers[chip](spec)

    def _bus(self, kind, spec):
        key = (kind, spec[kind])
        if key not in self._buses:
            self._buses[key] = getattr(self._board, kind)(spec)
        return self._buses[key]

    def _chip(self, key, make):
        if key not in self._chips:
            self._chips[key] = make()
            self.polled.append(self._chips[key])
        return self._chips[key]

    def _pulse(self, spec):
        self._pulses += 1
        return self._board.pulse(self._pulses - 1, spec)

    def _bl0942(self, spec):
        from firmware.drivers.bl0942 import Bl0942

        address = spec.get("address", 0)
        return self._chip(
            ("bl0942", spec["uart"], address), lambda: Bl0942(self._bus("uart", spec), spec["per_second"], address)
        )

    def _atm90e26(self, spec):
        from firmware.drivers.atm90 import Atm90e26

        return self._atm90(Atm90e26, spec)

    def _atm90e32(self, spec):
        from firmware.drivers.atm90 import Atm90e32

        return self._atm90(Atm90e32, spec)

    def _atm90(self, kind, spec):
        settings = tuple((int(register, 16), value) for register, value in spec.get("settings", {}).items())
        select = self._board.select(spec)
        chip = kind(self._bus("spi", spec), select, spec["per_second"], settings)
        self.polled.append(chip)
        return chip

    def _bmp280(self, spec):
        from firmware.drivers.bmp280 import ADDRESS, Bmp280

        address = spec.get("address", ADDRESS)
        chip = self._chip(("bmp280", spec["i2c"], address), lambda: Bmp280(self._bus("i2c", spec), address))
        return chip.temperature if spec["driver"] == "bmp280.temperature" else chip.pressure

    def _current_loop(self, spec):
        from firmware.drivers.current_loop import CurrentFlow, CurrentLoop, nominal

        points = spec.get("points") or nominal(spec["milliohms"], spec.get("reference_mv", 3300))
        made = CurrentLoop(self._board.adc(spec), spec["low"], spec["high"], points)  # type: object
        if spec["driver"] == "current_loop.flow":
            made = CurrentFlow(made, spec["high"])
        self.polled.append(made)
        return made

    def _modbus(self, spec):
        from firmware.drivers.modbus import INPUT, Quantity, Total

        self._bus("uart", spec)
        function = spec.get("function", INPUT)
        if "per_second" in spec:
            point = Total(spec["unit"], spec["first"], spec["per_second"], spec.get("words", 2), function)  # type: object
        else:
            numerator, denominator = spec.get("numerator", 1), spec.get("denominator", 1)
            offset, signed = spec.get("offset", 0), spec.get("signed", False)
            words = spec.get("words", 1)
            point = Quantity(spec["unit"], spec["first"], words, function, numerator, denominator, offset, signed)
        self._lines.setdefault(spec["uart"], []).append(point)
        return point
