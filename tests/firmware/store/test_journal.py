"""Journal and ring against a model, through cuts at every byte, flipped bits and worn sectors."""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.store import faults, log, slot
from firmware.store.journal import Journal
from firmware.store.nor import FileNor, NorError, RamNor
from firmware.store.ring import Ring
from tests.torture.cutting import CuttingNor, PowerCut

SECTOR, PAGE = 1024, 256


def nor(sectors: int = 4) -> CuttingNor:
    return CuttingNor(sectors * SECTOR, SECTOR, PAGE)


def payload(n: int, size: int = 40) -> bytes:
    return random.Random(n).randbytes(size)


class TestNor:
    def test_a_one_over_a_zero_and_what_is_outside_are_refused(self, tmp_path) -> None:
        path = tmp_path / "flash"
        path.write_bytes(b"\xff" * 8192)
        for flash in (RamNor(8192), FileNor(str(path))):
            flash.program(5, b"\xf0")
            flash.program(5, b"\xc0")
            with pytest.raises(NorError, match="zero into a one"):
                flash.program(4, b"\xff\xc1")
            with pytest.raises(NorError, match="flash has 8192"):
                flash.program(8190, b"abc")
            with pytest.raises(NorError, match="sector 2"):
                flash.erase(2)
            flash.erase(0)
            buffer = bytearray(2)
            flash.read_into(5, buffer)
            assert buffer == b"\xff\xff"

    def test_a_file_that_is_no_flash_is_refused(self, tmp_path) -> None:
        path = tmp_path / "flash"
        path.write_bytes(b"\xff" * 100)
        with pytest.raises(NorError, match="100 bytes is not a whole number of sectors"):
            FileNor(str(path))


