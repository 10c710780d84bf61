"""Questions to decoded fleets, and restatement, against plain integers over the same records."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from hostlink import decoding, query
from hostlink.errors import ProofError, UsageError
from hostlink.profile.image import Channel, ProfileImage, Register, Term
from hostlink.restate import restate
from hostlink.verify import Shard
from protocol import registers as r
from protocol.image import Image
from testbench.synthesize import faults
from testbench.synthesize.fleet import START
from testbench.synthesize.meter import SHAPE, Meter, link, make, profile, session

DAYS = 40


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Meter], list[faults.Planted]]:
    """Three meters over two months: one clean, one with a gap, one whose register was altered; the first read twice."""
    folder = tmp_path_factory.mktemp("query")
    meters, planted = {}, []
    for n, kind in enumerate(("", "gap", "tamper")):
        random = np.random.default_rng(n)
        meter = make(f"Q-{n}", DAYS, START, random)
        if kind == "tamper":
            meter.rows["register0"]["whole"][2000] += 10**9
            link(meter)
        elif kind:
            planted.append(faults.plant(kind, meter, random))
        else:
            link(meter)
        meters[meter.serial] = meter
        (folder / f"{n}.tonne").write_bytes(session(meter, START))
        decoding.decode_file(folder / f"{n}.tonne", folder / "columns")
    meters["Q-0"].read = list(range(1000))
    (folder / "again.tonne").write_bytes(session(meters["Q-0"], START))
    decoding.decode_file(folder / "again.tonne", folder / "columns")
    return folder / "columns", meters, planted


def values(meter: Meter) -> list[int]:
    column = meter.rows["register0"]
    return [w << 64 | f for w, f in zip(column["whole"].tolist(), column["fraction"].tolist(), strict=True)]


def test_totals_per_meter_and_month(fleet: tuple[Path, dict[str, Meter], list[faults.Planted]]) -> None:
    folder, meters, _ = fleet
    got = {(row["meter"], row["month"]): row for row in query.ask(folder, "totals").to_pylist()}
    january = 31 * 96
    for serial in ("Q-0", "Q-2"):
        ends = values(meters[serial])
        for month, gained in (("2026-01", ends[january - 1]), ("2026-02", ends[-1] - ends[january - 1])):
            row = got[serial, month]
            assert (row["quantity"], row["unit"]) == ("CO2 emitted", "1e-3 g")
            assert int(row["gained"]) << 64 | int(row["gained_fraction"]) == gained
    assert got["Q-0", "2026-01"]["records"] == january, "what was read twice is there once"


def test_gaps_and_monotonicity(fleet: tuple[Path, dict[str, Meter], list[faults.Planted]]) -> None:
    folder, _, planted = fleet
    gaps = [(row["meter"], row["first"], row["last"]) for row in query.ask(folder, "gaps").to_pylist()]
    assert gaps == [(fault.meter, fault.first, fault.last) for fault in planted]
    down = query.ask(folder, "monotonicity").to_pylist()
    assert [(row["meter"], row["sequence"]) for row in down] == [("Q-2", 2001)]


def test_meters_and_sql(fleet: tuple[Path, dict[str, Meter], list[faults.Planted]]) -> None:
    folder, meters, planted = fleet
    counts = {row["meter"]: row["records"] for row in query.ask(folder, "meters").to_pylist()}
    missing = planted[0].last - planted[0].first + 1
    assert counts == {"Q-0": 96 * DAYS, "Q-1": 96 * DAYS - missing, "Q-2": 96 * DAYS}
    total = query.ask(folder, "select sum(register0_whole) as total from records where meter = 'Q-0'").to_pylist()
    assert int(total[0]["total"]) == sum(meters["Q-0"].rows["register0"]["whole"].tolist())
    with pytest.raises(UsageError, match="expected one of totals, gaps"):
        query.ask(folder, "select nothing from nowhere")
    with pytest.raises(UsageError, match="expected shards"):
        query.ask(folder / "none", "totals")


def restated(factor: int) -> bytes:
    """The fleet's profile with another constant, and a second register."""
    old = profile()
    return ProfileImage(
        "restated",
        [Channel(q, u, e, m, limit, d) for q, d, u, e, m, limit in old.channels],
        [Register(*old.registers[0]), Register(r.CH4, r.EMITTED, r.GRAM, -3)],
        [Term(0, 0, factor, 1), Term(0, 1, 77, 0)],
    ).pack()


