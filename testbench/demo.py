"""The main job: a measured pulse train through a real meter, read over its link, every milligram proved."""

import time as wall
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from hostlink.errors import DataError
from hostlink.meter import Identity, Meter, Registers, connect
from hostlink.profile.image import Channel, ProfileImage, Register, Term
from hostlink.records import IntervalRecord
from protocol import records as record_layout
from protocol import registers as quantities
from protocol.image import Image
from testbench import reference
from testbench.rigs.unix import UnixRig
from testbench.series import Series

NATURAL_GAS = Fraction("389.31") / 10**4 * Fraction("0.0153") * Fraction("0.99") * Fraction(44, 12) * 10**9
"""mg CO2 per m³ (Nm³, 20 °C in GB/T 32151): 389.31 GJ/10⁴ Nm³ × 0.0153 tC/GJ × 0.99 × 44/12, GB/T 32151.34-2024 Table C.1."""
CAPTURE = "capture.tonne"
SETTLE_ROWS = 1024
READ_ROWS = 1440
LIMIT = Fraction(1)
"""mg that the meter's register may differ from the exact sum."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Result:
    """What the meter said, and what it should have said; masses in mg."""

    identity: Identity
    registers: Registers
    records: list[IntervalRecord]
    image: Image
    pulse: Fraction
    factor: Fraction
    pulses: int
    exact: list[Fraction]
    readings: int
    findings: list[str]
    requests: int
    retries: int
    refused: int
    seconds: float
    virtual_seconds: int

    @property
    def measured(self) -> Fraction:
        """CO2 register at the end, mg."""
        return self.registers.registers[1].amount.fraction * 1000

    @property
    def difference(self) -> Fraction:
        """Register minus exact sum, mg."""
        return self.measured - self.factor * self.pulses

    @property
    def largest_difference(self) -> Fraction:
        """Largest difference of any record from the exact sum at its end, mg."""
        return max((abs(d) for d in self.differences()), default=abs(self.difference))

    def differences(self) -> list[Fraction]:
        """Register minus exact sum at the end of each record, mg."""
        return [Fraction(r.registers[0], 1 << 64) - e for r, e in zip(self.records, self.exact, strict=True)]


def gas_profile(pulse: Decimal, name: str = "natural gas GB/T 32151.34") -> tuple[bytes, Fraction]:
    """The image of a natural gas profile for pulses of `pulse` dm³, and its exact factor in mg a pulse."""
    metres = Fraction(pulse) / 1000
    factor = NATURAL_GAS * metres
    exponent = -12
    mantissa = metres / Fraction(10) ** exponent
    image = ProfileImage(
        name,
        channels=[Channel(quantities.VOLUME, quantities.CUBIC_METRE, exponent, int(mantissa), 1000)],
        registers=[Register(quantities.CO2, quantities.EMITTED, quantities.GRAM, -3)],
        terms=[Term(0, 0, round(factor * 2**32), 1)],
        volume=0,
        emissions=1,
    )
    return image.pack(), factor


def run(
    series: Series, pulse: Decimal, folder: Path, progress: Progress, url_taken: Callable[[str], None] | None = None
) -> Result:
    """Replay `series` (pulses of `pulse` dm³) through the unix rig and prove what the meter says of it."""
    image, factor = gas_profile(pulse)
    started = wall.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    recorded = folder / CAPTURE
    recorded.unlink(missing_ok=True)
    with (
        UnixRig(image, time=series.times[0]) as rig,
        connect(rig.url, address=1, capture=recorded) as meter,
    ):
        identity = meter.identify()
        findings, readings = _replay(series, rig, meter, factor, progress)
        registers = meter.registers()
        stored = list(meter.records(progress=lambda done, total: progress("reading records", done, total)))
        active = meter.profile()
        link = meter.transport.link
        result = Result(
            identity,
            registers,
            stored,
            active,
            Fraction(pulse) / 1000,
            factor,
            series.pulses,
            _exact_at_ends(series, stored, factor),
            readings,
            findings,
            link.counts["requests"],
            meter.transport.retries,
            link.noise + link.counts["stale"],
            wall.monotonic() - started,
            series.times[-1] - series.times[0],
        )
    result.findings.extend(prove(result))
    return result


def prove(result: Result) -> list[str]:
    """What does not hold: an empty list if every record and register is proved."""
    wrong = []
    if result.image.fingerprint != result.identity.fingerprint:
        wrong.append("the profile read back is not the one the meter names")
    (_, _, _, shift, constant, *_) = result.image.terms[0]
    if abs(reference.constant(constant, shift) - result.factor) > Fraction(1, 1 << 33):
        wrong.append("the profile's constant is not the factor, rounded")
    head = record_layout.CHAIN_START
    index = 0
    for number, record in enumerate(result.records):
        head = record_layout.chain(head, record.raw)
        index += record.increments[0]
        if record.sequence != number:
            wrong.append(f"expected record {number}, got {record.sequence}")
        if record.link != head[: record_layout.LINK_SIZE]:
            wrong.append(f"record {number}: the hash chain breaks here")
        if record.indices[0] != index:
            wrong.append(f"record {number}: index {record.indices[0]}, the increments sum to {index}")
        if record.registers[0] != index * constant << (32 * shift):
            wrong.append(f"record {number}: the CO2 register is not constant × index")
        if record.profile != result.identity.fingerprint[: record_layout.TAG_SIZE]:
            wrong.append(f"record {number}: another profile's tag")
    if result.registers.registers[0].amount.whole != result.pulses:
        wrong.append(
            f"the index is {result.registers.registers[0].amount.whole}, the series has {result.pulses} pulses"
        )
    if max(result.largest_difference, abs(result.difference)) >= LIMIT:
        wrong.append(f"the CO2 register differs from the exact sum by {float(result.difference):.3f} mg")
    return wrong


def _replay(series: Series, rig: UnixRig, meter: Meter, factor: Fraction, progress: Progress) -> tuple[list[str], int]:
    findings = []
    readings = 0
    total = 0
    now = series.times[0]
    for row, (moment, count) in enumerate(series):
        if moment > now:
            rig.clock.advance(1000 * (moment - now))
            now = moment
        if count:
            rig.stimulus.pulses(0, count)
            total += count
        if row % SETTLE_ROWS == 0:
            progress("replaying", row, len(series.times))
        if row % READ_ROWS == READ_ROWS - 1:
            rig.clock.settle()
            reading = meter.reading()
            readings += 1
            if (
                reading.emissions != int(factor * total)
                or reading.volume != total
                or reading.time.utc.timestamp() != now
            ):
                findings.append(f"reading at {reading.time}: {reading.emissions} mg, expected {int(factor * total)} mg")
    interval = 900
    rig.clock.advance(1000 * (interval - now % interval))
    rig.clock.settle()
    progress("replaying", len(series.times), len(series.times))
    return findings, readings


def _exact_at_ends(series: Series, records: list[IntervalRecord], factor: Fraction) -> list[Fraction]:
    if not records:
        raise DataError("expected interval records from the meter, it holds none")
    exact = []
    total = 0
    rows = iter(series)
    row = next(rows, None)
    for record in records:
        end = record.end.timestamp()
        while row is not None and row[0] < end:
            total += row[1]
            row = next(rows, None)
        exact.append(factor * total)
    return exact
