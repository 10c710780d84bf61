"""Rig `serial`: any meter on a serial URL, a second board as its plant. What the laboratory has on its bench."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from hostlink.errors import UsageError
from testbench.stimulator import Stimulator

PULSE_HZ = 100.0
SAMPLE_S = 0.25
OFF_S = 0.5


class SerialRig:
    """The meter behind `url`, fed by the stimulator behind `plant`.

    channels: the stimulator's GPIO for each channel. conditions: for each input its GPIO, whose PWM behind an RC filter the meter
    measures, and the raw values that 0 and 3.3 V stand for. power_pin: its GPIO that switches the meter's supply (1: on), None
    where nobody can. start_s: seconds that the meter needs from power to serving. `clock` and `sleep` as for `Stimulator`.
    """

    def __init__(
        self,
        url: str,
        plant: str,
        channels: Mapping[int, int],
        *,
        conditions: Mapping[int, tuple[int, int, int]] | None = None,
        power_pin: int | None = None,
        hertz: float = PULSE_HZ,
        start_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        self.now = clock
        self._sleep = sleep
        self._plant = Stimulator(plant, clock, sleep)
        self._channels = dict(channels)
        self._conditions = dict(conditions or {})
        self._power_pin = power_pin
        self._hertz = hertz
        self._start_s = start_s
        self.power = self.stimulus = self.clock = self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the stimulator's port back; the meter stays as it is."""
        self._plant.close()

    def on(self) -> None:
        """Switch the meter's supply on and wait until it should serve. Raises UsageError where there is no switch."""
        self._plant.level(self._switch(), True)
        self._sleep(self._start_s)

    def off(self) -> None:
        """Switch the meter's supply off."""
        self._plant.level(self._switch(), False)
        self._sleep(OFF_S)

    def pulses(self, channel: int, count: int) -> None:
        """`count` pulses on a channel; returns when they have come. Raises UsageError for a channel that is not wired."""
        if channel not in self._channels:
            raise UsageError(f"expected a wired channel ({', '.join(map(str, self._channels))}), got {channel}")
        self._plant.pulses(self._channels[channel], count, self._hertz)

    def condition(self, source: int, value: int | None) -> None:
        """Have input `source` measure `value` (raw); None: 0 V, as from a transmitter that fell silent. Raises UsageError."""
        if source not in self._conditions:
            wired = ", ".join(map(str, self._conditions)) or "none"
            raise UsageError(f"expected a wired input ({wired}), got {source}")
        pin, low, high = self._conditions[source]
        if value is not None and not low <= value <= high:
            raise UsageError(f"expected {low} to {high} at input {source}, got {value}")
        self._plant.analogue(pin, 0.0 if value is None else (value - low) / (high - low))

    def advance(self, milliseconds: int) -> None:
        """Let time pass: nobody can make it go faster."""
        self._sleep(milliseconds / 1000)

    def settle(self) -> None:
        """Return when the meter has sampled what was given so far."""
        self._sleep(SAMPLE_S)

    def _switch(self) -> int:
        if self._power_pin is None:
            raise UsageError("this bench has no switch in the meter's supply: wire one and give its GPIO as power_pin")
        return self._power_pin
