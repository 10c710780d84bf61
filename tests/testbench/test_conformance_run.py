"""Whole runs of the conformance suite on the unix rig: verdicts, resumption, replay, and every way a run can end early."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from testbench.conformance import plan as plans
from testbench.conformance import runner
from testbench.micropython import device_root

DEMO = plans.find("demo").read_text()
SMALL = DEMO.replace("repetitions = 3", 'repetitions = 1\nsuites = ["identity", "flow"]')


def write(tmp_path: Path, text: str, name: str = "lab.toml") -> str:
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def conformance(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    tonne = Path(sys.executable).with_name("tonne")
    command = [str(tonne), "conformance", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **more)


def measure(plan: str, *folders: Path, options: tuple[str, ...] = ()) -> list[runner.DeviceRun]:
    """A run for each folder, at the same time, without the renderings."""
    devices = [runner.DeviceRun("unix", folder, options) for folder in folders]
    runner.run(plan, devices, lambda *_: None)
    return devices


def result(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text())


def test_a_run_passes_and_its_bytes_give_the_same_verdicts(tmp_path: Path) -> None:
    done = conformance("--plan", write(tmp_path, SMALL), "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stdout + done.stderr
    got = result(tmp_path / "run")
    assert got["verdict"] == "pass" and got["summary"]["points"] == len(got["points"]) > 30
    assert all(got["requirements"][p["requirement"]]["status"] != "memory" for p in got["points"] if p["certifies"])
    assert len(got["digests"]["capture"]) == len(got["digests"]["firmware"]) == len(got["digests"]["suite"]) == 64
    again = conformance("--replay", str(tmp_path / "run"))
    assert again.returncode == 0 and f"{len(got['points'])} points the same, 0 different" in again.stdout
    assert result(tmp_path / "run/replay")["points"] == got["points"]
    capture = bytearray((tmp_path / "run/capture.bin").read_bytes())
    capture[len(capture) // 2] ^= 1
    (tmp_path / "run/capture.bin").write_bytes(capture)
    refused = conformance("--replay", str(tmp_path / "run"))
    assert refused.returncode == 2 and "is not the capture whose digest" in refused.stderr


def test_keys_restarts_and_updates_are_replayed_too(tmp_path: Path) -> None:
    """The capture holds no keys, and a meter that restarts by itself says nothing of it."""
    plan = write(tmp_path, 'seed = 5\nsuites = ["security", "download", "evidence"]\n')
    done = conformance("--plan", plan, "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stdout + done.stderr
    points = result(tmp_path / "run")["points"]
    assert len({p["id"] for p in points}) == len(points) > 80
    again = conformance("--replay", str(tmp_path / "run"))
    assert again.returncode == 0 and f"{len(points)} points the same, 0 different" in again.stdout, again.stdout


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    plan = write(tmp_path, SMALL)
    measure(plan, folder)
    whole = result(folder)
    journal = folder / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:5]) + lines[5][:40])
    (done,) = measure(plan, folder)
    assert done.verdict == "pass" and done.result["points"] == whole["points"]
    assert len(journal.read_text().splitlines()) == len(lines)
    (other,) = measure(write(tmp_path, SMALL.replace("seed = 2", "seed = 3"), "b.toml"), folder)
    assert other.exit_code == 2 and "another plan and seed" in other.reason


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (
            ("[report]", '[expected]\nserial = "OTHER"\n[report]'),
            2,
            "expects a device with serial OTHER, this one says TONNE-0001",
        ),
        (
            ("[report]", '[expected]\nfirmware = "9.9"\n[report]'),
            2,
            "expects a device with firmware 9.9, this one says",
        ),
        (
            ("due = 2027-11-01", "due = 2025-11-01"),
            2,
            "virtual pulse source VPS-1: expected a calibration that holds today",
        ),
        (("[report]", '[expected]\nprofile = "00ff"\n[report]'), 2, "expects a device with fingerprint 00ff"),
        (("range = [0.01, 10]", "range = [0.1, 10]"), 1, "is calibrated for 0.1 … 10 m³/h; the plan asks for 0.04"),
        (('profile = "natural-gas"', 'profile = "nowhere"'), 2, "profile nowhere: expected a file or a ready profile"),
    ],
)
def test_what_cannot_be_measured_never_passes(change: tuple[str, str], code: int, says: str, tmp_path: Path) -> None:
    (run,) = measure(write(tmp_path, SMALL.replace(*change, 1)), tmp_path / "run")
    assert run.exit_code == code and run.verdict == "incomplete" and says in run.reason
    assert "Traceback" not in (tmp_path / "run/pytest.log").read_text()


def test_a_plan_that_cannot_be_used_ends_before_any_device(tmp_path: Path) -> None:
    done = conformance("--plan", write(tmp_path, SMALL.replace("Qt = 0.6", "Qt = 7")), "--out", str(tmp_path / "run"))
    assert done.returncode == 2 and done.stderr.startswith(
        "tonne: plan lab.toml, [flow]: Qmax: expected above Qt (7), got 6"
    )
    assert not (tmp_path / "run").exists()
    typo = conformance("--rig", "moon", "--out", str(tmp_path / "b"))
    assert typo.returncode == 2 and "expected unix, pico or serial:URL" in typo.stderr and not (tmp_path / "b").exists()


def test_a_device_that_stops_leaves_an_incomplete_run(tmp_path: Path) -> None:
    """Firmware that ends itself at its fifteenth record."""
    root = tmp_path / "root"
    for package in ("firmware", "protocol"):
        shutil.copytree(device_root() / package, root / package)
    path = root / "firmware/meter.py"
    head = "    def _close(self, duration, status):\n"
    text = path.read_text()
    assert head in text
    path.write_text(text.replace(head, f"{head}        if self.records.ring.next >= 15:\n            1 // 0\n"))
    (run,) = measure(write(tmp_path, SMALL), tmp_path / "run", options=("--tonne-root", str(root)))
    assert run.exit_code == 3 and run.verdict == "incomplete"
    assert "did not survive 3 items in a row" in run.result["reason"] and "ZeroDivisionError" in run.result["reason"]
    assert run.result["summary"]["pass"] > 0 and run.result["missing"]


def on_a_disk_of(kilobytes: int, unshare: Path, plan: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A run on a file system of that size, in a mount namespace of its own; what it left is then in `folder`."""
    disk = folder.with_name("disk")
    disk.mkdir()
    script = f'mount -t tmpfs -o size={kilobytes}k tmpfs {disk} && {{ "$@"; code=$?; cp -a {disk}/run {folder}; exit $code; }}'
    tonne = Path(sys.executable).with_name("tonne")
    command = [
        str(unshare),
        "-rm",
        "sh",
        "-c",
        script,
        "sh",
        str(tonne),
        "conformance",
        "--plan",
        plan,
        "--out",
        f"{disk}/run",
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_full_disk_leaves_what_was_measured_marked_incomplete(tmp_path: Path, unshare: Path) -> None:
    """The room for the result is held from the beginning; what fills up is the journal."""
    done = on_a_disk_of(172, unshare, write(tmp_path, SMALL), tmp_path / "run")
    got = result(tmp_path / "run")
    assert done.returncode == 2 and "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    assert got["verdict"] == "incomplete" and "could not be written" in got["reason"] and got["missing"]
    assert got["summary"]["pass"] > 5 and "the reports could not be written" in done.stdout


def test_a_disk_without_room_for_the_result_is_told_before_anything_is_tested(tmp_path: Path, unshare: Path) -> None:
    done = on_a_disk_of(64, unshare, write(tmp_path, SMALL), tmp_path / "run")
    got = result(tmp_path / "run")
    assert done.returncode == 2 and got["verdict"] == "incomplete"
    assert "free bytes for the result" in got["reason"] and got["reason"].endswith("nothing was tested")


def test_several_devices_at_once_each_have_their_result_and_the_same_seed_the_same(tmp_path: Path) -> None:
    one, two = measure(write(tmp_path, SMALL), tmp_path / "one", tmp_path / "two")
    assert one.verdict == two.verdict == "pass" and one.result["points"] == two.result["points"]


def test_pytest_runs_the_installed_suites_by_itself(tmp_path: Path) -> None:
    plan = write(tmp_path, SMALL)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--pyargs",
        "testbench.conformance.suites.test_identity",
        "--tonne-plan",
        plan,
    ]
    done = subprocess.run(
        [*command, "--tonne-out", str(tmp_path / "run")], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout
    assert (
        result(tmp_path / "run")["verdict"] == "incomplete"
    )  # identification alone rests on clauses not read: no pass


def test_other_tests_may_call_a_fixture_bench(tmp_path: Path) -> None:
    """They ran as if the plan had left them out, and began a conformance run of their own."""
    (tmp_path / "test_other.py").write_text(
        "import pytest\n\n@pytest.fixture\ndef bench():\n    return 1\n\ndef test_one(bench):\n    assert bench == 1\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_other.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout
    assert not (tmp_path / "out").exists()
