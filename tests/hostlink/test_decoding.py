"""Captures to columns: every byte of a record comes back; a killed or failed run leaves nothing that looks whole."""

import csv
import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hostlink import capture, decoding, exact, extract, shards
from hostlink.columns import record_dtype
from hostlink.errors import DataError, UsageError
from protocol import frame, messages, records

SHAPE = (1, 1, 2)


def identity(serial: str, address: int) -> bytes:
    body = messages.IDENTITY.pack(1, serial.encode(), b"", 0, 1, 0, bytes(32), bytes(32), *SHAPE, 900)
    return frame.encode(address, frame.CONTROL_REPLY, 0, messages.IDENTIFY, body)


def rows(count: int, seed: int = 0, start: int = 1_769_900_000) -> np.ndarray:
    """Records of any content, numbered and timed, over the end of a month."""
    found = np.frombuffer(np.random.default_rng(seed).bytes(count * records.size(*SHAPE)), record_dtype(SHAPE)).copy()
    found["sequence"] = np.arange(count)
    found["start"] = start + 900 * np.arange(count)
    return found


def replies(found: np.ndarray, address: int, per_frame: int = 9) -> bytes:
    data = b""
    for at in range(0, len(found), per_frame):
        part = found[at : at + per_frame]
        head = messages.RECORDS_REPLY.pack(at, 0, len(found), len(part), *SHAPE)
        data += frame.encode(address, frame.CONTROL_REPLY, at & 255, messages.RECORDS, head + part.tobytes())
    return data


def write_log(path: Path, meters: dict[str, np.ndarray]) -> None:
    """A plain log of a line with several meters that answer in turns."""
    data = b""
    parts = []
    for address, (serial, found) in enumerate(meters.items(), 1):
        data += identity(serial, address)
        parts.append([replies(found[at : at + 9], address) for at in range(0, len(found), 9)])
    for turn in range(max(map(len, parts))):
        data += b"".join(part[turn] for part in parts if turn < len(part))
    path.write_bytes(data)


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def read_all(folder: Path, meter: str) -> bytes:
    parts = sorted(folder.glob(f"meter={meter}/month=*/*.parquet"))
    return b"".join(shards.records(pq.read_table(path, partitioning=None))[1].tobytes() for path in parts)


def test_mixed_meters_come_apart_byte_for_byte(tmp_path: Path) -> None:
    meters = {"A-1": rows(500, 1), "B-2": rows(300, 2), "C/3": rows(31, 3)}
    write_log(tmp_path / "line.raw", meters)
    done = decoding.decode_file(tmp_path / "line.raw", tmp_path / "out")
    assert done == (831, 0, False)
    assert read_all(tmp_path / "out", "A-1") == meters["A-1"].tobytes()
    assert read_all(tmp_path / "out", "C_3") == meters["C/3"].tobytes()
    assert {p.name for p in (tmp_path / "out").glob("meter=A-1/*")} == {"month=2026-01", "month=2026-02"}


@given(arrays.arrays("u1", st.integers(0, 40).map(lambda n: n * records.size(*SHAPE))))
def test_table_and_back(data: np.ndarray) -> None:
    found = data.view(record_dtype(SHAPE))
    shape, back = shards.records(shards.table(found, shards.schema(SHAPE, "m")))
    assert shape == SHAPE and back.tobytes() == found.tobytes()


def test_text_formats_say_the_same(tmp_path: Path) -> None:
    found = rows(100)
    write_log(tmp_path / "line.raw", {"A": found})
    for form in ("csv", "jsonl"):
        decoding.decode_file(tmp_path / "line.raw", tmp_path / "out", form)
    lines = [line for path in sorted(tmp_path.glob("out/meter=A/*/*.jsonl")) for line in path.read_text().splitlines()]
    got = [json.loads(line) for line in lines]
    assert [g["register1_whole"] for g in got] == found["register1"]["whole"].tolist()
    assert [g["register1_fraction"] for g in got] == found["register1"]["fraction"].tolist()
    read = [row for p in sorted(tmp_path.glob("out/meter=A/*/*.csv")) for row in csv.DictReader(p.open(newline=""))]
    assert [int(row["index0"]) for row in read] == found["index0"].tolist()
    assert [row["link"] for row in read] == [record.tobytes()[-4:].hex() for record in found]


