"""The linked application does what the packages do: the same registers, records and refusals, bit for bit, on 64 and on 32 bits.

`make linked` runs the suites of sessions, seal, statements, updates, power cuts and links on it, too.
"""

from __future__ import annotations

import ast
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hostlink import events, replay
from hostlink.flash.compile import PACKAGES, lay_out
from hostlink.flash.linker import link
from hostlink.meter import connect
from hostlink.session import Privileged
from protocol import messages
from protocol import status as codes
from protocol.image import Image
from testbench import micropython
from testbench.emulators.mps2 import Mps2
from testbench.micropython import device_root
from testbench.rigs.mps2 import Mps2Rig
from testbench.rigs.unix import ROOT_VARIABLE, UnixRig
from tests.firmware.keys import INSTALLER, MANUFACTURER, SECRETS, START, refused
from tests.firmware.test_terms import every_kind
from tests.protocol import vectors

SUITES = (
    *(f"tests/firmware/test_{name}.py" for name in ("server", "session", "seal", "statements", "update")),
    *(f"tests/testbench/test_{name}.py" for name in ("power", "profiles")),
)
BOOT = ("firmware/boards/unix_boot.py", "firmware/boards/slots.py")
BENCH = ["Bench", "run", "meter", "integrator", "bytes", "status", "channels", "increments_at", "state", "r0", "r1"]
"""What `testbench.rigs.mps2` asks of the bench on the board, and the registers of its one function in assembly."""


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unix board in one file, beside the boot program that no update replaces."""
    folder = tmp_path_factory.mktemp("linked")
    lay_out(link(device_root(), "firmware.boards.unix", ["main"]), folder)
    assert [path.name for path in folder.rglob("*.py")] == ["unix.py"]
    for path in BOOT:
        shutil.copy(device_root() / path, folder / path)
    return folder


def live(root: Path) -> list[object]:
    """What a meter from `root` says in a life of two days with power cuts, sessions and refusals."""
    choose = random.Random(5)
    image = every_kind(3)
    said: list[object] = []
    with UnixRig(image.data, time=START, root=root) as rig, connect(rig.url, address=1) as meter:
        meter.provision(*SECRETS.values(), bytes(60))
        with Privileged(meter, INSTALLER):
            meter.set_clock(START)
        for step in range(192):
            for channel in range(len(image.channels)):
                rig.pulses(channel, choose.randrange(1 << choose.randrange(1, 20)))
            for source in range(3):
                rig.condition(source, choose.choice((None, 101_325, 28_815, 5_000, 999_999)))
            rig.advance(choose.choice((900_000, 450_000, 1_000)))
            if step % 40 == 7:
                rig.off()
                rig.on()
        rig.settle()
        with Privileged(meter, INSTALLER):
            meter.set_clock(START + 400_000)
        with Privileged(meter, MANUFACTURER), refused(codes.BAD_VALUE):
            meter.ask(messages.CLOCK_SET, messages.CLOCK_SET_REQUEST.pack(5))
        with refused(codes.NO_SESSION):
            meter.set_clock(START)
        with refused(codes.UNKNOWN_MESSAGE):
            meter.ask(0x0E)
        with refused(codes.WRONG_LENGTH):
            meter.ask(messages.READING, b"x")
        said.append((meter.reading(), meter.registers(), meter.status()["records"]))
        records = list(meter.records(meter.oldest_record()))
        said.append([record.raw for record in records])
        said.append(
            [(event.kind, event.subject, event.old, event.new) for log in (0, 1) for event in events.read(meter, log)]
        )
    before = None
    for record in records:
        assert replay.check_record(image, before, record) == []
        before = record
    return said


def test_a_life_of_the_linked_meter_is_that_of_the_packages(linked: Path) -> None:
    assert live(linked) == live(device_root())


def test_the_linked_bench_counts_the_bits_of_the_packages_on_32_bits(
    mps2: Mps2, mps2_elf: Path, tmp_path: Path
) -> None:
    lay_out(link(device_root(), "firmware.boards.mps2", BENCH), tmp_path)
    image: Image = every_kind(3)
    states = []
    with Mps2([tmp_path / "firmware"], mps2_elf) as small:
        for board in (mps2, small):
            choose = random.Random(11)
            with Mps2Rig(image.data, time=START, board=board) as rig:
                for _ in range(400):
                    for channel in range(len(image.channels)):
                        rig.pulses(channel, choose.randrange(1 << choose.randrange(1, 32)))
                    rig.condition(choose.randrange(3), choose.choice((None, 101_325, 28_815, 5_000, 999_999)))
                    rig.advance(choose.choice((1_000, 90_000, 900_000)))
                rig.settle()
                states.append(rig.state())
    assert states[0] == states[1]
    assert any(states[0][1])


def test_the_vectors_hold_for_the_linked_protocol(tmp_path: Path) -> None:
    """Linked with the checks of `tests/protocol/vectors.py`, but for those that look tables up by name."""
    by_name = ("check_layouts", "check_sizes")
    checks = [name for name in dir(vectors) if name.startswith("check_") and name not in by_name]
    tree = ast.parse(Path(vectors.__file__).read_text())
    tree.body = [node for node in tree.body if getattr(node, "name", None) not in by_name]
    for package in PACKAGES:
        shutil.copytree(device_root() / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    main = "\n".join([ast.unparse(tree), "def main():", *(f"    {name}()" for name in checks)])
    (tmp_path / "firmware/boards/vectors.py").write_text(main)
    lay_out(link(tmp_path, "firmware.boards.vectors", ["main"]), tmp_path / "linked")
    code = "from firmware.boards import vectors\nvectors.main()\nresult = sorted(dir(vectors))"
    assert "main" in micropython.evaluate(code, path=tmp_path / "linked")
    assert len(checks) == 7


@pytest.mark.slow
@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_of_the_packages_holds_for_the_linked_meter(linked: Path, suite: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", suite],
        cwd=Path(__file__).parents[2], env=os.environ | {ROOT_VARIABLE: str(linked)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
