"""Updates over the link on the emulated Pico: real packages, real reboots, and power cut while copying, unpacking, on trial.

Some ten minutes of a core: `make pico-updates`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from hostlink import blobs, events, lms, update
from hostlink.flash.compile import pico_application
from hostlink.meter import Meter, connect
from hostlink.session import Privileged
from protocol import events as kinds
from protocol import messages
from protocol import status as codes
from testbench import series as measured
from testbench.demo import gas_profile
from testbench.micropython import device_root
from testbench.rigs.pico import SERVING_PIN, PicoRig, board_config, get_files, put_files
from tests.firmware.keys import MANUFACTURER, SECRETS, refused

pytestmark = [pytest.mark.pico, pytest.mark.slow]

KEY = lms.PrivateKey(b"m" * 32, height=5)
PROFILE, _ = gas_profile(measured.CUBIC_FOOT)
REPLY_S = 20.0
TOLD = (kinds.UPDATE_ACCEPTED, kinds.UPDATE_COMMITTED, kinds.UPDATE_ROLLED_BACK, kinds.UPDATE_REFUSED)


@pytest.fixture
def newer(tmp_path: Path) -> dict[str, bytes]:
    """The Pico's application as version 0.1.1, content with two seconds of health."""
    for package in ("firmware", "protocol"):
        shutil.copytree(device_root() / package, tmp_path / package)
    for name, old, new in (
        ("identity.py", "MAJOR, MINOR, PATCH = 0, 1, 0", "MAJOR, MINOR, PATCH = 0, 1, 1"),
        ("trust/update.py", "HEALTHY_SECONDS = 60", "HEALTHY_SECONDS = 2"),
    ):
        path = tmp_path / "firmware" / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
    return pico_application(root=tmp_path)


@pytest.fixture
def rig(meter_uf2: Path) -> Iterator[PicoRig]:
    with PicoRig(PROFILE, config=board_config(brownout=11), image=meter_uf2) as running:
        running.advance(2000)  # sectors are erased ahead once, and a byte that comes meanwhile is lost
        yield running


def talk(rig: PicoRig) -> AbstractContextManager[Meter]:
    return connect(rig.url, address=1, clock=rig.now, timeout=REPLY_S)


def told(meter: Meter) -> list[str]:
    found = [*events.read(meter, kinds.LEGAL), *events.read(meter, kinds.ORDINARY)]
    return [event.name for event in sorted(found, key=lambda event: event.order) if event.kind in TOLD]


def push(meter: Meter, data: bytes, progress: Callable[[int, int], None] | None = None) -> int:
    with Privileged(meter, MANUFACTURER):
        return blobs.push(meter, messages.UPDATE, data, progress).resumed


def await_serving(rig: PicoRig, seconds: float) -> None:
    assert rig.pump.advance(seconds, lambda: rig.board.level(SERVING_PIN)), "the meter does not serve"


class Enough(Exception):
    """So much was copied."""


def test_an_update_with_power_cut_at_every_stage(rig: PicoRig, newer: dict[str, bytes]) -> None:
    data = update.build(newer, "pico", (0, 1, 1), (0, 1, 1), KEY)

    def stop(done: int, total: int) -> None:
        if done > total // 3:
            raise Enough

    with talk(rig) as meter:
        meter.provision(*SECRETS.values(), KEY.public)
        rig.pulses(0, 7)
        rig.settle()
        rig.brown_out()  # keeps the seven
        rig.advance(60)
        rig.brown_out(False)
        with pytest.raises(Enough):
            push(meter, data, stop)
    rig.power.off()  # while copying
    rig.power.on()
    with talk(rig) as meter:
        resumed = push(meter, data)
        assert len(data) // 3 - 8192 < resumed < len(data) // 2
        assert told(meter) == ["update accepted"]
    with rig.pump.lock:  # unpacking: sixteen blocks and more, an erase or a page each
        rig.cut_in_flash_write(40, 0.5)
    assert "updates/incoming.bin" in get_files(rig.board)
    rig.power.on()
    with talk(rig) as meter:
        assert meter.identify().firmware == "0.1.0"
        assert push(meter, data) == len(data)
    assert rig.pump.advance(20.0, lambda: not rig.board.level(SERVING_PIN)), "the meter does not restart"
    rig.advance(300)
    rig.power.off()  # the first start of the new one
    state = json.loads(get_files(rig.board)["updates/boot.json"])
    assert (state["trial"], state["active"]) == ("a", "")
    rig.power.on()
    with talk(rig) as meter:
        assert meter.identify().firmware == "0.1.1"
        assert meter.registers().registers[0].amount.whole == 7
        rig.advance(3500)
        assert told(meter) == ["update accepted"] * 2 + ["update committed"]
        with refused(codes.NOT_ALLOWED):
            push(meter, update.build({"firmware/nothing.py": b""}, "pico", (0, 1, 0), (0, 0, 0), KEY))
    rig.power.off()
    rig.power.on()
    with talk(rig) as meter:
        assert meter.identify().firmware == "0.1.1"
    state = json.loads(get_files(rig.board)["updates/boot.json"])
    assert (state["trial"], state["active"], state["failed"], state["kept"]) == ("", "a", "", False)


@pytest.mark.parametrize(
    ("broken", "seconds"),
    [("raise ValueError('broken')\n", 10.0), ("import time\ntime.sleep(1000)\n", 40.0)],
    ids=["falls", "hangs"],
)
def test_what_does_not_serve_is_left_after_three_starts(rig: PicoRig, broken: str, seconds: float) -> None:
    """The one that falls is started anew by the boot program, the one that hangs by the watchdog."""
    rig.power.off()
    digest = hashlib.sha256(broken.encode()).hexdigest()
    state = {"active": "", "trial": "a", "tries": 3, "failed": "", "tag": digest[:16], "before": "", "least": [0, 1, 1]}
    files = get_files(rig.board) | {
        "updates/a/firmware/boards/pico.py": broken.encode(),
        "updates/boot.json": json.dumps({**state, "kept": False}).encode(),
    }
    put_files(rig.board, files)
    with rig.pump.lock:
        rig.board.on()
        for pin in (5, 11):
            rig.board.drive(pin, True)
    await_serving(rig, seconds)
    with talk(rig) as meter:
        assert meter.identify().firmware == "0.1.0"
        assert told(meter) == ["update rolled back"]
        legal = list(events.read(meter, kinds.LEGAL))
        assert legal[-1].details.startswith(f"tried {digest[:16]}")
