"""Power interruptions at any moment: nothing committed is lost, no register goes down, records and logs go on."""

import time as wall
from fractions import Fraction

from hostlink import events
from protocol import events as kinds
from protocol import status as flags
from protocol.image import Image
from testbench.conformance.bench import START, Bench
from testbench.conformance.suites import cases
from testbench.conformance.suites.test_records import chain_faults

POWER, BACK_UP = "tonne-power", "mid-fault-recovery"


def test_cuts(bench: Bench) -> None:
    """Power cut while counts come in: at each power-up against what was given and what was shown before."""
    profile = bench.profile
    most_lost = profile.parts.commit_quanta
    down, lost, unsure, parted, unflagged = [], [], [], [], []
    with bench.device(profile.image) as device:
        last = 0
        for cut in range(bench.plan.cuts):
            for _ in range(bench.random.randrange(1, 30)):
                count = bench.random.randrange(1, 40)
                device.pulses(0, count)
                device.advance(bench.random.randrange(1, 400))
            device.settle()
            (shown,), _ = device.raw()
            wall.sleep(bench.random.random() / 500)
            device.rig.power.off()
            device.rig.power.on()
            (index,), (register,) = device.raw()
            if index > shown:
                unsure.append(f"cut {cut}: {index} from {shown}")
            if shown - index > most_lost:
                lost.append(f"cut {cut}: {shown - index} quanta")
            if register != index * profile.constant:
                parted.append(f"cut {cut}: register {register:x}, index × constant {index * profile.constant:x}")
            if not device.meter.reading().status & flags.POWER_CUT:
                unflagged.append(f"cut {cut}")
            if index < last:
                down.append(f"cut {cut}: {index} after {last}")
            last = index
        device.advance(900)
        device.settle()
        records = list(device.meter.records())
        ups = [e for e in events.read(device.meter, kinds.ORDINARY) if e.kind == kinds.POWER_UP]
    cuts = bench.plan.cuts
    bench.none(
        "power.down", "mid-not-resettable", down, f"of {cuts} cuts, after which the index was below the one before"
    )
    bench.none("power.lost", POWER, lost, f"of {cuts} cuts, that lost more than {most_lost} quanta")
    bench.none("power.invented", POWER, unsure, f"of {cuts} cuts, that added quanta")
    bench.none("power.parted", BACK_UP, parted, f"of {cuts} cuts, after which index and emissions part")
    bench.none("power.flag", POWER, unflagged, f"of {cuts} cuts, not flagged")
    bench.none(
        "power.chain",
        "tonne-records",
        chain_faults(records),
        f"of {len(records)} records over {cuts} cuts, where the chain breaks",
    )
    total = sum(r.increments[0] for r in records)
    bench.point("power.records", "tonne-records", total - last, low=0, high=0, what="sum of the records less index")
    sequences = [r.sequence for r in records]
    bench.point(
        "power.sequence",
        "tonne-records",
        int(sequences != list(range(len(records)))),
        high=0,
        what="a gap or repeat among records",
    )
    bench.point(
        "power.logged", "d31-audit", len(ups) - cuts - 1, low=0, high=0, what="power-ups not logged (-) or too many (+)"
    )


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
