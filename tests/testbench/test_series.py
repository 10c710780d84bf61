"""Series files: the one that ships is what its source says, and what cannot be used is refused with its line."""

import lzma
from decimal import Decimal
from pathlib import Path

import pytest

from hostlink.errors import UsageError
from testbench import series


def test_the_furnace_is_what_its_source_says() -> None:
    furnace = series.furnace_gas()
    assert (len(furnace.times), furnace.pulses) == (51_210, 2_055)
    assert list(furnace.times) == sorted(set(furnace.times))
    assert furnace.pulses * series.CUBIC_FOOT == Decimal("58191.119746560")


def test_counters_become_pulses(tmp_path: Path) -> None:
    file = tmp_path / "s.csv"
    file.write_text("counter,unix_ts,other\n100.00,1000,x\n100.01,1060,x\n100.01,1120,x\n100.04,1180,x\n")
    found = series.read(file, Decimal("0.01"))
    assert list(found) == [(1000, 0), (1060, 1), (1120, 0), (1180, 3)]
    packed = tmp_path / "s.csv.xz"
    packed.write_bytes(lzma.compress(file.read_bytes()))
    assert list(series.read(packed, Decimal("0.01"))) == list(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "unix_ts missing|counter and unix_ts missing"),
        ("unix_ts,value\n1,2\n", "counter missing"),
        ("unix_ts,counter\n", "at least two rows, got 0"),
        ("unix_ts,counter\n1,2\n", "at least two rows, got 1"),
        ("unix_ts,counter\n1,2\nx,3\n", "line 3: expected numbers, got 'x'"),
        ("unix_ts,counter\n1,2\n2,\n", "line 3: expected numbers"),
        ("unix_ts,counter\n1,2\n2\n", "line 3: expected numbers"),
        ("unix_ts,counter\n1,2\n2,NaN\n", "line 3: expected numbers, got '2', 'NaN'"),
        ("unix_ts,counter\n1,2\n2,Infinity\n", "line 3: expected numbers"),
        ("unix_ts,counter\n1,2\n1,3\n", "line 3: expected time and counter to go up"),
        ("unix_ts,counter\n1,2\n2,1\n", "line 3: expected time and counter to go up"),
        ("unix_ts,counter\n1,2\n2,2.5\n", "line 3: expected whole pulses of 1, got a step of 0.5; check --pulse"),
        ("unix_ts,counter\n-5,2\n2,3\n", "line 2: expected UNIX seconds"),
        ("unix_ts,counter\n1,2\n99999999999,3\n", "line 3: expected UNIX seconds"),
        ("unix_ts,counter\n1,0\n2,4294967296\n", "line 3: expected at most 4294967295 pulses"),
        ("unix_ts,counter\n1,\0\n", "expected"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "s.csv"
    file.write_text(text)
    with pytest.raises(UsageError, match=said) as caught:
        series.read(file, Decimal(1))
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    cut = tmp_path / "cut.csv.xz"
    cut.write_bytes(lzma.compress(b"unix_ts,counter\n1,2\n" * 1000)[:40])
    noise = tmp_path / "noise.csv.xz"
    noise.write_bytes(b"\xff\xfe not xz")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"unix_ts,counter\n\xff\xfe,2\n")
    for path in (tmp_path / "none.csv", tmp_path, cut, noise, binary):
        with pytest.raises(UsageError, match="expected a series of measurements in"):
            series.read(path, Decimal(1))
