"""The main job as a user starts it: it proves every milligram, and ends non-zero if one is missing."""

import csv
import json
import os
import shutil
import subprocess
import sysconfig
from decimal import Decimal
from pathlib import Path

import pytest

from hostlink import capture
from protocol.deframer import Deframer

ROOT = Path(__file__).parents[2]
TONNE = Path(sysconfig.get_path("scripts")) / "tonne"


def demo(*arguments: object, root: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"COLUMNS": "160", "NO_COLOR": "1"} | ({"PYTHONPATH": str(root)} if root else {})
    return subprocess.run(
        [str(TONNE), "demo", *map(str, arguments)],
        capture_output=True, text=True, timeout=240, check=False, env=environment,
    )  # fmt: skip


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    done = demo("--out", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 (+1.2e-08)" in done.stdout and "NOT proved" not in done.stdout and "proved" in done.stdout
    return folder


def test_the_furnace_is_proved_to_the_milligram(out: Path) -> None:
    result = json.loads((out / "result.json").read_text())
    assert result["proved"] is True and result["findings"] == []
    assert result["quanta"] == {"gas": 2055}
    # 389.31 GJ/10⁴ m³ · 0.0153 tC/GJ · 0.99 · 44/12 of 58.19111974656 m³, by hand
    exact = Decimal("389.31") / 10000 * Decimal("0.0153") * Decimal("0.99") * 44 / 12 * 10**9 * Decimal("58.19111974656")
    assert abs(Decimal(result["headline_mg"]) - exact) < 1
    assert abs(Decimal(result["difference_mg"])) < 1
    assert abs(Decimal(result["largest_difference_mg"])) < 1
    assert result["retries"] == 0


def test_what_it_leaves_behind_agrees_with_itself(out: Path) -> None:
    import pyarrow.parquet as pq

    result = json.loads((out / "result.json").read_text())
    with (out / "records.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == result["records"] > 3000
    assert sum(int(row["gas"]) for row in rows) == int(rows[-1]["gas_index"]) == 2055
    table = pq.read_table(out / "records.parquet")
    assert table.num_rows == len(rows)
    assert table.column("gas").to_pylist() == [int(row["gas"]) for row in rows]
    recorded = capture.load(out / "capture.tonne")
    for direction in (capture.TX, capture.RX):
        frames = sum(1 for _ in Deframer().feed(bytes(recorded.stream(direction).data)))
        assert frames >= result["requests"]
    assert (out / "plot.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_any_series_with_its_pulse_size(tmp_path: Path) -> None:
    """Two hours of pulses of 10 dm³, and one row of a million."""
    file = tmp_path / "own.csv"
    counter = Decimal(500)
    lines = ["unix_ts,counter"]
    for n in range(120):
        counter += 10 * (n % 7) + (10_000_000 if n == 60 else 0)
        lines.append(f"{1_700_000_000 + 60 * n},{counter}")
    file.write_text("\n".join(lines) + "\n")
    done = demo("--series", file, "--pulse", "10", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    expected = 1_000_000 + sum(n % 7 for n in range(1, 120))
    assert json.loads((tmp_path / "out/result.json").read_text())["quanta"] == {"gas": expected}


SABOTAGE = {
    "a milligram is lost once": (
        "firmware/integrator.py",
        "    def add(self):",
        "    done = False\n\n    def add(self):\n        low = self.accumulators_at + 4\n"
        "        if not self.done and self.state[low] > 1000:\n            self.done = True\n            self.state[low] -= 1\n"
        "        return self._add()\n\n    def _add(self):",
    ),
    "a pulse is lost": (
        "firmware/boards/unix.py",
        "        count = self.waiting\n",
        "        count = self.waiting\n        self.seen = getattr(self, 'seen', 0) + (1 if count else 0)\n"
        "        if self.seen == 9 and count:\n            self.seen += 1\n            count -= 1\n            self.waiting = 0\n",
    ),
    "the fraction is dropped": (
        "firmware/integrator.py",
        "    def add(self):",
        "    def add(self):\n        for n in range(4):\n            self.state[self.accumulators_at + n] = 0\n"
        "        return self._add()\n\n    def _add(self):",
    ),
}


@pytest.mark.parametrize("what", sorted(SABOTAGE))
def test_it_ends_non_zero_if(what: str, tmp_path: Path) -> None:
    path, old, new = SABOTAGE[what]
    for package in ("firmware", "hostlink", "protocol", "testbench"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "*.mpy"))
    file = tmp_path / path
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))
    done = demo("--out", tmp_path / "out", root=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "not proved" in done.stdout.lower() and "Traceback" not in done.stdout + done.stderr
    assert json.loads((tmp_path / "out/result.json").read_text())["proved"] is False
