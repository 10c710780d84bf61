"""The event logs: chained, one forgetting and one refusing, through power cuts."""

import pytest

from firmware.events import Events
from firmware.refusal import Refusal
from firmware.store.layout import MINIMUM, REGIONS, SIZE, Store, regions
from firmware.store.nor import RamNor
from firmware.store.ring import Ring
from protocol import events as e
from protocol import messages
from protocol import status as codes
from tests.torture.cutting import CuttingNor, PowerCut


class Clock:
    now = 1_767_225_600

    def time(self) -> int:
        return self.now


def open_events(nor: RamNor, legal_sectors: int = 2) -> Events:
    rings = (Ring(nor, 0, 3, e.ENTRY.size), Ring(nor, 3, legal_sectors, e.ENTRY.size, wrap=False))
    return Events(rings, Clock())


def read(events: Events, log: int, first: int, count: int = 255) -> tuple[tuple, list[bytes]]:
    out = memoryview(bytearray(1024))
    size = events.read(messages.EVENTS_REQUEST.pack(log, first, count), out)
    head = messages.EVENTS_REPLY.unpack_from(out)
    at = messages.EVENTS_REPLY.size
    assert size == at + head[4] * e.ENTRY.size
    return head, [bytes(out[at + n * e.ENTRY.size : at + (n + 1) * e.ENTRY.size]) for n in range(head[4])]


def test_the_kinds_are_whole_and_the_entry_fits_three_to_a_page() -> None:
    assert all(len(kind) == 6 for kind in e.KINDS.values())
    assert set(e.LEGAL_KINDS) < set(e.KINDS)
    assert (e.ENTRY.size + 6) * 3 <= 256 - 28


def test_events_are_chained_over_power_cuts_and_ordered_over_both_logs() -> None:
    nor = RamNor(5 * 4096)
    links = [e.CHAIN_START, e.CHAIN_START]
    expected: list[list[tuple]] = [[], []]
    for n in range(40):
        events = open_events(nor)
        kind = e.SEAL_OPENED if n % 4 == 0 else e.CLOCK_SET
        assert events.log(kind, n % 4, n, Clock.now + n, n)
        expected[e.log_of(kind)].append((n, kind, n % 4, n))
    for log in (0, 1):
        first = 0
        while first < len(expected[log]):
            head, entries = read(events, log, first)
            assert head[:4] == (log, first, 0, len(expected[log]))
            for raw in entries:
                sequence, order, time, kind, actor, _, subject, old, new, link = e.ENTRY.unpack_from(raw)
                links[log] = e.chain(links[log], raw)
                assert link == links[log]
                assert (order, kind, actor, subject) == expected[log][sequence]
                assert int.from_bytes(new, "little") - int.from_bytes(old, "little") == time
            first += len(entries)
        assert events.link(log) == links[log]


def test_the_ordinary_log_forgets_the_oldest_and_counts_them_the_legal_one_refuses() -> None:
    events = open_events(RamNor(5 * 4096))
    for _ in range(500):
        assert events.log(e.CLOCK_SET)
        events.prepare()
    ring = events.rings[0]
    assert ring.next == 500
    assert 500 - ring.oldest >= ring.capacity == 48
    kept = 0
    while events.room:
        events.require_room()
        assert events.log(e.CONFIGURATION, 2, 1, 2)
        events.prepare()
        kept += 1
    assert kept == 96
    assert not events.log(e.SEAL_OPENED)
    with pytest.raises(Refusal) as refusal:
        events.require_room()
    assert refusal.value.code == codes.EXHAUSTED
    assert read(events, e.LEGAL, 0)[0][1:4] == (0, 0, 96)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ((0, 7, 1), codes.NOT_FOUND),
        ((2, 0, 1), codes.BAD_VALUE),
        ((0, 0, 0), codes.BAD_VALUE),
        ((1, 0, 1), codes.NOT_FOUND),
    ],
)
def test_what_is_not_there_is_refused(request_: tuple, code: int) -> None:
    events = open_events(RamNor(5 * 4096))
    for _ in range(7):
        events.log(e.BROWN_OUT)
    with pytest.raises(Refusal) as refusal:
        events.read(messages.EVENTS_REQUEST.pack(*request_), memoryview(bytearray(1024)))
    assert refusal.value.code == code


def test_a_lost_event_is_refused_by_itself_and_the_others_are_read() -> None:
    nor = RamNor(5 * 4096)
    events = open_events(nor)
    for n in range(6):
        events.log(e.CLOCK_SET, new=n + 1)
    at = nor.data.index(e.ENTRY.pack(3, 3, Clock.now, e.CLOCK_SET, 0, 0, 0, bytes(8), b"\4" + bytes(7), bytes(32))[:20])
    nor.data[at] ^= 0x55
    events = open_events(nor)
    assert read(events, 0, 0)[0][4] == 3
    with pytest.raises(Refusal) as refusal:
        read(events, 0, 3)
    assert (refusal.value.code, refusal.value.detail) == (codes.STORAGE, 3)
    assert read(events, 0, 4)[0][4] == 2


def test_an_event_is_whole_or_not_there_after_a_cut_at_every_byte() -> None:
    whole = CuttingNor(5 * 4096)
    events = open_events(whole)
    for n in range(4):
        events.log(e.SEAL_OPENED, new=n)
    image = bytes(whole.data)
    for byte in range(-1, e.ENTRY.size + 6):
        nor = CuttingNor(5 * 4096, buffer=bytearray(image))
        events = open_events(nor)
        nor.cut_at(0, byte, byte + 7)
        with pytest.raises(PowerCut):
            events.log(e.SEAL_OPENED, new=4)
        events = open_events(RamNor(5 * 4096, buffer=nor.data))
        count = events.rings[1].next
        assert count in (4, 5)
        assert events.log(e.SEAL_CLOSED)
        link = e.CHAIN_START
        for raw in read(events, 1, 0)[1]:
            link = e.chain(link, raw)
            assert link == raw[-32:]
        assert read(events, 1, 0)[0][4] == count + 1


def test_the_regions_fill_the_flash_without_overlap() -> None:
    found = regions(RamNor(SIZE))
    at = 0
    for name in (*[name for name, _ in REGIONS], "records"):
        assert found[name][0] == at
        at += found[name][1]
    assert at * 4096 == SIZE
    with pytest.raises(ValueError, match=f"takes {MINIMUM} sectors"):
        regions(RamNor((MINIMUM - 1) * 4096))


def test_a_store_opens_on_empty_flash_and_keeps() -> None:
    nor = RamNor(SIZE)
    store = Store(nor, Clock())
    keys = store.journal("keys", 100)
    while store.prepare():
        pass
    assert keys.append(bytes(range(100)))
    assert store.events.log(e.POWER_UP, new=1)
    assert Store(nor, Clock()).journal("keys", 100).latest == bytes(range(100))
    assert Store(nor, Clock()).events.count == 1