def test_refused_runs_are_kept_with_offset_and_reason(tmp_path: Path) -> None:
    good = identity("A", 1) + replies(rows(90), 1)
    modbus = bytes.fromhex("010300000002c40b")
    meter_bus = bytes.fromhex("680808680800723412785603041016")
    dlt645 = bytes.fromhex("fefefefe6861010000000068910833333433333333338a16")
    wrong = messages.RECORDS_REPLY.pack(0, 0, 9, 9, *SHAPE) + b"too short"
    lying = frame.encode(1, frame.CONTROL_REPLY, 0, messages.RECORDS, wrong)
    data = good + modbus + good + meter_bus + good + dlt645 + good + lying + good[:-30]
    (tmp_path / "mixed.raw").write_bytes(data)
    done = decoding.decode_file(tmp_path / "mixed.raw", tmp_path / "out")
    about = json.loads(next((tmp_path / "out/_inputs").iterdir()).read_text())
    assert done.refused == len(about["refused"])
    reasons = [each["reason"] for each in about["refused"]]
    assert reasons.count("shape") == 1 and reasons.count("cut") == 1
    for each in about["refused"]:
        assert data[each["offset"] : each["offset"] + each["size"]].hex() == each["data"]
    first = about["refused"][0]
    assert (first["offset"], first["data"]) == (len(good), "0103"), "the Modbus request up to its first zero"
    refused = bytes.fromhex("".join(each["data"] for each in about["refused"]))
    for foreign in (modbus, meter_bus, dlt645):
        assert foreign.replace(b"\0", b"") in refused.replace(b"\0", b""), "every byte of another protocol is kept"
    assert done.records == 4 * 90 + 81, "what stood between cost no record; the last reply was cut"


def test_again_gives_the_same_and_repeats_nothing(tmp_path: Path) -> None:
    write_log(tmp_path / "line.raw", {"A": rows(200), "B": rows(200)})
    decoding.decode_file(tmp_path / "line.raw", tmp_path / "one")
    first = tree(tmp_path / "one")
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "one").rglob("*.parquet")}
    assert decoding.decode_file(tmp_path / "line.raw", tmp_path / "one").was_done
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "one").rglob("*.parquet")} == times
    decoding.decode_file(tmp_path / "line.raw", tmp_path / "two", memory=1)
    write_log(tmp_path / "line2.raw", {"A": rows(200), "B": rows(200)})
    decoding.decode_file(tmp_path / "line2.raw", tmp_path / "three")
    assert tree(tmp_path / "three").keys() == first.keys()
    assert {k: v for k, v in tree(tmp_path / "three").items() if k.endswith("t")} == {
        k: v for k, v in first.items() if k.endswith("t")
    }
    assert read_all(tmp_path / "two", "A") == read_all(tmp_path / "one", "A"), "bounded memory, the same records"


