"""The plan of a calibration bench: a TOML file of steps.

command = ["./bench.py"]        # called with serial number, port and step; prints what the reference measured
settle_s = 2.5                  # the meter's time until it has taken in what the command did

[[steps]]
name = "full load"
channel = 0
element = "A"                   # phase of a three-phase chip; A without it
adjust = "gain"                 # gain, delay (of the current against the voltage), or nothing: only tested
limit_ppm = 2000                # the error that may be left
plausible_ppm = 50000           # the error that may be found: more is no matter of adjusting

[[steps]]
name = "half power factor"
channel = 0
adjust = "delay"
power_factor = 0.5              # inductive
hertz = 50
limit_ppm = 4000

[[steps]]
name = "ice point"
input = 1
adjust = "offset"               # or gain: with an offset step before it, the straight line through both
limit = 10                      # in the input's own unit
plausible = 200
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostlink.errors import DataError, UsageError
from protocol import parameters

GAIN, DELAY, OFFSET, NOTHING = "gain", "delay", "offset", ""
ELEMENTS = "ABC"
PLAUSIBLE_PPM = 50_000
SETTLE_S = 2.5
"""Two polls of a chip (`firmware.drivers`) and a sample."""
_KEYS = {
    "name": str,
    "channel": int,
    "input": int,
    "element": str,
    "adjust": str,
    "limit_ppm": (int, float),
    "plausible_ppm": (int, float),
    "limit": (int, float),
    "plausible": (int, float),
    "power_factor": (int, float),
    "hertz": (int, float),
}


@dataclass(frozen=True)
class Step:
    """One point of a bench. `limit` and `plausible` are ppm for a channel, in the input's unit for an input."""

    name: str
    adjust: str
    limit: float
    plausible: float
    channel: int | None = None
    input: int | None = None
    element: int = 0
    power_factor: float = 1.0
    hertz: float = 50.0

    @property
    def number(self) -> int:
        """The parameter that it adjusts (`protocol.parameters`)."""
        if self.input is not None:
            return parameters.INPUT_CALIBRATION + self.input
        assert self.channel is not None
        return parameters.CALIBRATION + parameters.ELEMENTS * self.channel + self.element

    @property
    def unit(self) -> str:
        """The unit of its errors."""
        return "ppm" if self.channel is not None else "units"


@dataclass(frozen=True)
class Plan:
    """A bench's steps, and the command that sets each of them up and reads its reference."""

    steps: tuple[Step, ...]
    command: tuple[str, ...]
    settle_s: float = SETTLE_S


def load(path: Path) -> Plan:
    """The plan in a file. Raises UsageError if it cannot be read, DataError that names what is wrong in it."""
    try:
        found = tomllib.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"expected a calibration plan, cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no TOML: {error}") from None
    command = found.get("command")
    words = [command] if isinstance(command, str) else command
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise DataError(f"{path}: expected command, the bench's program and its arguments, got {command!r}")
    steps = found.get("steps")
    if not isinstance(steps, list) or not steps or not all(isinstance(step, dict) for step in steps):
        raise DataError(f"{path}: expected one [[steps]] or more")
    settle_s = found.get("settle_s", SETTLE_S)
    if not isinstance(settle_s, (int, float)) or settle_s < 0:
        raise DataError(f"{path}: expected seconds in settle_s, got {settle_s!r}")
    read = tuple(_step(path, number, step) for number, step in enumerate(steps))
    if len({step.name for step in read}) != len(read):
        raise DataError(f"{path}: expected steps of different names: {', '.join(step.name for step in read)}")
    return Plan(read, tuple(words), float(settle_s))


def _step(path: Path, number: int, given: Mapping[str, Any]) -> Step:
    name = given.get("name")
    where = f"{path}, step {name if isinstance(name, str) and name else number + 1}"

    def wrong(expected: str, got: object) -> DataError:
        return DataError(f"{where}: expected {expected}, got {got!r}")

    for key, value in given.items():
        if key not in _KEYS:
            raise wrong(f"keys of {', '.join(_KEYS)}", key)
        if not isinstance(value, _KEYS[key]) or isinstance(value, bool):  # type: ignore[arg-type]
            raise wrong(f"another kind of value for {key}", value)
    if not name:
        raise wrong("a name", name)
    of_channel = "channel" in given
    if of_channel == ("input" in given):
        raise wrong("either channel or input", "both" if of_channel else "neither")
    which, most = ("channel", parameters.CHANNELS) if of_channel else ("input", parameters.INPUTS)
    if not 0 <= given[which] < most:
        raise wrong(f"{which} 0 to {most - 1}", given[which])
    adjust = given.get("adjust", NOTHING)
    allowed = (GAIN, DELAY, NOTHING) if of_channel else (GAIN, OFFSET, NOTHING)
    if adjust not in allowed:
        raise wrong(f"adjust to be one of {', '.join(allowed[:-1])}", adjust)
    limit, plausible = ("limit_ppm", "plausible_ppm") if of_channel else ("limit", "plausible")
    if given.get(limit, 0) <= 0:
        raise wrong(f"{limit} above 0", given.get(limit))
    if of_channel is False and plausible not in given:
        raise wrong("plausible, the largest error that adjusting is for", None)
    widest = given.get(plausible, PLAUSIBLE_PPM)
    if widest < given[limit]:
        raise wrong(f"{plausible} not below {limit}", widest)
    element = given.get("element", "A")
    if element not in tuple(ELEMENTS[: parameters.ELEMENTS]) or (element != "A" and not of_channel):
        raise wrong("element A, B or C of a channel", element)
    power_factor, hertz = given.get("power_factor", 1.0), given.get("hertz", 50.0)
    if not 0 < power_factor <= 1 or (adjust == DELAY and power_factor > 0.95):
        raise wrong("a power_factor above 0, for a delay at most 0.95", power_factor)
    if not 40 <= hertz <= 70:
        raise wrong("hertz of a mains, 40 to 70", hertz)
    return Step(
        name, adjust, given[limit], widest, given.get("channel"), given.get("input"),
        ELEMENTS.index(element), power_factor, hertz,
    )  # fmt: skip
