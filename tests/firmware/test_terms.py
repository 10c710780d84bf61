"""The device against integer replay, bit for bit, over every kind of term; real MicroPython, batched through its bench."""

import os
import random
import struct

import pytest

from hostlink import replay
from hostlink.meter import connect
from hostlink.profile.image import Channel, Condition, ProfileImage, Register, Table, Term
from hostlink.records import IntervalRecord
from protocol import image as layout
from protocol import registers as r
from protocol import status as flags
from protocol.image import Image
from testbench.rigs.unix import UnixRig

STEPS = int(os.environ.get("TONNE_STEPS", "60000"))
START = 1_767_225_600
"""2026-01-01T00:00:00Z"""


def surface(random_: random.Random) -> Table:
    head = layout.SURFACE_HEAD.pack(0, 1, 9, 6, 80_000, 115_000, 24_815, 1600, 1_000_000)
    return Table(layout.SURFACE, head + struct.pack("<54H", *(random_.randrange(1 << 16) for _ in range(54))))


def time_of_use(random_: random.Random) -> Table:
    head = layout.TIME_OF_USE_HEAD.pack(570_300, 5, 7, 2)
    values = struct.pack("<5I", *(random_.randrange(1 << 30) for _ in range(5)))
    rows = bytes(random_.randrange(7) for _ in range(48))
    hours = bytes(random_.randrange(5) for _ in range(7 * 24))
    return Table(layout.TIME_OF_USE, head + values + rows + hours + struct.pack("<2H", 20454, 20460))


def every_kind(seed: int) -> Image:
    """A profile with a term of every kind, all in one image."""
    random_ = random.Random(seed)
    surface_at, slots_at = layout.TABLE_BASE, layout.TABLE_BASE + 1
    conditions = [
        Condition(r.PRESSURE, r.PASCAL, 0, 0, 80_000, 1_000_000, 101_325),
        Condition(r.TEMPERATURE, r.KELVIN, -2, 1, 24_815, 32_815, 28_815),
        Condition(r.FRACTION, r.ONE, -6, 2, 0, 1_000_000, 1_000),
    ]
    registers = [
        Register(r.CO2, r.EMITTED, r.GRAM, -3),
        Register(r.CO2, r.EMITTED | r.IN_ERROR, r.GRAM, -3),
        Register(r.CO2, r.CREDITED, r.GRAM, -3),
        Register(r.CH4, r.REMOVED, r.GRAM, -3),
        Register(r.ACTIVITY, r.CONSUMED, r.ONE, 0),
        Register(r.ACTIVITY, r.IN_ERROR, r.ONE, 0),
        Register(r.ACTIVITY, r.CONSUMED, r.ONE, 0),
        Register(r.ACTIVITY, r.IN_ERROR, r.ONE, 0),
    ]
    terms = [
        Term(0, 0, random_.randrange(1 << 52), 1),
        Term(1, 0, random_.randrange(1 << 32), 0, (slots_at,)),
        Term(0, 4, 1, 0, (0, surface_at), 5),
        Term(0, 0, random_.randrange(1 << 30), 0, (0, surface_at), 1),
        Term(1, 6, 1, 0, (2, 0, surface_at), 7),
        Term(1, 3, random_.randrange(1 << 10), 0, (2, 0, surface_at), r.NO_REGISTER),
        Term(1, 2, random_.randrange(1 << 64), 0),
    ]
    channels = [
        Channel(r.VOLUME, r.CUBIC_METRE, -2, 1, 2**31),
        Channel(r.ENERGY, r.WATT_HOUR, 0, 1, 2**32 - 1),
    ]
    tables = [surface(random_), time_of_use(random_)]
    return Image(ProfileImage("every kind", channels, registers, terms, conditions, tables, utc_offset=480).pack())


def drive(rig: UnixRig, image: Image, steps: int, seed: int) -> tuple[replay.Replay, list[tuple]]:
    """Random steps through the rig and the replay at once; expected status and registers at each record's end."""
    random_ = random.Random(seed)
    model = replay.Replay(image)
    model.begin(START)
    ends = []
    now = 0
    inputs: list[int | None] = [None] * 3
    raw = ((70_000, 1_100_000), (24_000, 33_500), (0, 1_050_000))
    for _ in range(steps):
        for n, (low, high) in enumerate(raw):
            if random_.random() < 0.3:
                inputs[n] = None if random_.random() < 0.02 else random_.randrange(low, high)
                rig.condition(n, inputs[n])
        counts = [random_.randrange(1 << random_.randrange(1, 24)) * (random_.random() < 0.7) for _ in range(2)]
        for n, count in enumerate(counts):
            if count:
                rig.pulses(n, count)
        model.step(counts, inputs)
        passed = random_.choice((1000, 7000, 90_000))
        rig.advance(passed)
        now += passed
        while now // 900_000 > len(ends):
            ends.append((model.status, tuple(model.indices), tuple(model.registers)))
            model.begin(START + 900 * len(ends))
    rig.settle()
    return model, ends


@pytest.mark.parametrize("seed", [1, 2])
def test_device_equals_replay_bit_for_bit(seed: int) -> None:
    image = every_kind(seed)
    with UnixRig(image.data, time=START) as rig, connect(rig.url, address=1) as meter:
        model, ends = drive(rig, image, STEPS // 2, seed)
        now = meter.registers()
        oldest = meter.oldest_record()
        records = list(meter.records(oldest))
    assert [x.amount.raw for x in now.registers[:2]] == [index << 64 for index in model.indices]
    assert [x.amount.raw for x in now.registers[2:]] == model.registers
    assert len(records) + oldest == len(ends) > 50
    before: IntervalRecord | None = None
    for record in records:
        status, indices, values = ends[record.sequence]
        assert record.registers == values
        assert record.indices == indices
        assert record.status & ~(flags.RATE_HIGH | flags.SEAL_OPEN) == status
        if before or not record.sequence:
            assert replay.check_record(image, before, record) == []
        before = record
