"""The main job: a series through a real meter under its emission profile, read over its link, every milligram proved."""

import time as wall
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from hostlink import blobs, replay, statements
from hostlink.errors import UsageError
from hostlink.meter import Identity, Meter, Registers, connect
from hostlink.profile import exact as rationals
from hostlink.profile import ready
from hostlink.profile.certificate import bounds, register_name, unit_name
from hostlink.profile.compiled import Compiled
from hostlink.profile.compiler import avoided, compile_profile
from hostlink.records import IntervalRecord
from hostlink.session import Key, Privileged
from protocol import intensities, messages, registers
from protocol import records as record_layout
from protocol import status as flags
from protocol.image import Image
from testbench import evidence
from testbench.evidence import Evidence
from testbench.reference import Exact
from testbench.rigs.unix import UnixRig
from testbench.series.columns import Feed

NATURAL_GAS = Fraction("389.31") / 10**4 * Fraction("0.0153") * Fraction("0.99") * Fraction(44, 12) * 10**9
"""mg CO2 per m³ (Nm³, 20 °C in GB/T 32151): 389.31 GJ/10⁴ Nm³ × 0.0153 tC/GJ × 0.99 × 44/12, GB/T 32151.34-2024 Table C.1."""
CAPTURE = "capture.tonne"
SETTLE_ROWS = 1024
READ_ROWS = 1440
HOUR = 3600
COLLECT = 2000
"""Intervals after which records are fetched: the meter holds 3,456."""
TABLE_HOURS = 960
"""Hours of intensities in one table that is pushed."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Line:
    """One register at the end: what the meter says, what is exact, what the certificate allows; in its unit."""

    name: str
    unit: str
    measured: Fraction
    exact: Fraction
    allowed: Fraction

    @property
    def difference(self) -> Fraction:
        """Measured minus exact."""
        return self.measured - self.exact


@dataclass(frozen=True)
class Result:
    """What the meter said, and what it should have said; masses in mg."""

    identity: Identity
    registers: Registers
    records: list[IntervalRecord]
    made: Compiled
    image: Image
    counts: tuple[int, ...]
    lines: list[Line]
    headline: int
    exact: list[Fraction]
    avoided: dict[str, Fraction]
    readings: int
    requests: int
    retries: int
    refused: int
    seconds: float
    virtual_seconds: int
    findings: list[str] = field(default_factory=list)
    evidence: Evidence | None = None

    @property
    def measured(self) -> Fraction:
        """The headline register at the end, mg."""
        return self.lines[self.headline].measured

    @property
    def difference(self) -> Fraction:
        """Headline register minus exact sum, mg."""
        return self.lines[self.headline].difference

    @property
    def largest_difference(self) -> Fraction:
        """Largest difference of any record's headline register from the exact sum at its end, mg."""
        return max((abs(d) for d in self.differences()), default=abs(self.difference))

    def differences(self) -> list[Fraction]:
        """Headline register minus exact sum at the end of each record, mg."""
        return [
            Fraction(r.registers[self.headline], 1 << 64) - e for r, e in zip(self.records, self.exact, strict=True)
        ]


def gas_profile(pulse: Decimal) -> tuple[bytes, Fraction]:
    """The image of the ready natural gas profile for pulses of `pulse` dm³, and its exact factor in mg a pulse."""
    (made,) = compile_profile(ready.load("natural-gas", gas=f"{pulse} dm³"))
    return made.data, made.rows[0].exact


def run(
    made: Compiled, feed: Feed, folder: Path, progress: Progress, url_taken: Callable[[str], None] | None = None
) -> Result:
    """Replay `feed` through the unix rig under a compiled profile and prove what the meter says of it."""
    started = wall.monotonic()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"expected to write to the folder {folder}: {error.strerror}; give another with --out") from None
    recorded = folder / CAPTURE
    recorded.unlink(missing_ok=True)
    interval = made.profile.interval
    first = feed.times[0] - feed.times[0] % interval - interval
    with UnixRig(made.data, time=first) as rig, ExitStack() as opened:
        key = evidence.provision(rig.url)
        meter = opened.enter_context(connect(rig.url, address=1, capture=recorded))
        if url_taken:
            url_taken(rig.url)
        identity = meter.identify()
        play = _Play(made, feed, rig, meter, key, first, progress)
        play.run()
        at_ends, stored = play.at_ends, play.records
        now = meter.registers()
        active = meter.profile()
        link = meter.transport.link
        headline = _headline(made)
        lines = _lines(made, now, play.exact.registers)
        counts = tuple(map(sum, zip(*feed.counts, strict=True)))
        result = Result(
            identity, now, stored, made, active, counts, lines, headline,
            [at_ends[r.sequence][headline] for r in stored],
            {name: avoided(made, name, counts[_channel(made, name)]) for name in made.profile.baselines},
            play.readings, link.counts["requests"], meter.transport.retries, link.noise + link.counts["stale"],
            wall.monotonic() - started, feed.times[-1] - feed.times[0], play.findings,
            evidence.collect(meter, stored),
        )  # fmt: skip
    result.findings.extend(prove(result, at_ends))
    return result


def prove(result: Result, at_ends: list[list[Fraction]]) -> list[str]:
    """What does not hold: an empty list if every record and register is proved. `at_ends`: exact registers by record."""
    wrong = []
    made = result.made
    if not result.image.fingerprint == result.identity.fingerprint == made.image.fingerprint:
        wrong.append("the profile read back is not the one that was compiled, or not the one the meter names")
    head = record_layout.CHAIN_START
    before: IntervalRecord | None = None
    allowed = bounds(made)
    for record in result.records:
        follows = before.sequence + 1 if before else 0
        if record.sequence != follows:
            wrong.append(f"expected record {follows}, got {record.sequence}")
        head = record_layout.chain(head, record.raw)
        if record.link != head[: record_layout.LINK_SIZE]:
            wrong.append(f"record {record.sequence}: the hash chain breaks here")
        if record.profile != result.identity.fingerprint[: record_layout.TAG_SIZE]:
            wrong.append(f"record {record.sequence}: another profile's tag")
        wrong += replay.check_record(result.image, before, record)
        wrong += rationals.check(made, before, record)
        for n, (a, b) in allowed.items():
            exact = at_ends[record.sequence][n]
            if abs(Fraction(record.registers[n], 1 << 64) - exact) > a + b * exact:
                wrong.append(f"record {record.sequence}: {register_name(made, n)} is outside the certificate")
        before = record
    if result.evidence:
        wrong += statements.prove(result.evidence.statements, result.records).wrong
    indices = tuple(register.amount.whole for register in result.registers.registers[: len(result.counts)])
    if indices != result.counts:
        wrong.append(f"the indices are {indices}, the series has {result.counts} quanta")
    for line in result.lines:
        if abs(line.difference) > line.allowed:
            wrong.append(f"{line.name} differs from the exact sum by {float(line.difference):.3f} {line.unit}")
    return wrong


