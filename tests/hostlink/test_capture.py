"""Captures: what is written comes back, whatever is cut off, flipped or joined; sessions record themselves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostlink import capture
from hostlink.capture import NOTE, OPEN, RX, TX, Entry, parse
from hostlink.errors import DataError, UsageError
from hostlink.meter import connect
from hostlink.resend import exchanges
from testbench.demo import gas_profile
from testbench.rigs.unix import UnixRig
from testbench.series import CUBIC_FOOT

ENTRIES = st.lists(
    st.tuples(st.sampled_from([TX, RX, NOTE]), st.binary(max_size=300), st.integers(0, 2**63), st.integers(0, 2**63)),
    max_size=8,
)


def plain(entries: list[Entry]) -> list[tuple]:
    return [(e.kind, bytes(e.data), e.monotonic, e.utc) for e in entries]


@given(ENTRIES)
def test_round_trip(entries: list[tuple]) -> None:
    got = parse(b"".join(capture.pack(*entry) for entry in entries))
    assert plain(got.entries) == entries
    assert not got.refused


@given(ENTRIES, st.integers(0, 3000))
def test_cut_anywhere_keeps_all_whole_entries(entries: list[tuple], cut: int) -> None:
    packed = [capture.pack(*entry) for entry in entries]
    data = b"".join(packed)
    cut = min(cut, len(data))
    whole = 0
    while whole < len(packed) and sum(map(len, packed[: whole + 1])) <= cut:
        whole += 1
    got = parse(data[:cut])
    if not got.plain:
        assert plain(got.entries) == entries[:whole]
        assert sum(r.size for r in got.refused) == cut - sum(map(len, packed[:whole]))


@given(ENTRIES, st.data())
def test_every_byte_is_an_entry_or_refused(entries: list[tuple], data: st.DataObject) -> None:
    """One flipped byte costs the entry it is in, never another, and every byte is accounted for."""
    packed = [capture.pack(*entry) for entry in entries if entry[1]]
    image = bytearray(b"".join(packed))
    if len(packed) < 2:
        return
    at = data.draw(st.integers(0, len(image) - 1))
    image[at] ^= data.draw(st.integers(1, 255))
    got = parse(bytes(image))
    hit = next(n for n in range(len(packed)) if at < sum(map(len, packed[: n + 1])))
    kept = [entry for entry in entries if entry[1]]
    assert plain(got.entries) == kept[:hit] + kept[hit + 1 :]
    assert sum(r.size for r in got.refused) == len(packed[hit])


def test_plain_log_and_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "log.raw"
    path.write_bytes(b"\x00any bytes\x00")
    got = capture.load(path)
    assert got.plain and bytes(got.stream(RX).data) == b"\x00any bytes\x00"
    path.write_bytes(b"")
    assert capture.load(path).entries == []


def test_newer_version_is_refused_with_what_to_do() -> None:
    body = capture.ENTRY.pack(capture.MAGIC, 2, RX, 0, 0, 0, 0)
    with pytest.raises(DataError, match="version 1, got version 2; update"):
        parse(body + capture.CRC.pack(capture.crc32(body)))


def test_offsets_lead_back_into_the_file() -> None:
    data = capture.pack(RX, b"abc", 1, 1) + capture.pack(TX, b"x", 2, 2) + capture.pack(RX, b"defg", 3, 3)
    stream = parse(data).stream(RX)
    assert bytes(stream.data) == b"abcdefg"
    for n, byte in enumerate(b"abcdefg"):
        assert data[stream.file_offset(n)] == byte
    assert [stream.entry(n).utc for n in range(7)] == [1, 1, 1, 3, 3, 3, 3]


def test_unwritable_place(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="choose another place"), connect("loop://", capture=tmp_path):
        pass


def test_session_is_captured_and_replays_into_a_simulated_meter(tmp_path: Path) -> None:
    """`tonne read --capture` twice appends; `tonne replay` asks a fresh meter the same and hears the same."""
    image, _ = gas_profile(CUBIC_FOOT)
    path = tmp_path / "session.tonne"
    with UnixRig(image, time=1_767_225_600) as rig:
        for _ in range(2):
            tonne("read", "--port", rig.url, "--capture", str(path))
        got = capture.load(path)
        assert got.ports == [rig.url, rig.url]
        assert [e.message for e in exchanges(got)] == [1, 3, 1, 3]
        opened = json.loads(bytes(got.entries[0].data))
        assert opened["port"] == rig.url and got.entries[0].kind == OPEN
        times = [e.utc for e in got.entries]
        assert times == sorted(times) and times[0] > 1_600_000_000 * 10**9
    with UnixRig(image, time=1_767_225_600) as rig:
        assert "4 answered as in session.tonne, 0 otherwise" in tonne("replay", str(path), "--port", rig.url)
        rig.stimulus.pulses(0, 7)
        rig.clock.settle()
        assert "2 otherwise" in tonne("replay", str(path), "--port", rig.url, code=1)


def tonne(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("tonne")), *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout
