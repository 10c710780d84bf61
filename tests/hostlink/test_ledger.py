"""The book of units: serial numbers, failures with their reasons, files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostlink.errors import UsageError
from hostlink.flash.ledger import FAILED, PASSED, RUNNING, Ledger, label


def test_a_unit_keeps_its_serial_number_and_the_next_gets_the_next(ledger: Ledger) -> None:
    first = ledger.begin("aa", "/dev/ttyACM0", "TN-{:06d}")
    second = ledger.begin("bb", "/dev/ttyACM1", "TN-{:06d}")
    again = ledger.begin("aa", "/dev/ttyACM7", "TN-{:06d}")
    assert [unit.serial for unit in (first, second, again)] == ["TN-000001", "TN-000002", "TN-000001"]
    assert (again.attempts, again.port) == (2, "/dev/ttyACM7")
    assert [unit.result for unit in ledger.units()] == [RUNNING, RUNNING]


def test_a_failure_and_its_reason_stay_in_the_book_until_the_unit_passes(ledger: Ledger, tmp_path: Path) -> None:
    unit = ledger.begin("aa", "p", "TN-{:06d}")
    unit.result, unit.step, unit.reason = FAILED, "copy", "the board's filesystem is full"
    ledger.save(unit)
    book = Ledger(tmp_path / "units.sqlite")
    (kept,) = book.units()
    assert (kept.result, kept.step, kept.reason) == (FAILED, "copy", "the board's filesystem is full")
    assert kept.finished
    unit = book.begin("aa", "p", "TN-{:06d}")
    unit.result, unit.detail = PASSED, {"firmware": "0.1.0", "software": "0123456789abcdef", "address": 1}
    book.save(unit)
    assert (book.units()[0].reason, book.units()[0].attempts) == ("", 2)
    assert "TN-000001" in label(unit) and "01234567" in label(unit)
    book.close()


def test_one_serial_number_is_never_two_units(ledger: Ledger) -> None:
    ledger.begin("aa", "p", "TN-7")
    with pytest.raises(UsageError, match="TN-7 belongs to another board"):
        ledger.begin("bb", "p", "TN-7")


def test_a_file_that_is_no_book_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "units.sqlite"
    path.write_bytes(b"no database at all, but some text that is long enough to be read" * 20)
    with pytest.raises(UsageError, match="expected a station's records"):
        Ledger(path)


# Bad input
