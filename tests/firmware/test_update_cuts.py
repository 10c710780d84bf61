"""An update cut off by power at every operation on its files: what starts next is whole, and the update still comes to its end."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator

import pytest

from firmware.boards import slots as slots_module
from firmware.boards.slots import Slots, choose
from firmware.events import Events
from firmware.refusal import Refusal
from firmware.store.layout import MINIMUM, Store
from firmware.store.nor import RamNor
from firmware.trust import update as update_module
from firmware.trust.kept import Security
from firmware.trust.update import HEALTHY_SECONDS, Update
from hostlink import lms, update
from protocol import events as kinds
from protocol import messages
from protocol import status as codes
from tests.firmware.files import Files
from tests.torture.cutting import PowerCut

FOLDER = "/updates"
KEY = lms.PrivateKey(b"m" * 32, height=5)
START = 1_767_225_600
BLOCK = 1000
PERIODS = 6
"""Power-ups within which an update must have come to its end: three starts of a trial, and the cut ones."""


def files_of(version: str) -> dict[str, bytes]:
    """A firmware of a few files in folders, one longer than what is unpacked in a step."""
    source = random.Random(version)
    return {
        "firmware/identity.py": version.encode(),
        "firmware/boards/pico.py": source.randbytes(5000),
        "protocol/frame.py": source.randbytes(300),
        "protocol/empty.py": b"",
    }


def digest_of(version: str) -> bytes:
    return hashlib.sha256(version.encode()).digest()


VERSIONS = ("0.1.0", "0.1.1", "0.1.2", "0.2.0")
PACKAGES = {
    version: update.build(files_of(version), "pico", update.version(version), update.version(version), KEY)
    for version in VERSIONS[1:]
}


class Clock:
    uptime = 0

    def time(self) -> int:
        return START


class Everyone:
    """A guard that lets everybody; what it refuses is tested elsewhere (`test_update`, `test_session`)."""

    role = 3

    def allows(self, role: int) -> bool:
        return True


class Manufacturer:
    update = KEY.public


class Running:
    """A meter, as far as updates know one."""

    def __init__(self, version: str) -> None:
        self.identity = (b"", b"pico", 0, 0, 0, digest_of(version))
        self.clock = Clock()


class Board:
    """One power-up after another on the same files and flash."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, synced: bool) -> None:
        self.files = Files(synced)
        self.nor = RamNor(MINIMUM * 512, 512)
        for module in (slots_module, update_module):
            monkeypatch.setattr(module, "open", self.files.open, raising=False)
        monkeypatch.setattr(slots_module, "os", self.files)
        self.ran = [VERSIONS[0]]

    def power_up(self) -> Update:
        """Start what the boot program chooses, which must be a whole firmware."""
        slot = choose(FOLDER)
        version = VERSIONS[0]
        if slot:
            head = f"{FOLDER}/{slot}/"
            found = {path[len(head) :]: data for path, data in self.files.data.items() if path.startswith(head)}
            version = found["firmware/identity.py"].decode()
            assert found == files_of(version), "what starts is not one whole firmware"
        self.ran.append(version)
        self.store = Store(self.nor, Clock())
        self.security = Security(self.store.journal("security", Security.layout.size))
        self.meter = Running(version)
        slots = Slots(FOLDER, slot)
        return Update(Everyone(), Manufacturer, self.security, self.store.events, self.meter, slots, lambda: True, {})

    @property
    def log(self) -> Events:
        return self.store.events

    def told(self, kind: int) -> int:
        ring = self.log.rings[kinds.LEGAL]
        entry = bytearray(kinds.ENTRY.size)
        found = 0
        for sequence in range(ring.oldest, ring.next):
            assert ring.read_into(sequence, entry)
            found += kinds.ENTRY.unpack_from(entry)[3] == kind
        return found


def push(meter: Update, package: bytes) -> None:
    """What a host does: ask, go on where it stopped, commit."""
    out = memoryview(bytearray(1024))
    digest = hashlib.sha256(package).digest()

    def state(size: int) -> int:
        return messages.BLOB_STATE.unpack_from(out[:size])[2]

    at = state(meter.begin(messages.BLOB_BEGIN_REQUEST.pack(messages.UPDATE, len(package), digest), out))
    while at < len(package):
        body = messages.BLOB_BLOCK_REQUEST.pack(messages.UPDATE, at) + package[at : at + BLOCK]
        after = state(meter.block(body, out))
        assert after > at
        at = after
    meter.commit(messages.BLOB_COMMIT_REQUEST.pack(messages.UPDATE, digest), out)


def period(board: Board, version: str) -> bool:
    """One power-up: bring `version` in if it does not run, then meter for long enough to keep it. True once it is kept."""
    meter = board.power_up()
    if board.ran[-1] != version:
        push(meter, PACKAGES[version])
        while not meter.restart:
            assert meter.step()
        return False
    board.meter.clock.uptime = HEALTHY_SECONDS
    meter.step()
    security = board.security
    return (security.major, security.minor, security.patch) == update.version(version)


def bring(board: Board, version: str) -> None:
    for _ in range(PERIODS):
        if period(board, version):
            return
    raise AssertionError(f"{version} was not kept within {PERIODS} power-ups: {board.ran}")


@pytest.fixture(params=[True, False], ids=["littlefs", "posix"])
def boards(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Board]:
    return lambda: Board(monkeypatch, request.param)


