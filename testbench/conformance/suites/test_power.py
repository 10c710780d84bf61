"""Power interruptions at any moment: nothing committed is lost, no register goes down, records and logs go on."""

import time as wall
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from hostlink import events
from hostlink.errors import Refused
from hostlink.records import IntervalRecord
from protocol import events as kinds
from protocol import status as flags
from protocol.image import Image
from testbench.conformance.bench import START, Bench, Condition, Device, Inapplicable
from testbench.conformance.profiles import Profile
from testbench.conformance.suites import cases
from testbench.conformance.suites.test_records import block_of, chain_faults

POWER, BACK_UP = "tonne-power", "mid-fault-recovery"


@dataclass
class Tally:
    """What cuts did that they must not do."""

    down: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    parted: list[str] = field(default_factory=list)
    unflagged: list[str] = field(default_factory=list)
    last: int = 0

    def look(self, device: Device, profile: Profile, cut: int, shown: int, given: int) -> None:
        """Hold what the meter has after `cut` against the index `shown` before it and the quanta `given` since."""
        (index,), (register,) = device.raw()
        if index > shown + given:
            self.invented.append(f"cut {cut}: {index} from {shown} and {given}")
        if shown - index > profile.parts.commit_quanta:
            self.lost.append(f"cut {cut}: {shown - index} quanta")
        if register != index * profile.constant:
            self.parted.append(f"cut {cut}: register {register:x}, index × constant {index * profile.constant:x}")
        if not device.meter.reading().status & flags.POWER_CUT:
            self.unflagged.append(f"cut {cut}")
        if index < self.last:
            self.down.append(f"cut {cut}: {index} after {self.last}")
        self.last = index


def consume(bench: Bench, device: Device) -> int:
    """A little consumption over some time; the quanta given."""
    total = 0
    for _ in range(bench.random.randrange(1, 30)):
        count = bench.random.randrange(1, 40)
        device.pulses(0, count)
        device.advance(bench.random.randrange(1, 400))
        total += count
    return total


def held(device: Device) -> tuple[list[IntervalRecord], list[str]]:
    """The records that the meter has from the first to the newest, and which of them it has not."""
    found: list[IntervalRecord] = []
    missing: list[str] = []
    newest = device.meter.status()["records"]
    number = 0
    while number < newest:
        try:
            part = block_of(device, number, min(newest - number, 255))
        except Refused as refusal:
            missing.append(f"record {number}: {refusal}")
            number += 1
            continue
        missing += [f"{r.sequence} in place of {number + n}" for n, r in enumerate(part) if r.sequence != number + n]
        found += part
        number += len(part)
    return found, missing


def record(bench: Bench, device: Device, tally: Tally, where: Sequence[Condition]) -> None:
    """Put on record what the cuts did, and whether records and log went on over them."""
    device.advance(900)
    device.settle()
    records, missing = held(device)
    ups = [e for e in events.read(device.meter, kinds.ORDINARY) if e.kind == kinds.POWER_UP]
    cuts, most = bench.plan.cuts, bench.profile.parts.commit_quanta
    for check, requirement, found, what in (
        ("power.down", "mid-not-resettable", tally.down, "after which the index was below the one before"),
        ("power.lost", POWER, tally.lost, f"that lost more than {most} quanta"),
        ("power.invented", POWER, tally.invented, "that added quanta"),
        ("power.parted", BACK_UP, tally.parted, "after which index and emissions part"),
        ("power.flag", POWER, tally.unflagged, "not flagged"),
    ):
        bench.none(check, requirement, found, f"of {cuts} cuts, {what}", where)
    faults, what = chain_faults(records), f"of {len(records)} records over {cuts} cuts, where the chain breaks"
    bench.none("power.chain", "tonne-records", faults, what, where)
    total = sum(r.increments[0] for r in records)
    bench.point(
        "power.records", "tonne-records", total - tally.last, low=0, high=0, what="sum of the records less index",
        conditions=where,
    )  # fmt: skip
    bench.none(
        "power.sequence", "tonne-records", missing, "records that are missing or stand in another's place", where
    )
    bench.point(
        "power.logged", "d31-audit", len(ups) - cuts - 1, low=0, high=0,
        what="power-ups not logged (-) or too many (+)", conditions=where,
    )  # fmt: skip


def test_cuts(bench: Bench) -> None:
    """Power cut while counts come in: at each power-up against what was given and what was shown before."""
    tally = Tally()
    with bench.device(bench.profile.image) as device:
        for cut in range(bench.plan.cuts):
            consume(bench, device)
            device.settle()
            (shown,), _ = device.raw()
            wall.sleep(bench.random.random() / 500)
            device.rig.power.off()
            device.rig.power.on()
            tally.look(device, bench.profile, cut, shown, 0)
        record(bench, device, tally, [("moment", "any", "")])


WRITES = 6
"""Writes to flash, at least, while `consume` is followed by an interval's end."""


def test_cuts_in_flash(bench: Bench) -> None:
    """Power cut at a byte of a write to flash: commit, record, log or a sector made ready, half done."""
    tally = Tally()
    with bench.device(bench.profile.image) as device:
        if not hasattr(device.rig, "arm_cut"):
            raise Inapplicable("this rig cannot cut power inside a write to flash")
        for cut in range(bench.plan.cuts):
            device.settle()
            (shown,), _ = device.raw()
            device.rig.arm_cut(bench.random.randrange(1, WRITES), bench.random.randrange(200))
            given = consume(bench, device)
            device.advance(900)
            device.pulses(0, 1)
            device.advance(60)
            device.rig.lost_power()
            device.rig.power.off()
            device.rig.power.on()
            tally.look(device, bench.profile, cut, shown, given + 1)
        record(bench, device, tally, [("moment", "inside a write to flash", "")])


def test_committed(bench: Bench) -> None:
    """A closed interval survives, whatever comes after it."""
    with bench.device(bench.profile.image) as device:
        device.pulses(0, 77)
        device.advance(901)
        device.settle()
        before = device.raw()
        records = [r.raw for r in device.meter.records()]
        device.pulses(0, 3)
        device.settle()
        device.rig.power.off()
        device.rig.power.on()
        (index,), _ = device.raw()
        after = [r.raw for r in device.meter.records()]
        identity = device.meter.identify()
    bench.point("power.committed", POWER, index - before[0][0], low=0, high=3, what="index less what was committed")
    bench.point(
        "power.committed", BACK_UP, int(after[: len(records)] != records), high=0, what="records changed by a cut"
    )
    same = identity.fingerprint == Image(bench.profile.image).fingerprint
    bench.point("power.profile", BACK_UP, int(same), low=1, what="the profile is the one before")


@cases(lambda plan: [30, 900, 5000, 86_400])
def test_absence(bench: Bench, case: int) -> None:
    """Time without power: the clock goes on by its battery, and intervals are not mixed."""
    with bench.device(bench.profile.image) as device:
        device.pulses(0, 50)
        device.advance(400)
        device.settle()
        device.rig.power.off()
        device.advance(case)
        device.rig.power.on()
        device.settle()
        clock = int(device.meter.clock().utc.timestamp())
        device.pulses(0, 20)
        device.advance(2000)
        device.settle()
        records = list(device.meter.records())
        (index,), _ = device.raw()
    where = [("without power", Fraction(case), "s")]
    bench.point(
        "power.clock",
        "tonne-time",
        clock - (START + 400 + case),
        low=-1,
        high=1,
        unit="s",
        what="clock after power-up",
        conditions=where,
    )
    total = sum(r.increments[0] for r in records)
    bench.point(
        "power.absence",
        "tonne-records",
        total - index,
        low=0,
        high=0,
        what="sum of the records less index",
        conditions=where,
    )
    flagged = [r for r in records if r.status & flags.POWER_CUT]
    bench.point(
        "power.absence_flag", "tonne-power", int(bool(flagged)), low=1, what="the interval is flagged", conditions=where
    )
    bench.none("power.absence_chain", "tonne-records", chain_faults(records), "records where the chain breaks", where)
