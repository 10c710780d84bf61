"""The run of a plan on one meter: measure, adjust, measure again, all of it recorded."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from hostlink.calibrate.adjust import MILLION, Fields, Reading, adjusted
from hostlink.calibrate.plan import ELEMENTS, GAIN, OFFSET, Plan, Step
from hostlink.calibrate.reference import printed
from hostlink.errors import CalibrationError, DataError, Refused, UsageError
from hostlink.keys import KeyFile, enter
from hostlink.meter import Meter
from protocol import parameters, session
from protocol import status as codes

RESOLUTION = 4
"""A channel's step must feed so many quanta that one of them is this part of the limit at most."""
ADJUST_ABOVE = 0.5
"""Share of the limit up to which an error is left alone: calibrating again changes nothing on a good meter."""

Bench = Callable[[str, str], Fraction]
"""Gets serial number and step; sets the step up, waits for it, and returns what the reference measured."""


@dataclass
class Calibration:
    """What is done to one meter: `record` grows step by step and is whole up to a failure."""

    meter: Meter
    bench: Bench
    settle_s: float
    sleep: Callable[[float], None] = time.sleep
    record: list[dict[str, Any]] = field(default_factory=list)
    _keys: KeyFile | None = None

    def run(
        self, plan: Plan, serial: str, keys: KeyFile | None, break_seal: bool, progress: Callable[[int, int], None]
    ) -> None:
        """All steps in order. Raises UsageError (keys, seal), CalibrationError, LinkError."""
        trust = self.meter.trust()
        if trust.provisioned and keys is None:
            raise UsageError(
                f"expected --keys: {serial} has keys, and calibrating takes the laboratory's or the manufacturer's"
            )
        if trust.sealed and not break_seal:
            raise UsageError(
                f"{serial} is sealed (broken {trust.seal_counter} times): calibrating breaks the seal, --break-seal allows it"
            )
        self._keys = keys if trust.provisioned else None
        with self._session() as role:
            if role is not None and role.role < session.LABORATORY:
                raise UsageError(
                    "calibrating takes the laboratory's or the manufacturer's key, this is the installer's"
                )
        offsets: dict[int, Reading] = {}
        for number, step in enumerate(plan.steps):
            progress(number, len(plan.steps))
            self._step(step, serial, offsets)

    def _session(self) -> AbstractContextManager[Any]:
        """One for each adjustment: a dose may take longer than a session stays open."""
        return enter(self.meter, self._keys) if self._keys else nullcontext()

    def _step(self, step: Step, serial: str, offsets: dict[int, Reading]) -> None:
        number = step.number
        fields = self._fields(number)
        reading = self._measure(step, serial)
        error = reading.error(step)
        entry = {
            "step": step.name,
            **(
                {"channel": step.channel, "element": ELEMENTS[step.element]}
                if step.input is None
                else {"input": step.input}
            ),
            "adjust": step.adjust,
            "unit": step.unit,
            "limit": step.limit,
            "plausible": step.plausible,
            "reference": float(reading.reference),
            "shown": reading.shown,
            "before": round(error, 1),
            "adjusted": False,
            "old": list(fields),
            "new": list(fields),
            "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        }
        self.record.append(entry)
        if abs(error) > step.plausible:
            raise CalibrationError(
                f"calibration {step.name}: the meter shows {reading.shown}, the reference {float(reading.reference):g}:"
                f" {error:+.0f} {step.unit}, at most ±{step.plausible:g} is plausible; look at reference, wiring and part"
            )
        if step.adjust == OFFSET and step.input is not None:
            offsets[step.input] = reading
        if step.adjust and abs(error) > ADJUST_ABOVE * step.limit:
            before = offsets.get(step.input) if step.input is not None and step.adjust == GAIN else None
            wanted = adjusted(step, fields, reading, before)
            if wanted != fields:
                self._set(step, wanted)
                self.sleep(self.settle_s)
                reading = self._measure(step, serial)
                error = reading.error(step)
                entry |= {
                    "adjusted": True,
                    "new": list(wanted),
                    "reference": float(reading.reference),
                    "shown": reading.shown,
                }
        entry["after"] = round(error, 1)
        if abs(error) > step.limit:
            what = "after adjusting" if entry["adjusted"] else "as it is"
            raise CalibrationError(
                f"calibration {step.name}: {error:+.0f} {step.unit} {what}, the limit is ±{step.limit:g}"
            )

    def _set(self, step: Step, fields: Fields) -> None:
        try:
            with self._session():
                self.meter.set_parameter(step.number, *fields)
        except Refused as refused:
            if refused.code != codes.BAD_VALUE:
                raise
            raise CalibrationError(
                f"calibration {step.name}: the meter has nothing there that takes {fields}; a pulse input has no gain, its pulse"
                " weight is configured (`tonne configure --pulse`)"
            ) from None

    def _fields(self, number: int) -> Fields:
        gain, other = parameters.TABLE[number][0].unpack_from(self.meter.parameter(number).raw)
        return gain, other

    def _measure(self, step: Step, serial: str) -> Reading:
        return self._counted(step, serial) if step.channel is not None else self._shown(step, serial)

    def _counted(self, step: Step, serial: str) -> Reading:
        assert step.channel is not None
        before = self._index(step)
        reference = self.bench(serial, step.name)
        self.sleep(self.settle_s)
        counted = self._index(step) - before
        if reference <= 0:
            raise CalibrationError(
                f"calibration {step.name}: expected quanta from the reference, got {float(reference):g}"
            )
        if counted <= 0:
            raise CalibrationError(
                f"calibration {step.name}: the reference measured {float(reference):g} quanta, the meter none: is channel"
                f" {step.channel} wired?"
            )
        least = int(RESOLUTION * MILLION / step.limit)
        if reference < least:
            raise CalibrationError(
                f"calibration {step.name}: {float(reference):g} quanta are too few for a limit of {step.limit:g} ppm; feed"
                f" {least} or more"
            )
        return Reading(reference, counted)

    def _index(self, step: Step) -> int:
        registers = self.meter.registers().registers
        if step.channel is None or step.channel >= self.meter.identify().channels:
            raise CalibrationError(f"calibration {step.name}: the meter has no channel {step.channel}")
        return registers[step.channel].amount.whole

    def _shown(self, step: Step, serial: str) -> Reading:
        reference = self.bench(serial, step.name)
        self.sleep(self.settle_s)
        inputs = self.meter.inputs()
        if step.input is None or step.input >= len(inputs):
            raise CalibrationError(
                f"calibration {step.name}: the meter has {len(inputs)} inputs, there is no number {step.input}"
            )
        raw, value = inputs[step.input]
        if raw is None or value is None:
            raise CalibrationError(
                f"calibration {step.name}: input {step.input} measures nothing; is its sensor there?"
            )
        return Reading(reference, value, raw)


def bench_command(command: tuple[str, ...], port: str) -> Bench:
    """A bench that is a program: `command… SERIAL PORT STEP` prints a number, decimal and JSON, in its last line."""

    def measure(serial: str, step: str) -> Fraction:
        try:
            return printed([*command, serial, port, step])
        except DataError as error:
            raise CalibrationError(f"calibration {step}: {error}") from None

    return measure