def test_restated_totals_are_counts_times_the_new_constant(
    fleet: tuple[Path, dict[str, Meter], list[faults.Planted]], tmp_path: Path
) -> None:
    folder, meters, _ = fleet
    factor = 3 * profile().terms[0][4] // 2
    (tmp_path / "new.bin").write_bytes(restated(factor))
    source = next(folder.parent.glob("0.tonne"))
    before = {p: p.read_bytes() for p in folder.rglob("*.parquet")}
    tonne("restate", str(source), "--profile", str(tmp_path / "new.bin"), "-o", str(folder), "--since", "2026-01-02")
    assert {p: p.read_bytes() for p in folder.rglob("*.parquet")} == before, "old records stay"
    (made,) = (folder / query.RESTATEMENTS).iterdir()
    record = json.loads(made.read_text())
    assert record["old_profile"] == profile().fingerprint.hex()
    assert record["new_profile"] == Image(restated(factor)).fingerprint.hex()
    quanta = int(meters["Q-0"].rows["increment0"][96:].sum())
    rows = {row["quantity"]: row for row in record["registers"]}
    assert int(rows["CO2 emitted"]["old_gain"]) == quanta * profile().terms[0][4] << 32
    assert int(rows["CO2 emitted"]["new_gain"]) == quanta * factor << 32
    assert int(rows["CH4 emitted"]["new_gain"]) == quanta * 77 and rows["CH4 emitted"]["old_gain"] == "0"
    words, unit = rows["CO2 emitted"]["correction"].split()
    assert Fraction(words) * 1000 == Fraction(quanta * (factor - profile().terms[0][4]), 1 << 32) and unit == "g"
    asked = query.ask(folder, "restated").to_pylist()
    assert {int(row["correction"]) for row in asked} == {
        quanta * (factor - profile().terms[0][4]) << 32,
        quanta * 77,
    }


def test_records_that_do_not_prove_are_not_restated(fleet: tuple[Path, dict[str, Meter], list[faults.Planted]]) -> None:
    _, meters, _ = fleet
    images = {profile().fingerprint[:8]: bytes(profile().data)}
    new = Image(restated(1000))
    with pytest.raises(ProofError, match="expected records that prove"):
        restate(Shard("Q-2", {SHAPE: meters["Q-2"].rows}, images), new)
    with pytest.raises(UsageError, match="without it its gain is not known"):
        restate(Shard("Q-0", {SHAPE: meters["Q-0"].rows[5:]}, images), new)
    assert len(restate(Shard("Q-0", {SHAPE: meters["Q-0"].rows[5:]}, images), new, since=START + 900 * 6)) == 1
    channel = Channel(r.ENERGY, r.WATT_HOUR, 0, 1, 1000)
    other = ProfileImage("o", [channel], [Register(r.CO2, r.EMITTED, r.GRAM, -3)], [Term(0, 0, 5, 0)]).pack()
    with pytest.raises(UsageError, match="only factors can be restated"):
        restate(Shard("Q-0", {SHAPE: meters["Q-0"].rows}, images), Image(other))


def test_one_meter_that_does_not_prove_keeps_no_other_from_being_restated(
    fleet: tuple[Path, dict[str, Meter], list[faults.Planted]], tmp_path: Path
) -> None:
    folder, _, _ = fleet
    (tmp_path / "new.bin").write_bytes(restated(1000))
    files = [str(folder.parent / f"{n}.tonne") for n in (0, 2)]
    said = tonne("restate", *files, "--profile", str(tmp_path / "new.bin"), "-o", str(tmp_path / "out"), code=1)
    assert "not restated: Q-2" in said
    assert [path.name[:3] for path in (tmp_path / "out" / query.RESTATEMENTS).iterdir()] == ["Q-0"]


def test_commands(fleet: tuple[Path, dict[str, Meter], list[faults.Planted]]) -> None:
    folder, _, _ = fleet
    assert "Q-1" in tonne("query", str(folder), "gaps")
    assert json.loads(tonne("query", str(folder), "meters", "--format", "json"))[0]["meter"] == "Q-0"
    assert tonne("query", str(folder), "select 1 as one", "--format", "csv").splitlines() == ['"one"', "1"]
    image = str(next((folder / "_profiles").glob("*.bin")))
    assert "expected a day" in tonne("restate", str(folder), "--profile", image, "-o", "x", "--since", "May", code=2)
    assert "expected a profile image" in tonne("restate", str(folder), "--profile", "none.bin", "-o", "x", code=2)


def tonne(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("tonne")), *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr
