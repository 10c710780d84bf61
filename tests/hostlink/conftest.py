"""The station's book, empty."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hostlink.flash.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    book = Ledger(tmp_path / "units.sqlite")
    yield book
    book.close()
