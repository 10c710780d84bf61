"""What a meter's records prove: clean ones do, any altered byte shows where, gaps and repeats are told and nothing else is."""

import hashlib
import random
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostlink import capture, extract, fleet, statements
from hostlink.findings import FAULT, Result, merged
from hostlink.meter import Meter, connect
from hostlink.profile.image import Channel, Condition, ProfileImage, Register, Table, Term
from hostlink.records import decode
from hostlink.replay import check_record
from hostlink.replay_columns import add, differ, expected_gains, less, subtract
from hostlink.verify import Shard, join, verify_shard
from protocol import image as layout
from protocol import messages, records
from protocol import registers as r
from protocol.image import Image
from testbench.rigs.unix import UnixRig
from testbench.synthesize.meter import INTERVAL, SHAPE, SIZE, link, make, profile, step_clock
from testbench.synthesize.meter import Meter as SynMeter

START = 1_767_225_600
TAG = profile().fingerprint[: records.TAG_SIZE]
IMAGES = {TAG: bytes(profile().data)}


def clean(days: int = 2, seed: int = 1) -> np.ndarray:
    meter = make("M", days, START, np.random.default_rng(seed))
    link(meter)
    return meter.rows


def shard(rows: np.ndarray, following: int = 0, **more: object) -> Shard:
    return replace(Shard("M", {SHAPE: rows}, IMAGES, following), **more)  # type: ignore[arg-type]


def told(result: Result) -> list[tuple[str, int, int]]:
    return [(f.kind, f.first, f.last) for f in result.findings]


def test_clean_records_prove() -> None:
    rows = clean()
    result = verify_shard(shard(rows, len(rows)))
    assert told(result) == []
    assert result.records == result.chained == result.replayed == 192
    total = int(rows["register0"]["whole"][-1]) << 64 | int(rows["register0"]["fraction"][-1])
    assert dict(result.totals) == {(r.CO2, r.EMITTED, r.GRAM, -3): total}


def test_any_altered_byte_of_any_record_is_a_fault_at_that_record() -> None:
    rows = clean(1)
    whole = rows.tobytes()
    random_ = random.Random(3)
    for at in range(len(whole)):
        data = bytearray(whole)
        data[at] ^= random_.randrange(1, 256)
        altered = np.frombuffer(bytes(data), rows.dtype)
        faults = [f for f in verify_shard(shard(altered, len(rows))).findings if f.severity == FAULT]
        number = at // SIZE
        named = [f.first for f in faults]
        assert faults and (number in named or int(altered["sequence"][number]) in named), (at, faults)
        for fault in faults:
            if at % SIZE >= 4:
                assert fault.first in (number, number + 1), (at, fault)


@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.integers(0, 95), st.integers(0, SIZE - 1), st.integers(1, 255)), max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_clean_or_not_as_record_by_record(seed: int, changes: list[tuple[int, int, int]]) -> None:
    """The vectorised replay finds a fault exactly where chain and replay, one record at a time, find one."""
    rows = clean(1, seed % 5)
    data = bytearray(rows.tobytes())
    for number, at, by in changes:
        if at >= 4:
            data[number * SIZE + at] ^= by
    altered = np.frombuffer(bytes(data), rows.dtype)
    found = [decode(bytes(data[n : n + SIZE]), *SHAPE) for n in range(0, len(data), SIZE)]
    head, before, good = records.CHAIN_START, None, True
    for record in found:
        head = records.chain(head, record.raw)
        good &= record.link == head[: records.LINK_SIZE]
        good &= check_record(profile(), before, record) == []
        before = record
    assert (not verify_shard(shard(altered)).faults) == good


