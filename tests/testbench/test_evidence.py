"""`tonne verify` with signed statements: what the chain alone does not see, and what is said without a key of one's own."""

import json
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest

from hostlink import archive, fleet, vouching
from hostlink.errors import UsageError
from hostlink.findings import Result
from hostlink.meter import connect
from testbench import evidence
from testbench.demo import gas_profile
from testbench.rigs.unix import UnixRig

START = 1_767_225_600
IMAGE, _ = gas_profile(Decimal(10))
SERIAL = "TONNE-0001"


class Made(NamedTuple):
    """An archive of three days, another of their first records only, and the meter's public key."""

    whole: Path
    cut: Path
    public: bytes


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("evidence")
    whole, cut = folder / "whole", folder / "cut"
    whole.mkdir()
    cut.mkdir()
    with UnixRig(IMAGE, time=START) as rig:
        evidence.provision(rig.url)
        for days in (2, 1):
            for hour in range(24 * days):
                rig.stimulus.pulses(0, 3 + hour)
                rig.clock.advance(3_600_000)
            rig.clock.settle()
            with connect(rig.url, capture=(cut if days == 2 else whole) / "capture.tonne") as meter:
                meter.identify()
                meter.profile()
                found = evidence.collect(meter, list(meter.records()))
    for each in (whole, cut):
        (each / "profile.bin").write_bytes(IMAGE)
        said, key = found.write(each)
        entries = [
            archive.Entry("capture.tonne", archive.CAPTURE, SERIAL),
            archive.Entry("profile.bin", archive.PROFILE),
        ]
        entries += [archive.Entry(path.relative_to(each).as_posix(), archive.STATEMENT, SERIAL) for path in said]
        archive.seal(each, [*entries, archive.Entry(key.name, archive.KEY, SERIAL)], {})
    yield Made(whole, cut, found.public)


def verified(folder: Path, public: bytes | None = None) -> Result:
    planned = fleet.plan([folder], publics=None if public is None else {SERIAL: public})
    for job in planned.jobs:
        planned.result.merge(fleet.run(job))
    return planned.result


def texts(result: Result) -> list[str]:
    return [finding.text for finding in result.faults]


def test_an_archive_holds_under_the_verifiers_own_key(made: Made) -> None:
    result = verified(made.whole, made.public)
    assert texts(result) == []
    assert (result.statements, result.anchored, result.records) == (2, 2, 288)
    assert not [notice for notice in result.notices if "public key" in notice.text]


def test_a_key_out_of_the_archive_is_said_to_be_one(made: Made) -> None:
    result = verified(made.whole)
    assert texts(result) == []
    assert any("the public key came with the archive" in notice.text for notice in result.notices)


def test_a_tail_that_was_cut_off_shows_by_the_signed_head(made: Made) -> None:
    assert texts(verified(made.cut, made.public)) == [
        "records 192 to 287 were signed and are not here: the tail was cut off"
    ]


def test_without_records_every_signed_one_is_missing(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.whole, tmp_path / "bare")
    (tmp_path / "bare/capture.tonne").unlink()
    assert "records 0 to 287 were signed and are not here: the tail was cut off" in texts(
        verified(tmp_path / "bare", made.public)
    )


def test_one_byte_of_a_statement_and_it_does_not_hold(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "altered"
    shutil.copytree(made.whole, folder)
    path = folder / "statements/000001.bin"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    found = texts(verified(folder, made.public))
    assert any("does not hold under key" in text for text in found)


def test_another_meters_key_or_none_vouches_for_nothing(made: Made) -> None:
    other = verified(made.whole, made.public[:-1] + bytes((made.public[-1] ^ 1,)))
    assert [text.split(": ")[1].split(" under")[0] for text in texts(other)] == [
        f"the signature of statement {n} does not hold" for n in (0, 1)
    ]
    planned = fleet.plan([made.whole], publics={})
    for job in planned.jobs:
        planned.result.merge(fleet.run(job))
    assert any("no public key to verify them with" in notice.text for notice in planned.result.notices)


def test_a_file_that_is_no_list_of_keys_is_told(tmp_path: Path) -> None:
    path = tmp_path / "public.json"
    for text in ("", "[]", '{"meters": 3}', json.dumps({"meters": {"A": "xyz"}})):
        path.write_text(text)
        with pytest.raises(UsageError, match="tonne keys show-public"):
            vouching.publics(path)
