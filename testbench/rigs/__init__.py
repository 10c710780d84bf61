"""Rigs: a meter under test and what stimulates it. A test asks for a capability, not for the box behind it."""

from typing import Protocol


class Power(Protocol):
    """The meter's supply."""

    def on(self) -> None:
        """Power up and wait until the meter serves."""

    def off(self) -> None:
        """Take power away at once, as a cut does."""


class Stimulus(Protocol):
    """What the meter measures."""

    def pulses(self, channel: int, count: int) -> None:
        """`count` quanta on a channel, now."""


class Clock(Protocol):
    """The meter's time, which need not be ours."""

    def advance(self, milliseconds: int) -> None:
        """Let time pass."""

    def settle(self) -> None:
        """Return when the meter has taken in everything given so far."""


class Flash(Protocol):
    """What the meter keeps its store in."""

    size: int

    def read(self, at: int, size: int) -> bytes:
        """`size` bytes from `at` on."""

    def write(self, at: int, data: bytes) -> None:
        """Put `data` there, whatever it was: only without power."""


class Rig(Protocol):
    """A device under test; `url` opens its link with pyserial. A rig without a way to its flash has None there."""

    power: Power
    flash: Flash | None
    stimulus: Stimulus
    clock: Clock
    url: str