@given(st.sets(st.integers(0, 190), max_size=40), st.sets(st.integers(0, 191), max_size=20), st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_gaps_and_repeats(missing: set[int], again: set[int], seed: int) -> None:
    """Any records taken out, any read twice, in any order: the missing and the repeated ones are told, nothing else."""
    rows = clean()
    kept = [n for n in range(192) if n not in missing]
    order = kept + [n for n in again if n not in missing]
    random.Random(seed).shuffle(order)
    result = verify_shard(shard(rows[order], 192))
    first = kept[0]
    gone = {n for kind, a, b in told(result) if kind in ("gap", "tail") for n in range(a, b + 1)}
    assert gone == {n for n in missing if n > first}
    assert {n for kind, a, b in told(result) if kind == "duplicate" for n in range(a, b + 1)} == again - missing
    assert {kind for kind, *_ in told(result)} <= {"gap", "tail", "duplicate", "order"}
    assert result.records == result.replayed + (first > 0) == len(kept)


def test_a_cut_off_tail_shows_by_the_number_the_meter_gave_next() -> None:
    rows = clean()
    assert told(verify_shard(shard(rows[:100], 192))) == [("tail", 100, 191)]
    assert told(verify_shard(shard(rows[:100]))) == []


def test_a_rebuilt_chain_shows_by_a_signed_head_only() -> None:
    """Who rewrites a record that the arithmetic does not bind can make all links anew: only a signature tells."""
    meter = make("M", 2, START, np.random.default_rng(1))
    link(meter)
    heads = chain_heads(meter.rows)
    meter.rows["status"][50] ^= 0x0200
    link(meter)
    assert told(verify_shard(shard(meter.rows))) == []
    result = verify_shard(shard(meter.rows, heads={95: heads[95], 191: heads[191]}))
    assert told(result) == [("chain", 95, 95), ("chain", 96, 96)] and result.anchored == 2


def test_a_signed_head_takes_the_chain_up_again_behind_a_gap() -> None:
    rows = clean()
    heads = chain_heads(rows)
    kept = np.concatenate((rows[:60], rows[96:]))
    assert verify_shard(shard(kept)).chained == 60
    result = verify_shard(shard(kept, heads={95: heads[95]}))
    assert result.chained == 60 + 96 and told(result) == [("gap", 60, 95)]


def chain_heads(rows: np.ndarray) -> list[bytes]:
    head, heads = records.CHAIN_START, []
    for row in rows:
        head = hashlib.sha256(head + row.tobytes()[: -records.LINK_SIZE]).digest()
        heads.append(head)
    return heads


def test_clock_steps() -> None:
    meter = make("M", 1, START, np.random.default_rng(1))
    step_clock(meter, 30, -60)
    link(meter)
    result = verify_shard(shard(meter.rows))
    assert told(result) == [("clock", 30, 30)] and not result.faults
    meter.rows["status"] = 0
    link(meter)
    assert [f.kind for f in verify_shard(shard(meter.rows)).faults] == ["clock"]


def test_more_than_the_certificate_covers_is_a_notice() -> None:
    meter = make("M", 1, START, np.random.default_rng(1))
    limit = profile().channels[0][5]
    meter.rows["increment0"][10] += limit + 1
    meter.rows["index0"][10:] += limit + 1
    step = profile().terms[0][4] << 32 * profile().terms[0][3]
    values = b"".join((step * value).to_bytes(16, "little") for value in meter.rows["index0"].tolist())
    meter.rows["register0"] = np.frombuffer(values, meter.rows.dtype["register0"])
    link(meter)
    result = verify_shard(shard(meter.rows))
    assert told(result) == [("certificate", 10, 10)] and not result.faults
    assert f"covers {limit}" in result.findings[0].text


def test_an_unknown_profile_is_a_fault_and_the_rest_is_still_checked() -> None:
    result = verify_shard(replace(shard(clean()), images={}))
    assert told(result) == [("profile", 0, 191)] and result.chained == 192 and result.replayed == 0
    assert "no image at hand" in result.findings[0].text


def test_results_merge_in_any_order() -> None:
    parts = [verify_shard(shard(clean(1, seed)[: 90 + seed])) for seed in range(5)]
    one = merged(parts)
    other = merged([merged(parts[3:]), merged(reversed(parts[:3]))])
    assert one.as_json() == other.as_json() and one.meters == 5


WIDE = st.integers(0, 2**128 - 1)


@given(WIDE, WIDE, st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, 1))
def test_wide_arithmetic_against_integers(a: int, b: int, constant: int, count: int, shift: int) -> None:
    def halves(value: int) -> tuple[np.ndarray, np.ndarray]:
        return np.array([value >> 64], "u8"), np.array([value & 2**64 - 1], "u8")

    def whole(pair: tuple[np.ndarray, np.ndarray]) -> int:
        return int(pair[0][0]) << 64 | int(pair[1][0])

    assert whole(add(halves(a), halves(b))) == (a + b) % 2**128
    assert whole(subtract(halves(a), halves(b))) == (a - b) % 2**128
    assert less(halves(a), halves(b))[0] == (a < b) and differ(halves(a), halves(b))[0] == (a != b)
    made = Image(
        ProfileImage(
            "p",
            [Channel(r.VOLUME, r.CUBIC_METRE, -2, 1, 1000)],
            [Register(r.CO2, r.EMITTED, r.GRAM, -3)],
            [Term(0, 0, constant, shift)],
        ).pack()
    )
    assert whole(expected_gains(made, [np.array([count], "u8")])[0]) == (constant * count << 32 * shift) % 2**128


