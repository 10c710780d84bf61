"""Faulty meters: every defect applies to the firmware as it is, and some are killed here (`make defects`: all)."""

import json
import tempfile
from pathlib import Path

import pytest

from testbench import defects
from testbench.conformance import profiles
from testbench.conformance.bench import START
from testbench.defects.kill import kill
from testbench.defects.ledger import Ledger
from testbench.rigs.unix import UnixRig

ALL = defects.collection()
SAMPLE = ("carry-truncated", "crc-unchecked", "counted-twice-across-a-set")


def test_the_collection_is_large_and_its_names_are_its_own() -> None:
    names = [defect.name for defect in ALL]
    assert len(names) >= 60 and len(set(names)) == len(names)
    assert all(defect.what and defect.cause and defect.first for defect in ALL)


def test_every_defect_applies_and_is_a_meter_that_runs(tmp_path: Path) -> None:
    """One that ends itself would be found, but not for what it says of itself."""
    defects.copy_device(tmp_path)
    image = profiles.named("natural-gas").image
    for defect in ALL:
        clean = {file: (tmp_path / file).read_text() for file, _, _ in defect.edits}
        defects.apply(defect, tmp_path)
        assert all((tmp_path / file).read_text() != text for file, text in clean.items())
        with UnixRig(image, root=tmp_path, time=START) as rig:
            rig.pulses(0, 150)
            rig.advance(1_000_000)
            rig.pulses(0, 7)
            rig.settle()
        for file, text in clean.items():
            (tmp_path / file).write_text(text)


def test_a_defect_that_does_not_apply_is_an_error() -> None:
    defect = defects.Defect("x", "y", (("firmware/meter.py", "no such text", ""),), ("flow",), ("flow.error",))
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.raises(defects.DoesNotApply, match=r"once in firmware/meter\.py, found 0 times"),
    ):
        defects.copy_device(Path(folder) / "device")
        defects.apply(defect, Path(folder) / "device")


@pytest.mark.parametrize("name", SAMPLE)
def test_the_suites_find_it_and_name_its_cause(name: str) -> None:
    (defect,) = defects.chosen([name])
    outcome = kill(defect)
    assert outcome.named(defect) and not outcome.whole, outcome.failed


def test_the_table_in_the_documentation_is_of_this_collection() -> None:
    """`make defects` wrote it: every defect, each found by a check that names its cause."""
    text = (Path(defects.__file__).parents[2] / "docs/defects.md").read_text(encoding="utf-8")
    rows = {row[1].strip(): row[3].strip() for row in (line.split("|") for line in text.splitlines() if "|" in line)}
    for defect in ALL:
        assert rows.get(defect.name) in defect.cause, f"{defect.name}: `make defects` writes the table anew"
    assert f"killed {len(ALL)} of {len(ALL)} defects" in text


def test_what_was_run_is_kept_and_counts_for_its_state_only(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    Ledger(path).add("one", {"seconds": 1})
    other = json.loads(path.read_text()) | {"name": "two", "firmware": "another"}
    with path.open("a") as file:
        file.write(json.dumps(other) + "\n")
    assert list(Ledger(path).rows) == ["one"] and len(path.read_text().splitlines()) == 2


def test_causes_are_checks_that_there_are() -> None:
    """A cause that no suite ever measures could never be named."""
    suites = Path(defects.__file__).parents[1] / "conformance/suites"
    written = "".join(path.read_text() for path in suites.glob("*.py")) + (suites.parent / "plugin.py").read_text()
    for defect in ALL:
        for cause in defect.cause:
            assert f'"{cause}"' in written, f"{defect.name}: no check is named {cause}"