def cut_points(boards: Callable[[], Board], prepared: tuple[str, ...], version: str) -> Iterator[tuple[Board, int]]:
    """A board with the updates `prepared` behind it, once for each operation that bringing `version` takes."""
    trial = boards()
    for one in prepared:
        bring(trial, one)
    first = trial.files.operations
    bring(trial, version)
    for cut in range(first, trial.files.operations):
        board = boards()
        for one in prepared:
            bring(board, one)
        board.files.cut = cut
        yield board, cut - first


@pytest.mark.parametrize("prepared", [(), ("0.1.1",), ("0.1.1", "0.1.2")], ids=["first", "second", "third"])
def test_one_cut_at_each_operation(boards: Callable[[], Board], prepared: tuple[str, ...]) -> None:
    cuts = 0
    for board, _ in cut_points(boards, prepared, "0.2.0"):
        with pytest.raises(PowerCut):
            bring(board, "0.2.0")
        bring(board, "0.2.0")
        assert board.ran[-1] == "0.2.0"
        assert set(board.ran) <= {*VERSIONS[:1], *prepared, "0.2.0"}
        assert board.told(kinds.UPDATE_COMMITTED) >= len(prepared) + 1
        assert board.told(kinds.UPDATE_ROLLED_BACK) == 0
        board.power_up()
        assert board.ran[-1] == "0.2.0"
        cuts += 1
    assert cuts > 25


def test_two_cuts_anywhere(boards: Callable[[], Board]) -> None:
    """The second in what the first made necessary, or later."""
    random_ = random.Random(4)
    for board, cut in cut_points(boards, ("0.1.1",), "0.2.0"):
        with pytest.raises(PowerCut):
            bring(board, "0.2.0")
        board.files.cut = board.files.operations + random_.randrange(20)
        try:
            bring(board, "0.2.0")
        except PowerCut:
            bring(board, "0.2.0")
        assert board.ran[-1] == "0.2.0", cut
        assert board.told(kinds.UPDATE_COMMITTED) >= 2


def test_an_update_that_never_proves_healthy_is_left_wherever_power_goes(boards: Callable[[], Board]) -> None:
    """Trials end by cuts alone: the old firmware comes back, whole, and says so."""
    trial = boards()
    bring(trial, "0.1.1")
    first = trial.files.operations
    period(trial, "0.2.0")
    for cut in range(first, trial.files.operations + 6):
        board = boards()
        bring(board, "0.1.1")
        board.files.cut = cut
        for _ in range(8):
            try:
                meter = board.power_up()
                if not board.told(kinds.UPDATE_ACCEPTED) > 1:
                    push(meter, PACKAGES["0.2.0"])
                while meter._work is not None:
                    meter.step()
            except PowerCut:
                continue
        assert board.ran[-1] == "0.1.1"
        if "0.2.0" in board.ran:
            assert 1 <= board.ran.count("0.2.0") <= 3
            assert board.told(kinds.UPDATE_ROLLED_BACK) >= 1
        assert (board.security.major, board.security.minor, board.security.patch) == (0, 1, 1)


def test_a_new_image_is_started_though_a_slot_was_kept(boards: Callable[[], Board]) -> None:
    """Put on by BOOTSEL: what it brings is the factory's from now on, and takes updates again."""
    board = boards()
    bring(board, "0.1.1")
    assert choose(FOLDER, "") == "a"
    assert choose(FOLDER, "aabb") == choose(FOLDER, "aabb") == ""
    assert Slots(FOLDER, "").state["active"] == ""
    slots = Slots(FOLDER, "")
    slots.arm("", "", [0, 0, 0])
    assert choose(FOLDER, "aabb") == "a"
    Slots(FOLDER, "a").commit()
    assert choose(FOLDER, "aabb") == "a"
    assert choose(FOLDER, "ccdd") == ""


@pytest.mark.parametrize("room", [50, 2000, 9000, 12000])
def test_files_that_are_full_refuse_the_update_and_change_nothing(boards: Callable[[], Board], room: int) -> None:
    """While copying the host is told, while unpacking the log; with more room the update goes on."""
    board = boards()
    bring(board, "0.1.1")
    board.files.room = sum(map(len, board.files.data.values())) + room
    meter = board.power_up()
    try:
        push(meter, PACKAGES["0.2.0"])
    except Refusal as refusal:
        assert refusal.code == codes.STORAGE
    while meter._work is not None:
        meter.step()
    assert not meter.restart
    assert board.ran[-1] == "0.1.1"
    board.files.room = 1 << 30
    bring(board, "0.2.0")
    assert board.ran[-1] == "0.2.0"


def test_a_cut_that_is_not_there_is_noticed(boards: Callable[[], Board], monkeypatch: pytest.MonkeyPatch) -> None:
    """What proves nothing if it cannot fail: the slot armed before it is full is found."""
    unpack = Update._unpack

    def hasty(self: Update, header: tuple, start: int, tag: bytes) -> Iterator[None]:
        self._slots.clear()
        self._slots.arm(tag.hex(), self._running().hex(), list(header[6:9]))
        yield from ()

    monkeypatch.setattr(Update, "_unpack", hasty)
    board = boards()
    with pytest.raises((AssertionError, KeyError)):
        bring(board, "0.1.1")
    monkeypatch.setattr(Update, "_unpack", unpack)
    bring(boards(), "0.1.1")
