"""Every ready profile through the real firmware: integer replay bit for bit, exact rationals within the certificate."""

import dataclasses
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from hostlink import replay
from hostlink.blobs import push
from hostlink.meter import connect
from hostlink.profile import exact as rationals
from hostlink.profile import ready
from hostlink.profile.compiled import Compiled
from hostlink.profile.compiler import compile_profile
from protocol import messages
from protocol import registers as r
from protocol import status as flags
from testbench.demo import Result, run
from testbench.rigs.unix import UnixRig
from testbench.series import columns, furnace_gas
from testbench.series.columns import Feed

ROWS = 200
START = 1_672_531_200 + 86400
"""2023-01-02T00:00:00Z: within every ready profile's validity."""


def feed_of(name: str, profile_rows: int = ROWS) -> tuple[Compiled, Feed]:
    path = columns.shipped(name)
    feed = columns.read(path, ready.load(name)) if path else columns.of_series(furnace_gas())
    made = compile_profile(ready.load(name))
    one = next(m for m in made if m.valid is None or m.valid[0].isoformat() <= feed.begin < m.valid[1].isoformat())
    busy = next(n for n, counts in enumerate(feed.counts) if any(counts))
    cut = {key: getattr(feed, key)[busy : busy + profile_rows] for key in ("times", "counts", "inputs")}
    return one, dataclasses.replace(feed, **cut)


def quiet(*_: object) -> None:
    pass


@pytest.mark.parametrize("name", ready.names())
def test_a_ready_profile_through_the_firmware(name: str, tmp_path: Path) -> None:
    made, feed = feed_of(name)
    result = run(made, feed, tmp_path, quiet)
    assert result.findings == []
    assert sum(result.counts) > 0
    assert any(line.measured for line in result.lines)
    for line in result.lines:
        assert abs(line.difference) <= line.allowed


def test_a_forged_record_is_outside_the_rationals_too(tmp_path: Path) -> None:
    made, feed = feed_of("natural-gas-pt")
    result = run(made, feed, tmp_path, quiet)
    first, second = next((a, b) for a, b in pairwise(result.records) if b.increments[0])
    assert rationals.check(made, first, second) == []
    n = next(n for n, x in enumerate(made.registers) if x.quantity == r.CO2)
    more = tuple(raw + (1 << 80) * (at == n) for at, raw in enumerate(second.registers))
    assert "CO2 emitted" in rationals.check(made, first, dataclasses.replace(second, registers=more))[0]


def test_a_condition_out_of_range_is_clamped_flagged_and_counted_apart(tmp_path: Path) -> None:
    made, _ = feed_of("natural-gas-pt")
    times = tuple(START + 900 * n for n in range(4))
    inputs = ((200_000, 29_000), (70_000, 29_000), (None, 29_000), (200_000, 29_000))
    result = run(made, Feed("out of range", times, ((100,),) * 4, inputs), tmp_path, quiet)
    assert result.findings == []
    assert [bool(x.status & flags.CONDITION_ERROR) for x in result.records] == [False, False, True, True, False]
    by_name = {line.name: line for line in result.lines}
    assert by_name["CO2 emitted in error"].measured > 0
    low, fallback = 80_000 / 200_000, 101_325 / 200_000
    share = by_name["base volume in error"].measured / by_name["base volume"].measured
    assert float(share) == pytest.approx((low + fallback) / 2, rel=2e-2)
    assert [x.conditions[0] for x in result.records][1:4] == [(200_000, 200_000), (80_000, 80_000), (101_325, 101_325)]


def test_a_rate_above_the_declared_one_is_counted_and_flagged(tmp_path: Path) -> None:
    made, _ = feed_of("natural-gas")
    limit = made.limits[0]
    times = (START, START + 900)
    result = run(made, Feed("too fast", times, ((limit + 1,), (limit,)), ((), ())), tmp_path, quiet)
    assert result.findings == []
    assert result.counts == (2 * limit + 1,)
    assert [bool(x.status & flags.RATE_HIGH) for x in result.records] == [False, True, False]


def test_a_missing_intensity_falls_back_and_says_so(tmp_path: Path) -> None:
    made, _ = feed_of("electricity-hourly")
    times = tuple(START + 3600 * n for n in range(3))
    result = run(made, Feed("gap", times, ((1000,),) * 3, ((612_345,), (None,), (400_000,))), tmp_path, quiet)
    assert result.findings == []
    assert result.lines[0].exact == 612_345 + 530_600 + 400_000
    flagged = [x.start.timestamp() for x in result.records if x.status & flags.FALLBACK_FACTOR and x.increments[0]]
    assert flagged == [START + 3600]


def test_records_split_at_a_profile_switch(tmp_path: Path) -> None:
    """A year's new factor over the link: old intervals stay under the old profile, none is lost, registers go on."""
    before, after = compile_profile(ready.load("electricity"))
    begin = before.image.header[15] - 1800
    with UnixRig(before.data, time=begin) as rig, connect(rig.url, address=1) as meter:
        rig.pulses(0, 1000)
        rig.advance(900_000)
        rig.pulses(0, 1000)
        rig.settle()
        pushed = push(meter, messages.PROFILE, after.data)
        assert pushed.effective.utc.timestamp() == begin + 1800
        assert meter.identify().fingerprint == before.image.fingerprint
        rig.advance(900_000)
        rig.pulses(0, 1000)
        rig.advance(900_000)
        rig.settle()
        records = list(meter.records())
        assert meter.identify().fingerprint == after.image.fingerprint
        assert meter.profile(before.image.fingerprint[:8]).data == before.data
    tags = [before.image.fingerprint[:8], before.image.fingerprint[:8], after.image.fingerprint[:8]]
    assert [x.profile for x in records] == tags
    assert [bool(x.status & flags.PROFILE_CHANGED) for x in records] == [False, True, False]
    gains = [Fraction(x.registers[0], 1 << 64) for x in records]
    assert [round(g) for g in gains] == [536_600, 1_073_200, 1_603_800]
    assert replay.check_record(after.image, records[1], records[2]) == []


def test_results_hold_more_than_the_meters_ring(tmp_path: Path) -> None:
    """A feed longer than the meter keeps records is fetched on the way."""
    made, _ = feed_of("natural-gas")
    times = tuple(START + 86_400 * n for n in range(60))
    result: Result = run(made, Feed("long", times, ((7,),) * 60, ((),) * 60), tmp_path, quiet)
    assert result.findings == []
    assert len(result.records) == 59 * 96 + 2