def live_profile(factor: int) -> bytes:
    """A term with a live pressure, its activity, and a constant term for a second register."""
    return ProfileImage(
        f"live {factor}",
        channels=[Channel(r.VOLUME, r.CUBIC_METRE, -2, 1, 1 << 20)],
        conditions=[Condition(r.PRESSURE, r.PASCAL, 0, 0, 80_000, 1_000_000, 101_325)],
        registers=[
            Register(r.CO2, r.EMITTED, r.GRAM, -3),
            Register(r.CO2, r.EMITTED | r.IN_ERROR, r.GRAM, -3),
            Register(r.ACTIVITY, r.CONSUMED, r.ONE, 0),
            Register(r.ACTIVITY, r.IN_ERROR, r.ONE, 0),
        ],
        terms=[Term(0, 2, 1, 0, (0,), 3), Term(0, 0, factor << 20, 0, (0,), 1)],
    ).pack()


def slots_profile() -> bytes:
    """Another profile over the same channel: a time-of-use factor."""
    head = layout.TIME_OF_USE_HEAD.pack(500, 2, 1, 0) + (700).to_bytes(4, "little") + (900).to_bytes(4, "little")
    table = Table(layout.TIME_OF_USE, head + bytes(48) + bytes(hour % 2 for hour in range(24)))
    return ProfileImage(
        "slots",
        channels=[Channel(r.VOLUME, r.CUBIC_METRE, -2, 1, 1 << 20)],
        registers=[
            Register(r.CO2, r.EMITTED, r.GRAM, -3),
            Register(r.CO2, r.EMITTED | r.IN_ERROR, r.GRAM, -3),
        ],
        terms=[Term(0, 0, 12345 << 32, 0, (layout.TABLE_BASE,))],
        tables=[table],
    ).pack()


def load_profile(meter: Meter, image: bytes) -> None:
    digest = hashlib.sha256(image).digest()
    meter.ask(messages.BLOB_BEGIN, messages.BLOB_BEGIN_REQUEST.pack(messages.PROFILE, len(image), digest))
    for at in range(0, len(image), 512):
        part = messages.BLOB_BLOCK_REQUEST.pack(messages.PROFILE, at) + image[at : at + 512]
        meter.ask(messages.BLOB_BLOCK, part)
    meter.ask(messages.BLOB_COMMIT, messages.BLOB_COMMIT_REQUEST.pack(messages.PROFILE, digest))