class _Play:
    """Feeds a rig row by row, and the exact reference with it."""

    def __init__(
        self, made: Compiled, feed: Feed, rig: UnixRig, meter: Meter, key: Key, first: int, progress: Progress
    ) -> None:
        self.made = made
        self.feed = feed
        self.rig = rig
        self.meter = meter
        self.key = key
        self.now = first
        self.interval = made.profile.interval
        self.progress = progress
        self.exact = Exact(made)
        self.at_ends: list[list[Fraction]] = []
        self.findings: list[str] = []
        self.dated = [n for n, k in enumerate(made.profile.conditions.values()) if k.quantity == registers.INTENSITY]
        self.hours = {n: self._hours(n) for n in self.dated}
        self.pushed = self.now - self.now % HOUR
        self.records: list[IntervalRecord] = []
        self.readings = 0

    def run(self) -> None:
        """Everything: rows in, readings on the way, records out."""
        self._push()
        self.exact.begin(self.now)
        total = [0] * len(self.feed.counts[0])
        inputs: tuple[int | None, ...] = ()
        rows = len(self.feed.times)
        for row, (moment, counts, measured) in enumerate(self.feed):
            self._advance(moment)
            if measured != inputs:
                for n, value in enumerate(measured):
                    if n not in self.dated and (not inputs or inputs[n] != value):
                        self.rig.condition(list(self.made.profile.conditions.values())[n].source, value)
                inputs = measured
            for channel, count in enumerate(counts):
                if count:
                    self.rig.stimulus.pulses(channel, count)
                    total[channel] += count
            if any(counts):
                self.exact.step(counts, measured)
            if row % SETTLE_ROWS == 0:
                self.progress("replaying", row, rows)
            if row % READ_ROWS == READ_ROWS - 1:
                self._read(total)
        self._advance(self.now - self.now % self.interval + self.interval)
        self._collect()
        self.progress("replaying", rows, rows)

    def _advance(self, moment: int) -> None:
        """Let time pass, interval by interval: each ends with what is exact then, and begins with its intensities."""
        while self.now < moment:
            end = min(self.now - self.now % self.interval + self.interval, moment)
            self.rig.clock.advance(1000 * (end - self.now))
            self.now = end
            if end % self.interval == 0:
                self.at_ends.append(list(self.exact.registers))
                self.exact.begin(end, {self._name(n): self.hours[n].get(end - end % HOUR) for n in self.dated})
                if len(self.at_ends) % COLLECT == 0:
                    self._collect()
                if self.dated and end + 2 * self.interval > self.pushed:
                    self.rig.clock.settle()
                    self._push()

    def _collect(self) -> None:
        """The records since the last call, before the meter's ring comes round."""
        self.rig.clock.settle()
        self.records += self.meter.records(len(self.records))

    def _read(self, total: list[int]) -> None:
        self.readings += 1
        self.rig.clock.settle()
        reading = self.meter.reading()
        number = self.made.image.header[11]
        if reading.time.utc.timestamp() != self.now:
            self.findings.append(f"reading at {reading.time}: expected {self.now}")
        if number != registers.NO_REGISTER and reading.emissions is not None:
            n = number - len(self.made.image.channels)
            a, b = bounds(self.made)[n]
            exact = self.exact.registers[n]
            if abs(reading.emissions - exact) > a + b * exact + 1:
                self.findings.append(f"reading at {reading.time}: {reading.emissions} mg, expected {int(exact)} mg")
        if reading.volume is not None and reading.volume != total[self.made.image.header[9]]:
            self.findings.append(f"reading at {reading.time}: volume {reading.volume}, expected {total} quanta")

    def _name(self, n: int) -> str:
        return list(self.made.profile.conditions)[n]

    def _hours(self, n: int) -> dict[int, int]:
        """The intensity of each hour: that of its first row that has one."""
        found: dict[int, int] = {}
        for moment, _, measured in self.feed:
            value = measured[n]
            if value is not None:
                found.setdefault(moment - moment % HOUR, value)
        return found

    def _push(self) -> None:
        """The next TABLE_HOURS of intensities, for every condition that is dated."""
        begin = self.now - self.now % HOUR
        for n in self.dated:
            condition = self.made.image.conditions[n]
            values = [self.hours[n].get(begin + HOUR * hour) for hour in range(TABLE_HOURS)]
            table = intensities.pack(n, condition[1], condition[2], begin, HOUR, values)
            with Privileged(self.meter, self.key):
                blobs.push(self.meter, messages.INTENSITIES, table)
        self.pushed = begin + HOUR * TABLE_HOURS


def _headline(made: Compiled) -> int:
    number = made.image.header[11]
    if number != registers.NO_REGISTER:
        return number - len(made.image.channels)
    return next(n for n, register in enumerate(made.registers) if register.quantity != registers.ACTIVITY)


def _channel(made: Compiled, baseline: str) -> int:
    formula = made.profile.baselines[baseline].formula
    return next(n for n, name in enumerate(made.profile.channels) if name in formula)


def _lines(made: Compiled, now: Registers, exact: list[Fraction]) -> list[Line]:
    allowed = bounds(made)
    found = []
    for n, value in enumerate(exact):
        raw = now.registers[len(made.image.channels) + n].amount.raw
        a, b = allowed[n]
        measured, most = Fraction(raw, 1 << registers.FRACTION_BITS), a + b * value
        found.append(Line(register_name(made, n), unit_name(made, n), measured, value, most))
    return found


def flagged(result: Result) -> dict[str, int]:
    """How many records carry each status flag."""
    names: dict[str, int] = {}
    for record in result.records:
        for name in flags.names(record.status):
            names[name] = names.get(name, 0) + 1
    return names
