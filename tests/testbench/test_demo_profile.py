"""A profile and a series of one's own: what `tonne demo --profile --series` takes, and what it refuses."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hostlink.cli import app
from hostlink.errors import UsageError
from hostlink.profile import ready
from testbench.series import columns


def rows(text: str, tmp_path: Path) -> Path:
    path = tmp_path / "series.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("unix_ts,gas,pressure\n1,1,1\n2,1,1\n", ["missing: temperature"]),
        ("unix_ts,gas,pressure [bar],temperature [m]\n1,1,1,1\n2,1,1,1\n", ["temperature", "length"]),
        ("unix_ts,gas,pressure,temperature\n1,1.5,1,1\n2,1,1,1\n", ["line 2", "whole counts"]),
        ("unix_ts,gas,pressure,temperature\n2,1,1,1\n2,1,1,1\n", ["line 3", "time to go up"]),
        ("unix_ts,gas,pressure,temperature\n1,1,1,1\n2,-1,1,1\n", ["line 3", "since the row before"]),
        ("unix_ts,gas,pressure,temperature\n1,1,1,1\n", ["two rows"]),
    ],
)
def test_a_bad_series_is_refused_with_its_line(text: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        columns.read(rows(text, tmp_path), ready.load("natural-gas-pt"))
    for word in words:
        assert word in str(caught.value)


def test_units_in_a_heading(tmp_path: Path) -> None:
    text = "# a comment\nunix_ts,gas,temperature [°C],pressure [bar]\n1,0,15,2\n2,3,,0.1\n"
    feed = columns.read(rows(text, tmp_path), ready.load("natural-gas-pt"))
    assert feed.counts == ((0,), (3,))
    assert feed.inputs == ((200_000, 28_815), (10_000, None))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    yield tmp_path


def test_the_demo_of_a_file_of_ones_own(here: Path) -> None:
    (here / "site.toml").write_text(ready.text("co2-capture").replace("0.5 %", "0.4 %"))
    (here / "site.csv").write_text("unix_ts,stream,vented,purity\n1772323200,100,0,0.99\n1772324100,50,1,0.98\n")
    done = CliRunner().invoke(app(), ["demo", "--profile", "site.toml", "--series", "site.csv"])
    assert done.exit_code == 0, done.output
    assert "CO2 removed" in done.output and "proved" in done.output
    assert {p.name for p in (here / "out/demo").iterdir()} >= {"result.json", "records.parquet", "certificate.json"}


def test_the_demo_says_what_it_lacks(here: Path) -> None:
    (here / "site.toml").write_text(ready.text("co2-capture"))
    done = CliRunner().invoke(app(), ["demo", "--profile", "site.toml"])
    assert "--series" in str(done.exception)
    done = CliRunner().invoke(app(), ["demo", "--profile", "stack", "--pulse", "10"])
    assert "--pulse" in str(done.exception)
