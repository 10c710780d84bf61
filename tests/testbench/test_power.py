"""Power cuts on the real firmware in its process: nothing committed is lost, nothing is counted twice, every record proves."""

import hashlib
import json
import random

import pytest
from typer.testing import CliRunner

from hostlink import events, replay
from hostlink.cli import app
from hostlink.meter import Meter, connect
from hostlink.profile.image import Channel, Condition, ProfileImage, Register, Term
from hostlink.records import IntervalRecord
from protocol import events as layout_of_events
from protocol import messages
from protocol import records as layout
from protocol import registers as r
from protocol import status as flags
from protocol.image import Image
from testbench.rigs.unix import RigError, UnixRig

START = 1_767_225_600


def profile(quanta: int = 1, seconds: int = 900) -> Image:
    """Two channels, one term with a live condition."""
    image = ProfileImage(
        "power",
        [Channel(r.VOLUME, r.CUBIC_METRE, -2, 1, 2**31), Channel(r.ENERGY, r.WATT_HOUR, 0, 1, 2**31)],
        [
            Register(r.CO2, r.EMITTED, r.GRAM, -3),
            Register(r.ACTIVITY, r.CONSUMED, r.ONE, 0),
            Register(r.ACTIVITY, r.IN_ERROR, r.ONE, 0),
        ],
        [Term(0, 0, 0x1234_5678_9ABC, 1), Term(1, 1, 1, 0, (0,), 2)],
        [Condition(r.PRESSURE, r.PASCAL, 0, 0, 80_000, 1_000_000, 101_325)],
        commit_quanta=quanta,
        commit_seconds=seconds,
    )
    return Image(image.pack())


def indices(meter: Meter) -> tuple[int, int]:
    first, second = meter.registers().registers[:2]
    return first.amount.whole, second.amount.whole


def check(meter: Meter, image: Image, whole: bool = True) -> list[IntervalRecord]:
    """All records, each proved: chain, indices, registers, order in time."""
    found = list(meter.records(meter.oldest_record()))
    head = layout.CHAIN_START
    before = None
    for number, record in enumerate(found):
        head = layout.chain(head, record.raw)
        assert record.sequence == number
        assert record.link == head[: layout.LINK_SIZE]
        assert replay.check_record(image, before, record) == []
        if before is not None:
            assert record.start >= before.end
        before = record
    return found


@pytest.mark.parametrize("quanta", [1, 40])
def test_random_cuts_while_pulses_flow_lose_less_than_the_profile_says(quanta: int) -> None:
    random_ = random.Random(quanta)
    image = profile(quanta)
    given = [0, 0]
    with UnixRig(image.data, time=START) as rig, connect(rig.url, address=1) as meter:
        for cycle in range(12):
            for _ in range(random_.randrange(1, 120)):
                channel = random_.randrange(2)
                count = random_.randrange(1, 9)
                rig.condition(0, random_.randrange(70_000, 1_100_000))
                rig.stimulus.pulses(channel, count)
                given[channel] += count
                rig.clock.advance(random_.choice((1000, 60_000, 400_000)))
            rig.clock.settle()
            assert indices(meter) == tuple(given)
            rig.power.off()
            rig.clock.advance(random_.choice((0, 5_000, 86_400_000)))
            rig.power.on()
            after = indices(meter)
            lost = [a - b for a, b in zip(given, after, strict=True)]
            assert min(lost) >= 0
            assert sum(lost) < quanta
            given = list(after)
            assert meter.reading().status & flags.POWER_CUT
            assert meter.status()["events"] == cycle + 2
        rig.clock.advance(900_000)
        rig.clock.settle()
        found = check(meter, image)
    assert sum(bool(record.status & flags.POWER_CUT) for record in found) >= 8