def test_a_real_meter_with_live_terms_and_a_switch_of_profile(tmp_path: Path) -> None:
    """Real firmware: live conditions, then a time-of-use profile of another shape; captured, then proved, then altered."""
    random_ = random.Random(4)
    path = tmp_path / "m.tonne"
    with UnixRig(live_profile(300), time=START) as rig, connect(rig.url, address=1, capture=path) as meter:

        def run(steps: int) -> None:
            for _ in range(steps):
                rig.condition(0, random_.randrange(79_000, 200_000))
                rig.pulses(0, random_.randrange(500))
                rig.clock.advance(300_000)
            rig.settle()

        run(90)
        meter.identify()
        meter.profile()
        load_profile(meter, slots_profile())
        run(90)
        meter.profile()
        list(meter.records(0))
    source = extract.load(path)
    pieces = list(source.pieces())
    whole = Shard("M", join([(p.shape, p.rows) for p in pieces]), source.images, max(p.following for p in pieces))
    assert len(whole.rows) == 2, "the switch changed the shape of the records"
    result = verify_shard(whole)
    assert not result.faults, result.faults
    assert result.chained == result.replayed == result.records >= 59
    assert [(f.kind, f.severity) for f in result.notices if f.kind == "profile"] == [("profile", "notice")]
    for shape, rows in whole.rows.items():
        for field in ("increment0", "index0"):
            altered = rows.copy()
            altered[field][7] += 1
            assert verify_shard(replace(whole, rows={**whole.rows, shape: altered})).faults
    assert not capture.load(path).refused


@pytest.mark.parametrize("days", [1, 400])
def test_replay_needs_no_chain(days: int) -> None:
    rows = clean(days)
    result = verify_shard(shard(rows), chain=False)
    assert result.chained == 0 and result.replayed == len(rows) == days * 86400 // INTERVAL


def test_signed_statements_of_a_real_meter_anchor_the_chain(tmp_path: Path) -> None:
    """Provisioned, a day, a signed statement, captured: proved with the public key alone; no key is in the capture."""
    path = tmp_path / "signed.tonne"
    secrets = [bytes([n]) * 32 for n in (1, 2, 3)]
    with UnixRig(bytes(profile().data), time=START) as rig, connect(rig.url, address=1, capture=path) as meter:
        meter.identify()
        meter.profile()
        meter.provision(*secrets)
        for day in range(2):
            for _ in range(4):
                rig.pulses(0, 10)
                rig.clock.advance(21_600_000)
            rig.settle()
            limit = time.monotonic() + 60
            while len(list(statements.read(meter))) <= day and time.monotonic() < limit:
                time.sleep(0.1)
        public = meter.trust().public
        list(meter.records(0))
    assert not any(secret in path.read_bytes() or _whitened(secret) in path.read_bytes() for secret in secrets)
    result = verified(path, {"TONNE-0001": public})
    assert not result.faults and result.statements == 2 and result.anchored == 2, result.findings
    assert result.chained == result.records
    assert [f.kind for f in verified(path, {}).notices if f.kind == "statement"] == ["statement"]
    wrong = bytearray(public)
    wrong[-1] ^= 1
    assert {f.kind for f in verified(path, {"TONNE-0001": bytes(wrong)}).faults} == {"statement"}
    source = extract.load(path)
    (piece,) = [p for p in source.pieces() if len(p.rows) > 1][-1:]
    rows = piece.rows.copy()
    rows["status"][5] ^= 0x0200
    link(SynMeter("x", rows, [], 0))
    heads = {s.next - 1: s.record_head for s in (statements.verify(data, public) for data in source.statements)}
    assert verify_shard(Shard("m", {SHAPE: rows}, source.images)).faults == []
    assert "signed statement" in verify_shard(Shard("m", {SHAPE: rows}, source.images, heads=heads)).faults[0].text


def _whitened(data: bytes) -> bytes:
    return bytes(byte ^ 0xA5 for byte in data)


def verified(path: Path, publics: dict[str, bytes]) -> Result:
    planned = fleet.plan([path], publics=publics)
    return merged([planned.result, *(fleet.run(job) for job in planned.jobs)])