def test_killed_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for n in range(12):
        write_log(tmp_path / f"in/{n:02}.raw", {f"M{n}": rows(1500, n), f"N{n}": rows(700, 50 + n)})
    command = [str(Path(sys.executable).with_name("tonne")), "decode", str(tmp_path / "in"), "-o"]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    killed = subprocess.Popen([*command, str(tmp_path / "out")], stdout=subprocess.PIPE)
    while len(list(tmp_path.glob("out/_inputs/*.json"))) < 3 and killed.poll() is None:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    done = len(list(tmp_path.glob("out/_inputs/*.json")))
    assert 3 <= done < 12
    again = subprocess.run([*command, str(tmp_path / "out")], check=True, capture_output=True, text=True)
    assert f"{done} files done before" in again.stdout
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_full_disk_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    write_log(tmp_path / "line.raw", {"A": rows(20_000)})

    def little() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = [
        str(Path(sys.executable).with_name("tonne")),
        "decode",
        str(tmp_path / "line.raw"),
        "-o",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=little)
    assert done.returncode == 2 and "what is whole stays, start again" in done.stderr and "Traceback" not in done.stderr
    for name in tree(tmp_path / "out"):
        if not name.endswith(decoding.TEMPORARY):
            shards.records(pq.read_table(tmp_path / "out" / name, partitioning=None))
    assert not list(tmp_path.glob("out/_inputs/*.json"))
    subprocess.run(command, check=True, capture_output=True)
    assert read_all(tmp_path / "out", "A") == rows(20_000).tobytes()


def test_unwritable_and_missing(tmp_path: Path) -> None:
    write_log(tmp_path / "line.raw", {"A": rows(9)})
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UsageError, match="expected to write to"):
        decoding.decode_file(tmp_path / "line.raw", tmp_path / "out")
    with pytest.raises(UsageError, match="no such file"):
        decoding.inputs([tmp_path / "nothing"])


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    table = shards.table(rows(9), shards.schema(SHAPE, "m"))
    newer = table.replace_schema_metadata({**(table.schema.metadata or {}), b"tonne.schema": b"2"})
    with pytest.raises(DataError, match="schema version 1, got version 2"):
        shards.records(newer)
    with pytest.raises(DataError, match="got none"):
        shards.records(table.replace_schema_metadata({}))


def test_truncated_capture_keeps_whole_entries(tmp_path: Path) -> None:
    data = b"".join(
        capture.pack(capture.RX, part, n, n) for n, part in enumerate([identity("A", 1), replies(rows(90), 1)] * 2)
    )
    (tmp_path / "cut.tonne").write_bytes(data[:-100])
    source = extract.load(tmp_path / "cut.tonne")
    assert [each.reason for each in source.refused] == ["cut"]
    assert sum(len(piece.rows) for piece in source.pieces()) == 90


def test_units_are_in_the_metadata(tmp_path: Path) -> None:
    write_log(tmp_path / "line.raw", {"A": rows(9)})
    decoding.decode_file(tmp_path / "line.raw", tmp_path / "out")
    found = pq.read_schema(next(tmp_path.glob("out/meter=A/*/*.parquet")))
    assert found.metadata[b"tonne.schema"] == b"1"
    assert found.field("start").metadata == {b"unit": b"s"}
    assert found.field("increment0").metadata == {b"unit": b"quantum"}


def test_others_wrap_silently_and_ours_does_not() -> None:
    """Three registers of 2**62: every engine but DuckDB's HUGEINT gets a wrong sum without a word."""
    column = np.full(3, 1 << 62, "u8")
    wrong = 3 * (1 << 62) - (1 << 64)
    assert int(column.astype("i8").sum()) == wrong
    assert pc.sum(pa.array(column.astype("i8"))).as_py() == wrong
    assert pl.Series(column.astype("i8")).sum() == wrong
    six = np.full(6, 1 << 62, "u8")
    assert int(six.sum()) == pc.sum(pa.array(six)).as_py() == pl.Series(six).sum() == 6 * (1 << 62) - (1 << 64)
    assert exact.total(column) == 3 << 62
    assert exact.total(six) == 6 << 62
    registers = pa.table({"v": six})
    assert len(registers) == 6 and duckdb.sql("select sum(v) from registers").fetchone() == (6 << 62,)


@given(st.lists(st.integers(0, 2**128 - 1), max_size=50))
def test_exact_sums(values: list[int]) -> None:
    whole = np.array([value >> 64 for value in values], "u8")
    fraction = np.array([value & (1 << 64) - 1 for value in values], "u8")
    assert exact.total128(whole, fraction) == sum(values)