class TestSlot:
    @given(st.binary(min_size=1, max_size=300), st.data())
    def test_every_single_flipped_bit_is_put_right(self, body: bytes, data: st.DataObject) -> None:
        view = memoryview(bytearray(body + bytes(slot.TRAIL)))
        slot.seal(view, len(body))
        good = bytes(view)
        assert slot.check(view, len(body)) == slot.GOOD
        bit = data.draw(st.integers(0, 8 * len(good) - 1))
        view[bit // 8] ^= 1 << bit % 8
        assert slot.check(view, len(body)) == slot.REPAIRED
        assert view[: len(body)] == good[: len(body)]

    @given(st.binary(min_size=8, max_size=100), st.sets(st.integers(0, 8 * 14 - 1), min_size=2, max_size=3))
    def test_two_and_three_flipped_bits_are_never_taken_for_good(self, body: bytes, bits: set[int]) -> None:
        view = memoryview(bytearray(body + bytes(slot.TRAIL)))
        slot.seal(view, len(body))
        for bit in bits:
            view[bit // 8] ^= 1 << bit % 8
        assert slot.check(view, len(body)) != slot.GOOD


class TestJournal:
    def test_empty_flash_has_no_latest_and_garbage_neither(self) -> None:
        flash = nor()
        assert Journal(flash, 0, 4, 40).latest is None
        flash.data[:] = random.Random(1).randbytes(len(flash.data))
        journal = Journal(flash, 0, 4, 40)
        assert journal.latest is None
        assert journal.append(payload(1))
        assert Journal(flash, 0, 4, 40).latest == payload(1)

    def test_one_program_a_commit_and_erases_ahead_wear_all_sectors_alike(self) -> None:
        flash = nor(5)
        journal = Journal(flash, 1, 3, 40)
        journal.prepare()
        most = 0
        for n in range(600):
            before = journal.programs
            assert journal.append(payload(n))
            assert journal.programs == before + 1
            journal.prepare()
            assert Journal(flash, 1, 3, 40).latest == payload(n)
            most = max(most, journal.late)
        assert most == 0
        per_sector = log.slots(SECTOR, PAGE, 40 + slot.OVERHEAD)
        assert abs(journal.erases - 600 / per_sector) <= 2
        assert flash.data[:SECTOR] == flash.data[4 * SECTOR :] == b"\xff" * SECTOR

    def test_every_cut_leaves_the_old_or_the_new(self) -> None:
        flash = nor(3)
        journal = Journal(flash, 0, 3, 90)
        cuts = 0
        for n in range(60):
            start = bytes(flash.data)
            trial = CuttingNor(len(start), SECTOR, PAGE, bytearray(start))
            victim = Journal(trial, 0, 3, 90)
            trial.log = []
            victim.append(payload(n, 90))
            victim.prepare()
            operations = trial.log
            committed = next(k for k, (_, data) in enumerate(operations) if len(data) == 90 + slot.OVERHEAD)
            for k, (_, data) in enumerate(operations):
                stops = [-1, *range(0, len(data), 1 if len(data) < SECTOR else 97)]
                for byte in stops:
                    trial = CuttingNor(len(start), SECTOR, PAGE, bytearray(start))
                    victim = Journal(trial, 0, 3, 90)
                    trial.cut_at(k, byte, 1000 * n + byte)
                    with pytest.raises(PowerCut):
                        victim.append(payload(n, 90))
                        victim.prepare()
                    again = Journal(RamNor(len(start), SECTOR, PAGE, trial.data), 0, 3, 90)
                    allowed = [payload(n, 90)] if k > committed else [payload(n - 1, 90) if n else None]
                    if k == committed:
                        allowed.append(payload(n, 90))
                    assert again.latest in allowed
                    again.append(payload(n, 90))
                    assert again.latest == payload(n, 90)
                    cuts += 1
            journal.append(payload(n, 90))
            journal.prepare()
        assert cuts > 5000

    def test_any_flipped_bit_of_the_newest_sector_is_reported_and_costs_nothing(self) -> None:
        flash = nor(2)
        journal = Journal(flash, 0, 2, 40)
        for n in range(12):
            journal.append(payload(n))
        used = max(k for k in range(len(flash.data)) if flash.data[k] != 0xFF)
        for bit in range(8 * (used + 1)):
            flash.data[bit // 8] ^= 1 << bit % 8
            again = Journal(flash, 0, 2, 40)
            assert again.latest == payload(11)
            blank = 28 + 4 * 50 <= bit // 8 % PAGE < 256 or (bit // 8 >= PAGE and bit // 8 % PAGE >= 250)
            assert again.faults.count or again.torn or blank
            flash.data[bit // 8] ^= 1 << bit % 8

    def test_a_lost_newest_slot_gives_the_copy_before(self) -> None:
        flash = nor(2)
        journal = Journal(flash, 0, 2, 40)
        for n in range(3):
            journal.append(payload(n))
        at = bytes(flash.data).index(payload(2))
        flash.data[at : at + 4] = bytes(4)
        again = Journal(flash, 0, 2, 40)
        assert (again.latest, again.torn) == (payload(1), 1)

    def test_a_slot_torn_by_a_cut_is_no_fault_and_one_lost_among_others_is(self) -> None:
        flash = nor(2)
        journal = Journal(flash, 0, 2, 40)
        journal.append(payload(0))
        before = bytes(flash.data)
        journal.append(payload(1))
        at = next(n for n, (old, new) in enumerate(zip(before, flash.data, strict=True)) if old != new)
        flash.data[at + 20 : at + 50] = b"\xff" * 30  # the program was cut
        again = Journal(flash, 0, 2, 40)
        assert (again.latest, again.torn, again.faults.count) == (payload(0), 1, 0)
        again.append(payload(2))
        again.append(payload(3))
        assert Journal(flash, 0, 2, 40).faults.count == 0
        at = bytes(flash.data).index(payload(2))
        flash.data[at : at + 4] = bytes(4)
        again = Journal(flash, 0, 2, 40)
        assert (again.latest, again.faults.waiting) == (payload(3), [(faults.LOST, 0)])

    def test_another_size_moves_to_another_sector(self) -> None:
        flash = nor(3)
        journal = Journal(flash, 0, 3, 40)
        journal.append(payload(1))
        journal.append(payload(2, 70))
        assert Journal(flash, 0, 3, 40).latest == payload(2, 70)
        journal = Journal(flash, 0, 3, 70)
        journal.append(payload(3, 300))
        assert Journal(flash, 0, 3, 70).latest == payload(3, 300)


class WornNor(RamNor):
    """Some sectors do not program (their ones stay) or do not erase (their zeros stay)."""

    def __init__(self, sectors: int, stuck: dict[int, str]) -> None:
        super().__init__(sectors * SECTOR, SECTOR, PAGE)
        self.stuck = stuck

    def _write(self, at, data) -> None:
        kind = self.stuck.get(at // SECTOR)
        if kind == "program" and len(data) != SECTOR:
            data = bytes(a | 1 for a in data)
            data = bytes(a & b for a, b in zip(data, self.data[at : at + len(data)], strict=True))
        if kind == "erase" and len(data) == SECTOR:
            data = data[:500] + b"\x7f" + data[501:]
        super()._write(at, data)


class TestWorn:
    @pytest.mark.parametrize("kind", ["program", "erase"])
    def test_a_worn_sector_is_skipped_and_reported(self, kind: str) -> None:
        flash = WornNor(4, {2: kind})
        journal = Journal(flash, 0, 4, 40)
        for n in range(200):
            assert journal.append(payload(n))
            journal.prepare()
            assert Journal(flash, 0, 4, 40).latest == payload(n)
        assert journal.faults.waiting == [(faults.WORN, 2)]

    def test_a_sector_that_wears_out_under_way_costs_nothing(self) -> None:
        flash = WornNor(4, {})
        journal = Journal(flash, 0, 4, 40)
        for n in range(200):
            if n == 105:
                flash.stuck = {journal._current: "program"}
            assert journal.append(payload(n))
            journal.prepare()
            assert Journal(flash, 0, 4, 40).latest == payload(n)
        assert [code for code, _ in journal.faults.waiting] == [faults.WORN]

    def test_when_nothing_takes_it_append_says_so_and_the_old_stays(self) -> None:
        flash = WornNor(3, {})
        journal = Journal(flash, 0, 3, 40)
        assert journal.append(payload(1))
        flash.stuck = dict.fromkeys(range(3), "program")
        assert not journal.append(payload(2))
        assert journal.latest == payload(1) == Journal(flash, 0, 3, 40).latest
        assert (faults.FULL, 0) in journal.faults.waiting


class TestRing:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.sampled_from([30, 30, 30, 30, 61, "prepare", "power", "cut"]), max_size=120), st.randoms())
    def test_it_equals_a_model_through_cuts_sizes_and_remounts(self, steps: list, random_: random.Random) -> None:
        flash = nor(5)
        ring = Ring(flash, 0, 5, 30)
        held: list[bytes] = []
        for step in steps:
            if step == "prepare":
                ring.prepare()
            elif step == "power":
                ring = Ring(flash, 0, 5, ring.size, ring.label)
            elif step == "cut":
                entry = payload(len(held), ring.size)
                flash.cut_at(
                    flash.operations + random_.randrange(4), random_.randrange(-1, 8), random_.randrange(1 << 20)
                )
                size, label = ring.size, ring.label
                try:
                    ring.append(entry)
                    ring.prepare()
                except PowerCut:
                    pass
                flash.cut_at(-1, 0, 0)
                ring = Ring(flash, 0, 5, size, label)
                if ring.next > len(held):
                    held.append(entry)
            else:
                entry = payload(len(held), step)
                assert ring.append(entry, b"s%03d" % step)
                held.append(entry)
            assert ring.next == len(held)
            for n in range(ring.oldest, ring.next):
                buffer = bytearray(len(held[n]))
                assert ring.shape_of(n)[0] == len(held[n])
                assert ring.read_into(n, buffer)
                assert buffer == held[n]
            assert not ring.read_into(ring.next, bytearray(30))
            assert not ring.read_into(ring.oldest - 1, bytearray(30))

    def test_numbered_entries_take_four_bytes_less(self) -> None:
        flash = nor(4)
        ring = Ring(flash, 0, 4, 122, numbered=True)
        assert ring.capacity == 2 * (1 + 3 * 2)
        for n in range(60):
            ring.append(struct.pack("<I", n) + payload(n, 118))
        again = Ring(flash, 0, 4, 122, numbered=True)
        buffer = bytearray(122)
        for n in range(again.oldest, 60):
            assert again.read_into(n, buffer)
            assert buffer == struct.pack("<I", n) + payload(n, 118)
        assert again.next == 60

    def test_it_holds_its_capacity_and_counts_on(self) -> None:
        flash = nor(6)
        ring = Ring(flash, 0, 6, 50)
        for n in range(500):
            assert ring.append(payload(n, 50))
            ring.prepare()
            assert ring.oldest <= max(0, n + 1 - ring.capacity)
        again = Ring(flash, 0, 6, 50)
        assert (again.oldest, again.next) == (ring.oldest, 500)
        again.begin(700)
        again.append(payload(700, 50))
        assert Ring(flash, 0, 6, 50).next == 701

    def test_without_wrap_it_fills_up_and_refuses(self) -> None:
        flash = nor(3)
        ring = Ring(flash, 0, 3, 50, wrap=False)
        count = 0
        while ring.room:
            assert ring.append(payload(count, 50))
            count += 1
            ring.prepare()
            if count % 5 == 0:
                ring = Ring(flash, 0, 3, 50, wrap=False)
        assert count == ring.capacity == 3 * log.slots(SECTOR, PAGE, 50 + slot.OVERHEAD)
        assert not ring.append(payload(0, 50))
        assert (ring.oldest, ring.next) == (0, count)
        assert (faults.FULL, 0) in ring.faults.waiting

    def test_a_damaged_entry_is_told_and_the_others_read_on(self) -> None:
        flash = nor(4)
        ring = Ring(flash, 0, 4, 50)
        for n in range(8):
            ring.append(payload(n, 50))
        at = bytes(flash.data).index(payload(3, 50))
        flash.data[at] ^= 4
        again = Ring(flash, 0, 4, 50)
        buffer = bytearray(50)
        assert again.read_into(3, buffer)
        assert buffer == payload(3, 50)
        flash.data[at + 7] ^= 0x41
        again = Ring(flash, 0, 4, 50)
        for _ in range(8):
            again.check()
        assert [n for n in range(8) if not again.read_into(n, buffer)] == [3]
        assert again.faults.waiting[-1] == (faults.LOST, 0)
        assert again.next == 8