def test_a_cut_in_the_midst_of_a_flood_keeps_what_was_read_before_it() -> None:
    image = profile(100)
    with UnixRig(image.data, time=START) as rig, connect(rig.url, address=1) as meter:
        most = 0
        for _ in range(8):
            for _ in range(8_000):
                rig.stimulus.pulses(0, 1)
                rig.clock.advance(500)
            rig._flush()
            now = indices(meter)[0]
            assert now >= most - 99
            most = max(most, now)
            rig.power.off()
            rig.power.on()
            now = indices(meter)[0]
            assert now > most - 100
            most = now
        check(meter, image)


def test_without_a_battery_time_goes_on_from_the_last_commit_and_is_not_valid() -> None:
    image = profile()
    with UnixRig(image.data, time=START, rtc=False) as rig, connect(rig.url, address=1) as meter:
        rig.clock.advance(100_000)
        rig.stimulus.pulses(0, 5)
        rig.clock.settle()
        rig.power.off()
        rig.clock.advance(50_000_000)
        rig.power.on()
        reading = meter.reading()
        assert not reading.time.valid
        assert reading.time.utc.timestamp() == START + 100
        meter.set_clock(START + 60_000)
        assert meter.reading().time.valid
        rig.clock.advance(900_000)
        rig.clock.settle()
        found = check(meter, image)
    assert [(record.duration, record.increments[0]) for record in found if record.increments[0]] == [(100, 5)]


def test_a_brown_out_signal_commits_at_once() -> None:
    image = profile(10_000, 100_000)
    with UnixRig(image.data, time=START) as rig, connect(rig.url, address=1) as meter:
        rig.stimulus.pulses(0, 77)
        rig.brown_out()
        rig.clock.settle()
        rig.power.off()
        rig.power.on()
        assert indices(meter) == (77, 0)


def told(meter: Meter) -> list[tuple[str, str]]:
    """The ordinary events behind the last power-up."""
    found = [(event.name, event.details) for event in events.read(meter, layout_of_events.ORDINARY)]
    last = max(n for n, (name, _) in enumerate(found) if name == "power up")
    return found[last + 1 :]


def test_what_is_counted_while_the_supply_fails_is_kept_and_the_power_down_told() -> None:
    image = profile(10_000, 100_000)
    with UnixRig(image.data, time=START) as rig, connect(rig.url, address=1) as meter:
        rig.stimulus.pulses(0, 77)
        rig.brown_out()
        for _ in range(3):
            rig.stimulus.pulses(0, 1)
            rig.brown_out()
        rig.clock.settle()
        assert told(meter) == [("power down", "")]
        rig.power.off()
        rig.power.on()
        assert indices(meter) == (80, 0)


def test_a_brown_out_that_is_over_is_told_and_metering_goes_on() -> None:
    image = profile(10_000, 100_000)
    with UnixRig(image.data, time=START) as rig, connect(rig.url, address=1) as meter:
        for _ in range(2):
            rig.stimulus.pulses(0, 5)
            for failing, milliseconds in ((True, 500), (False, 100), (True, 1000), (False, 1900), (False, 1500), (False, 0)):
                rig.brown_out(failing)
                rig.clock.advance(milliseconds)
        rig.stimulus.pulses(0, 5)
        rig.clock.settle()
        over = ("brown-out", "seconds until it was good again 1")
        assert told(meter) == [("power down", ""), over] * 2
        assert indices(meter) == (15, 0)


def test_a_supply_warning_that_stays_on_does_not_wear_the_flash() -> None:
    image = profile(10_000, 100_000)
    with UnixRig(image.data, time=START) as rig, connect(rig.url, address=1) as meter:
        rig.brown_out()
        rig.clock.settle()
        before = rig.flash.read(0, 16 * 4096)
        for _ in range(200):
            rig.stimulus.pulses(0, 1)
            rig.brown_out()
        rig.clock.settle()
        after = rig.flash.read(0, 16 * 4096)
        written = sum(1 for was, now in zip(before, after, strict=True) if was != now)
        assert written < 9 * 256
        assert indices(meter) == (200, 0)


def test_a_meter_that_stops_by_itself_keeps_everything_and_tells() -> None:
    image = profile(10_000, 100_000)
    with UnixRig(image.data, time=START) as rig, connect(rig.url, address=1) as meter:
        rig.stimulus.pulses(1, 9)
        rig.stop()
        rig.power.on()
        assert indices(meter) == (0, 9)
        assert [event.name for event in events.read(meter, layout_of_events.ORDINARY)] == ["power up", "power down", "power up"]


def test_any_flipped_bit_in_the_registers_costs_nothing_and_is_told() -> None:
    image = profile()
    random_ = random.Random(5)
    with UnixRig(image.data, time=START) as rig, connect(rig.url, address=1) as meter:
        for n in range(8):
            rig.stimulus.pulses(0, 1 + n)
            rig.clock.advance(1000)
        rig.clock.settle()
        expected = indices(meter)
        rig.power.off()
        with pytest.raises(RigError, match="without power"):
            rig.flash.powered = True
            rig.flash.write(0, b"")
        rig.flash.powered = False
        good = rig.flash.read(0, rig.flash.size)
        used = [at for at in range(4096) if good[at] != 0xFF]  # the sector erased ahead holds nothing yet
        for at in random_.sample(used, 12):
            rig.flash.write(0, good)
            rig.flash.write(at, bytes([good[at] ^ 1 << random_.randrange(8)]))
            rig.power.on()
            assert indices(meter) == expected
            assert meter.reading().status & flags.STORAGE_FAULT
            rig.power.off()


def test_a_bit_that_flips_where_nobody_looks_is_found_in_idle_time() -> None:
    image = profile()
    with UnixRig(image.data, time=START) as rig, connect(rig.url, address=1) as meter:
        for _ in range(60):
            rig.stimulus.pulses(0, 1)
            rig.clock.advance(901_000)
        rig.clock.settle()
        rig.power.off()
        records_at = 88 * 4096
        for at in (100, records_at + 90):
            assert rig.flash.read(at, 1) != b"\xff"
            rig.flash.write(at, bytes([rig.flash.read(at, 1)[0] ^ 0x10]))
        rig.power.on()
        for _ in range(600):
            rig.clock.settle()
        assert meter.reading().status & flags.STORAGE_FAULT
        assert meter.status()["events"] == 4
        check(meter, image)


def test_foreign_flash_is_taken_over_and_a_full_one_of_zeros_is_reported() -> None:
    image = profile()
    with UnixRig(image.data, time=START) as rig, connect(rig.url, address=1) as meter:
        for content in (random.Random(1).randbytes(rig.flash.size), bytes(rig.flash.size)):
            rig.power.off()
            rig.flash.write(0, content)
            rig.power.on()
            rig.stimulus.pulses(0, 3)
            rig.clock.settle()
            assert indices(meter) == (3, 0)
            rig.power.off()
            rig.power.on()
            assert indices(meter) == (3, 0)


def test_events_are_read_in_order_and_a_spoilt_one_shows() -> None:
    image = profile()
    with UnixRig(image.data, time=START) as rig:
        with connect(rig.url, address=1) as meter:
            meter.set_clock(START + 100)
            rig.tamper(0, True)
            rig.brown_out()
            rig.clock.settle()
            rig.power.off()
            rig.power.on()
        shown = CliRunner().invoke(app(), ["events", "--port", rig.url, "--json"])
        assert shown.exit_code == 0
        got = json.loads(shown.stdout)
        assert [event["event"] for event in got["events"]] == [
            "power up",
            "clock set",
            "tamper",
            "power down",
            "power up",
        ]
        assert got["events"][1]["details"] == "old 2026-01-01 00:00:00Z, new 2026-01-01 00:01:40Z"
        assert got["events"][4]["details"] == "reset cause power, last known before 2026-01-01 00:01:40Z, power-ups 2"
        assert (got["lost"], got["breaks"]) == (0, [])
        rig.power.off()
        flash = rig.flash.read(0, rig.flash.size)
        at = flash.index(layout_of_events.ENTRY.pack(2, 2, START + 100, 13, 0, 0, 0, bytes(8), b"\1", bytes(32))[:14])
        rig.flash.write(at, bytes([flash[at] ^ 0x66]))
        rig.power.on()
        shown = CliRunner().invoke(app(), ["events", "--port", rig.url])
        assert shown.exit_code == 1
        assert "ordinary log: expected event 2, got 3" in str(shown.exception)


def test_a_profile_on_its_way_goes_on_after_a_cut_and_takes_over_over_the_next() -> None:
    image, following = profile(), profile(3)
    digest = hashlib.sha256(following.data).digest()
    with UnixRig(image.data, time=START) as rig, connect(rig.url, address=1) as meter:
        received = 0
        for _ in range(8):
            body = meter.ask(messages.BLOB_BEGIN, messages.BLOB_BEGIN_REQUEST.pack(1, len(following.data), digest))
            got = messages.BLOB_STATE.unpack_from(body)[2]
            assert got >= received - 246
            received = got
            block = following.data[received : received + 100]
            body = meter.ask(messages.BLOB_BLOCK, messages.BLOB_BLOCK_REQUEST.pack(1, received) + bytes(block))
            received = messages.BLOB_STATE.unpack_from(body)[2]
            if received == len(following.data):
                break
            if received > 246:
                rig.power.off()
                rig.power.on()
        while received < len(following.data):
            block = following.data[received : received + 100]
            body = meter.ask(messages.BLOB_BLOCK, messages.BLOB_BLOCK_REQUEST.pack(1, received) + bytes(block))
            received = messages.BLOB_STATE.unpack_from(body)[2]
        rig.stimulus.pulses(0, 9)
        rig.clock.settle()
        meter.ask(messages.BLOB_COMMIT, messages.BLOB_COMMIT_REQUEST.pack(1, digest))
        rig.power.off()
        rig.power.on()
        assert meter.identify().fingerprint == image.fingerprint
        rig.clock.advance(901_000)
        rig.clock.settle()
        assert meter.identify().fingerprint == following.fingerprint
        assert indices(meter) == (9, 0)
        rig.power.off()
        rig.power.on()
        assert meter.identify().fingerprint == following.fingerprint
        assert meter.profile(image.fingerprint[:8]).fingerprint == image.fingerprint
        (record,) = meter.records()
        assert record.status & flags.PROFILE_CHANGED
        assert record.status & flags.POWER_CUT
        assert indices(meter) == (9, 0)


def test_a_counter_that_jumps_is_flagged_and_logged_and_nothing_is_guessed() -> None:
    image = profile()
    with UnixRig(image.data, time=START) as rig, connect(rig.url, address=1) as meter:
        rig.stimulus.pulses(1, 4)
        rig.clock.settle()
        rig.jump(1)
        rig.clock.settle()
        assert meter.reading().status & flags.COUNTER_JUMP
        assert indices(meter) == (0, 4)
        *_, event = events.read(meter, 0)
        assert (event.name, event.subject, int.from_bytes(event.new, "little")) == ("counter reset or jump", 1, 1)


def test_a_clock_that_comes_back_earlier_ends_the_interval_and_says_so() -> None:
    image = profile()
    with UnixRig(image.data, time=START + 5000) as rig, connect(rig.url, address=1) as meter:
        rig.stimulus.pulses(0, 6)
        rig.clock.advance(100_000)
        rig.clock.settle()
        rig.power.off()
        rig._start = START
        rig.power.on()
        assert meter.reading().status & flags.CLOCK_CHANGED
        assert indices(meter) == (6, 0)
        (record,) = meter.records()
        assert record.status & flags.POWER_CUT
        assert record.status & flags.CLOCK_CHANGED
        assert record.increments == (6, 0)
        assert replay.check_record(image, None, record) == []
