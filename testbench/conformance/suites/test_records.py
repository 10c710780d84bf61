"""Interval records: complete, in order, chained, summing to the index, and read in any block size."""

from hostlink.errors import Refused
from hostlink.meter import block
from hostlink.records import IntervalRecord
from hostlink.replay import Replay, check_record
from protocol import messages
from protocol import records as layout
from protocol.image import Image
from testbench.conformance.bench import START, Bench, Device
from testbench.conformance.plan import Plan
from testbench.conformance.suites import cases

RECORDS = "tonne-records"


def chain_faults(records: list[IntervalRecord], head: bytes = layout.CHAIN_START) -> list[str]:
    """Where the hash chain from `head` does not hold."""
    wrong = []
    for record in records:
        head = layout.chain(head, record.raw)
        if record.link != head[: layout.LINK_SIZE]:
            wrong.append(f"record {record.sequence}")
    return wrong


def drive(bench: Bench, device: Device, intervals: int, interval: int = 900) -> list[int]:
    """Random consumption over so many intervals; the quanta of each."""
    given = []
    for _ in range(intervals):
        total = 0
        passed = 0
        for _ in range(bench.random.randrange(4)):
            count = bench.random.randrange(1 << bench.random.randrange(1, 16))
            step = bench.random.randrange(interval // 4)
            device.advance(step)
            passed += step
            device.pulses(0, count)
            total += count
        device.advance(interval - passed)
        given.append(total)
    device.settle()
    return given


def test_records(bench: Bench) -> None:
    """Two days of random consumption: every record against what was given."""
    profile = bench.profile
    image = Image(profile.image)
    with bench.device(profile.image) as device:
        given = drive(bench, device, 192)
        records = list(device.meter.records())
        indices, registers = device.raw()
        tag = device.meter.identify().fingerprint[: layout.TAG_SIZE]
    model = Replay(image)
    model.begin(START)
    ends = []
    for count in given:
        model.step([count])
        ends.append((tuple(model.indices), tuple(model.registers)))
    bench.point(
        "records.complete", RECORDS, len(records) - 192, low=0, high=0, what="records more or fewer than intervals"
    )
    sequence = [r.sequence for r in records if r.sequence != records.index(r)]
    bench.none("records.sequence", RECORDS, sequence, "records out of order")
    starts = [f"record {n} starts {r.start}" for n, r in enumerate(records) if r.start.timestamp() != START + 900 * n]
    bench.none("records.start", RECORDS, starts, "records not on its interval")
    durations = [f"record {n}: {r.duration} s" for n, r in enumerate(records) if r.duration != 900]
    bench.none("records.duration", RECORDS, durations, "records of another length")
    increments = [
        f"record {n}: {r.increments[0]}, given {g}"
        for n, (r, g) in enumerate(zip(records, given, strict=False))
        if r.increments[0] != g
    ]
    bench.none("records.increment", RECORDS, increments, "records with another count than given")
    values = [
        f"record {n}" for n, (r, e) in enumerate(zip(records, ends, strict=False)) if (r.indices, r.registers) != e
    ]
    bench.none("records.registers", RECORDS, values, "records with other registers than exact")
    bench.none("records.chain", RECORDS, chain_faults(records), "records where the hash chain breaks")
    tags = [f"record {r.sequence}" for r in records if r.profile != tag]
    bench.none("records.profile", RECORDS, tags, "records with another profile's tag")
    found = [
        line for before, r in zip([None, *records], records, strict=False) for line in check_record(image, before, r)
    ]
    bench.none("records.replay", "tonne-profile", found, "findings when the records are replayed from themselves")
    last = records[-1] if records else None
    agrees = last is not None and (list(last.indices), list(last.registers)) == (indices, registers)
    bench.point("records.last", RECORDS, int(agrees), low=1, what="last record agrees with the registers")


def block_of(device: Device, first: int, count: int) -> list[IntervalRecord]:
    """What the meter sends for `count` records from `first` on, in whatever order."""
    return block(device.meter.ask(messages.RECORDS, messages.RECORDS_REQUEST.pack(first, count)))


@cases(lambda plan: [1, 2, 17, 255])
def test_blocks(bench: Bench, case: int) -> None:
    """The same records, read in blocks of any size."""
    with bench.device(bench.profile.image) as device:
        drive(bench, device, 40)
        singly = [block_of(device, n, 1)[0] for n in range(40)]
        got: list[IntervalRecord] = []
        while len(got) < 40:
            part = block_of(device, len(got), case)
            if not 0 < len(part) <= case:
                break
            got += part
    misplaced = [f"asked for {n}, got {r.sequence}" for n, r in enumerate(singly) if r.sequence != n]
    misplaced += [f"place {n} of the blocks holds {r.sequence}" for n, r in enumerate(got) if r.sequence != n]
    different = [f"record {n}" for n, (a, b) in enumerate(zip(singly, got, strict=False)) if a.raw != b.raw]
    bench.point(
        "records.blocks",
        "tonne-messages",
        len(got) - 40,
        low=0,
        high=0,
        what="records more or fewer",
        conditions=[("block", case, "")],
    )
    what = "records that are not those asked for"
    bench.none("records.asked", "tonne-messages", misplaced, what, [("block", case, "")])
    bench.none(
        "records.blocks",
        "tonne-messages",
        different,
        "records with other bytes",
        [("block", case, ""), ("compared", "bytes", "")],
    )


def test_many_records(bench: Bench) -> None:
    """More intervals than the meter keeps: the oldest make room, the rest are whole, and numbers never restart."""
    with bench.device(bench.profile.image) as device:
        for _ in range(4000):
            device.pulses(0, 1)
            device.advance(900)
        device.settle()
        oldest = device.meter.oldest_record()
        records = list(device.meter.records(oldest))
        try:
            device.meter.ask(messages.RECORDS, messages.RECORDS_REQUEST.pack(oldest - 1, 1)) if oldest else None
            refused = not oldest
        except Refused as refusal:
            refused = refusal.detail == oldest
    numbers = [r.sequence for r in records]
    bench.point(
        "records.ring",
        "welmec-l",
        int(numbers != list(range(oldest, 4000))),
        high=0,
        what="a gap among the records held",
    )
    held = [f"record {r.sequence}" for r in records if r.indices[0] != r.sequence + 1 or r.increments[0] != 1]
    bench.none("records.ring", "welmec-l", held, f"of {len(records)} records held, another index")
    bench.none("records.ring_chain", "welmec-l", ring_chain_faults(records), "records where the chain breaks")
    bench.point(
        "records.ring_oldest",
        "tonne-messages",
        int(refused),
        low=1,
        what="what is no longer held is refused, with the oldest",
    )
    bench.point(
        "records.ring_days", "welmec-l", len(records) // 96, low=35, unit="d", what="kept, in whole days of 15 minutes"
    )


def ring_chain_faults(records: list[IntervalRecord]) -> list[str]:
    """What of a chain can be seen without its beginning: nothing, but that links are not all alike."""
    return [] if len({r.link for r in records}) > 0.99 * len(records) else ["links repeat"]


def test_idle(bench: Bench) -> None:
    """Intervals without consumption have records too."""
    with bench.device(bench.profile.image) as device:
        device.advance(900 * 96)
        device.settle()
        records = list(device.meter.records())
    bench.point(
        "records.idle", RECORDS, len(records) - 96, low=0, high=0, what="records more or fewer than idle intervals"
    )
    bench.none("records.idle", RECORDS, [r for r in records if r.increments[0]], "idle records with counts")


def intervals(plan: Plan) -> list[int]:
    return [60, 300, 900, 1800, 3600]


@cases(intervals)
def test_boundary(bench: Bench, case: int) -> None:
    """A quantum on the last millisecond belongs to the interval that ends, one on the boundary to the next."""
    from dataclasses import replace

    base = bench.profile.parts
    image = replace(base, interval=case).pack()
    with bench.device(image) as device:
        for _ in range(20):
            device.advance(case - 0.001)
            device.pulses(0, 1)
            device.advance(0.001)
            device.pulses(0, 2)
        device.advance(case)
        device.settle()
        records = list(device.meter.records())
    got = [r.increments[0] for r in records]
    where = [("interval", f"{case}", "s")]
    bench.point(
        "records.boundary",
        "tonne-time",
        int(got != [1, *[3] * 19, 2]),
        high=0,
        what="quanta in the wrong interval",
        conditions=where,
    )
