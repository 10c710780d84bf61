"""The whole meter on the emulated Pico, over its own wires: one boot serves all of these."""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from hostlink import events
from hostlink.meter import Meter, connect
from protocol import events as kinds
from protocol import frame, messages
from protocol import status as flags
from protocol.image import Image
from testbench import series as measured
from testbench.demo import gas_profile
from testbench.emulators.edges import pulse_train
from testbench.errors import EmulatorError
from testbench.rigs.pico import PicoRig, board_config, boot_file, get_files
from tests.firmware.test_server import ADDRESS, Line, hold_out

pytestmark = pytest.mark.pico

PROFILE, FACTOR = gas_profile(measured.CUBIC_FOOT)
BOOT_LIMIT_S = 1.5
REPLY_LIMIT_S = 0.005
PATIENCE_S = 600.0
"""Of our time: a busy second of the Pico's takes 15 s, more on a busy machine."""


@pytest.fixture(scope="module")
def rig(meter_uf2: Path) -> Iterator[PicoRig]:
    with PicoRig(PROFILE, config=board_config(address=ADDRESS, brownout=11), image=meter_uf2) as running:
        yield running


@pytest.fixture
def meter(rig: PicoRig) -> Iterator[Meter]:
    with connect(rig.url, address=ADDRESS, clock=rig.now) as meter:
        yield meter


def test_it_serves_soon_after_power(rig: PicoRig, meter: Meter) -> None:
    assert rig.boot_s <= BOOT_LIMIT_S
    identity = meter.identify()
    assert (identity.serial, identity.hardware) == ("TONNE-0001", "pico")


def test_pulses_with_bounce_come_out_as_exact_milligrams(rig: PicoRig, meter: Meter) -> None:
    before = meter.registers().registers[0].amount.whole
    train = pulse_train(40, 500.0, jitter=0.05, bounce_s=0.00018, bounces=3, random_=random.Random(7))
    rig.edges(0, train)
    rig.advance(85)
    rig.settle()
    now = meter.registers().registers
    assert now[0].amount.whole == before + 40
    assert abs(now[1].amount.fraction * 1000 - FACTOR * now[0].amount.whole) < Fraction(1, 1 << 30)


def test_both_links_serve_at_once(rig: PicoRig, meter: Meter) -> None:
    with connect(rig.usb_url, address=ADDRESS, clock=rig.now) as other:
        for _ in range(2):
            assert other.reading().emissions == meter.reading().emissions


def test_the_first_byte_of_a_reply_comes_within_its_limit(rig: PicoRig) -> None:
    """From the last bit of the request to the first of the reply, on the wire."""
    sent: list[float] = []
    request = frame.encode(ADDRESS, 0, 1, messages.REGISTERS)
    with rig.pump.lock:
        board = rig.board
        carried = board.sent[0]
        board.sent[0] = lambda _: sent.append(board.now)
        byte_s = 10 / 115200
        board.run_for(0.05)
        board.send(0, request)
        asked = board.now + len(request) * byte_s
        board.run_until(lambda: bool(sent), 0.5)
        board.sent[0] = carried
    assert sent[0] - byte_s - asked <= REPLY_LIMIT_S


def test_a_hostile_line_changes_nothing(rig: PicoRig) -> None:
    """The long form: `make pico-suite`."""
    line = Line(rig.url, PATIENCE_S)
    line.send(b"")  # replies that the test before did not wait for
    hold_out(line, random.Random(1), rounds=4, most=1)
    line.close()


def test_its_files_are_where_the_stock_image_leaves_them_alone(rig: PicoRig) -> None:
    assert len(boot_file()) <= 512
    assert set(get_files(rig.board)) == {"board.json", "profile.bin"}


def test_what_a_failing_supply_leaves_time_for_outlives_the_cut(rig: PicoRig, meter: Meter) -> None:
    """The warning falls, comes back, falls again, and power goes: the last quanta are kept, and the events tell."""
    before = meter.registers().registers[0].amount.whole
    rig.brown_out()
    rig.advance(30)
    rig.brown_out(False)
    rig.advance(2300)
    rig.edges(0, pulse_train(4, 500.0))
    rig.advance(15)
    rig.brown_out()
    rig.advance(25)
    rig.edges(0, pulse_train(2, 500.0))
    rig.advance(30)
    rig.power.off()
    rig.power.on()
    assert meter.registers().registers[0].amount.whole == before + 6
    names = [event.name for event in events.read(meter, kinds.ORDINARY)]
    assert names == ["power up", "power down", "brown-out", "power down", "power up"]


def test_a_cut_in_the_write_that_keeps_loses_no_more_than_that(rig: PicoRig, meter: Meter) -> None:
    """The long form: `make pico-suite`."""
    before = meter.registers().registers[0].amount.whole
    rig.edges(0, pulse_train(3, 500.0))
    rig.advance(110)
    rig.brown_out()
    rig.cut_in_flash_write(1, 0.5, 0.2)
    rig.power.on()
    now = meter.registers().registers
    assert now[0].amount.whole in (before, before + 3)
    assert abs(now[1].amount.fraction * 1000 - FACTOR * now[0].amount.whole) < Fraction(1, 1 << 30)
    assert not meter.reading().status & (flags.STORAGE_FAULT | flags.NOT_VALID)


def test_its_store_is_read_and_written_without_power_as_a_programmer_does(rig: PicoRig, meter: Meter) -> None:
    with pytest.raises(EmulatorError, match="has power"):
        rig.flash.write(0, b"")
    rig.pulses(0, 2 * Image(PROFILE).header[12])
    rig.settle()
    before = meter.registers().registers[0].amount.whole
    rig.power.off()
    held = rig.flash.read(0, rig.flash.size)
    assert len(held) == 256 * 4096 and held.strip(b"\xff")
    rig.flash.write(0, b"\xff" * rig.flash.size)
    rig.power.on()
    assert meter.registers().registers[0].amount.whole == 0, "an empty store is a new meter's"
    rig.power.off()
    rig.flash.write(0, held)
    rig.power.on()
    kept = meter.registers().registers[0].amount.whole
    assert before - Image(PROFILE).header[12] <= kept <= before and kept > 0
