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
        self.board = board
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

    def bus(self, kind, spec):
        """The bus (`uart`, `spi`, `i2c`) that a line names."""
        key = (kind, spec[kind])
        if key not in self._buses:
            self._buses[key] = getattr(self.board, kind)(spec)
        return self._buses[key]

    def chip(self, key, make):
        """The chip `key` that more than one line may name, made by the first of them."""
        if key not in self._chips:
            self._chips[key] = make()
            self.polled.append(self._chips[key])
        return self._chips[key]

    def point(self, spec, point):
        """An instrument on the Modbus line that a line names."""
        self.bus("uart", spec)
        self._lines.setdefault(spec["uart"], []).append(point)
        return point

    def _make(self, spec):
        name = spec["driver"]
        if name == "pulse":
            self._pulses += 1
            return self.board.pulse(self._pulses - 1, spec)
        return driver(name.partition(".")[0])(self, spec)


def driver(chip):
    """`wire(wiring, spec)` of the module that drives `chip`; its name begins with the module's. Raises WiringError."""
    if chip == "bl0942":
        from firmware.drivers.bl0942 import wire
    elif chip in ("atm90e26", "atm90e32"):
        from firmware.drivers.atm90 import wire
    elif chip == "bmp280":
        from firmware.drivers.bmp280 import wire
    elif chip == "current_loop":
        from firmware.drivers.current_loop import wire
    elif chip == "modbus":
        from firmware.drivers.modbus import wire
    else:
        raise WiringError("board.json: there is no driver %s" % chip)
    return wire
