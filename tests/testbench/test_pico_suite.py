"""What holds the meter on other rigs, on the Pico's silicon: store torture, no allocation, exactness, protocol.

A short form runs by default, on a Pico at its prompt here and on the meter of `test_rig_pico`; `make pico-suite` runs the whole,
some ten minutes of a core.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from hostlink import events, replay
from hostlink.meter import Meter, connect
from hostlink.profile.image import Channel, ProfileImage, Register, Term
from protocol import events as kinds
from protocol import records as record_layout
from protocol import registers as r
from testbench.emulators.pico import Pico
from testbench.errors import EmulatorError
from testbench.rigs.pico import PicoRig, board_config
from tests import test_commands
from tests.firmware import test_current_loop, test_mps2, test_sample_path, test_server
from tests.firmware.test_terms import START, every_kind
from tests.protocol import test_vectors, vectors

pytestmark = pytest.mark.pico

SEED = int(os.environ.get("TONNE_SEED", "1"))
CONSTANT = 92_873_912_345_678
LINE_PATIENCE_S = 600.0
"""Of our time: a busy second of the Pico's takes 15 s, more on a busy machine."""


def profile() -> bytes:
    """One channel whose every quantum is committed at once."""
    return ProfileImage(
        "cuts",
        [Channel(r.VOLUME, r.CUBIC_METRE, -2, 1, 1_000_000)],
        [Register(r.CO2, r.EMITTED, r.GRAM, -3)],
        [Term(0, 0, CONSTANT, 1)],
        commit_quanta=1,
    ).pack()


@pytest.fixture(scope="module")
def rig(meter_uf2: Path) -> Iterator[PicoRig]:
    with PicoRig(profile(), config=board_config(address=test_server.ADDRESS), image=meter_uf2, seed=SEED) as running:
        yield running


@pytest.fixture(scope="module")
def repl(modules_uf2: Path) -> Iterator[Pico]:
    """A Pico at its prompt, the firmware's modules in its image."""
    board = Pico(modules_uf2)
    board.on()
    yield board
    board.off()


# Store: power cut in the middle of flash writes, against the torture's model


class Torture:
    """Pulses, cuts, and the model: what was fed, and what must at least have been kept.

    With `commit_quanta` 1 each sample with pulses is a commit, so a cut may lose the pulses of the one write it hit, and no more.
    """

    def __init__(self, rig: PicoRig, random_: random.Random) -> None:
        self.rig = rig
        self._random = random_
        rig.pulses(0, 2)
        with self._meter() as meter:
            meter.set_clock(START)
            assert meter.status()["records"]
            self.kept = meter.registers().registers[0].amount.whole
            self.power_ups = self._power_ups(meter)

    def _meter(self) -> contextlib.AbstractContextManager[Meter]:
        return connect(self.rig.url, address=test_server.ADDRESS, clock=self.rig.now)

    @staticmethod
    def _power_ups(meter: Meter) -> int:
        return sum(event.kind == kinds.POWER_UP for event in events.read(meter, kinds.ORDINARY))

    def commit(self) -> None:
        """Some pulses, waited for: they are kept from here on."""
        count = self._random.randrange(1, 6)
        self.rig.pulses(0, count)
        self.rig.settle()
        self.kept += count

    def cut(self) -> None:
        """Pulses, and the power gone somewhere in the write that keeps them; then everything is looked at."""
        count = self._random.randrange(1, 6)
        self.rig.pulses(0, count)
        with contextlib.suppress(EmulatorError):  # the pulses were kept already, and nothing is written any more
            self.rig.cut_in_flash_write(1, self._random.random(), 0.25)
        self.rig.off()
        self.rig.on()
        self.check(count)

    def check(self, pending: int) -> None:
        """`pending` quanta may be there or not, up to any of them; all that was kept is, exactly, in records that prove."""
        with self._meter() as meter:
            index = meter.registers().registers[0]
            co2 = meter.registers().registers[1]
            assert self.kept <= index.amount.whole <= self.kept + pending
            self.kept = index.amount.whole
            assert Fraction(co2.amount.raw) == Fraction(CONSTANT * self.kept << 32)
            self.power_ups += 1
            assert self._power_ups(meter) == self.power_ups
            assert not meter.reading().status & 0x0408, "a storage fault, or not valid"
            head = record_layout.CHAIN_START
            for record in meter.records(meter.oldest_record()):
                head = record_layout.chain(head, record.raw)
                assert record.link == head[: record_layout.LINK_SIZE]


def torture(rig: PicoRig, cuts: int, seed: int) -> None:
    work = Torture(rig, random.Random(seed))
    for _ in range(cuts):
        work.commit()
        work.cut()


@pytest.mark.slow
def test_cuts_in_flash_writes_lose_nothing_kept(rig: PicoRig) -> None:
    torture(rig, 12, SEED)


@pytest.mark.slow
@pytest.mark.parametrize("write", [1, 2, 9, 20, 36])
def test_a_cut_in_the_first_power_up_is_made_good_by_the_next(meter_uf2: Path, write: int) -> None:
    """The empty flash being laid out: erases and programs cut half-way."""
    with contextlib.ExitStack() as stack:
        rig = PicoRig(profile(), config=board_config(), image=meter_uf2, seed=write)
        stack.callback(rig.close)
        rig.board.on()
        rig.board.drive(5, True)
        rig.cut_in_flash_write(write, 0.5)
        rig.on()
        with connect(rig.url, address=1, clock=rig.now) as meter:
            rig.pulses(0, 3)
            rig.settle()
            assert meter.registers().registers[0].amount.whole == 3


# Sample path: nothing allocated, exact

CASES = (test_sample_path.PRESETS, test_sample_path.COUNTS, test_sample_path.INPUTS)

WALK = """
def walk(image, start, steps):
    now = [0]
    clock = Clock(lambda: now[0], lambda later, sooner: later - sooner)
    clock.set(start)
    drivers = [Pulses(), Pulses()]
    sources = [Input() for _ in range(3)]
    image = Image(binascii.unhexlify(image))
    meter = module.Meter(image, clock, drivers, ('', '', 0, 1, 0, b''), sources, records.RamRing(0, 4))
    for counts, values, passed in steps:
        for source, value in zip(sources, values):
            source.value = -1 if value is None else value
        for driver, count in zip(drivers, counts):
            driver.give(count)
        micropython.heap_lock()
        try:
            meter.sample()
        finally:
            micropython.heap_unlock()
        now[0] += passed
    return [meter.status, binascii.hexlify(meter.integrator.bytes).decode()]
"""


def walk(repl: Pico, seed: int, steps: int) -> None:
    """Random steps within an interval on the Pico, each under a locked heap, against replay in big integers."""
    image = every_kind(seed)
    random_ = random.Random(seed)
    model = replay.Replay(image)
    model.begin(START)
    inputs: list[int | None] = [None] * 3
    given = []
    for _ in range(steps):
        for n, (low, high) in enumerate(test_mps2.RAW):
            if random_.random() < 0.3:
                inputs[n] = None if random_.random() < 0.02 else random_.randrange(low, high)
        counts = [0 if random_.random() < 0.3 else random_.randrange(1 << random_.randrange(1, 24)) for _ in range(2)]
        model.step(counts, inputs)
        given.append((counts, list(inputs), random_.randrange(900_000 // steps)))
    code = f"{test_sample_path.SAMPLE}{WALK}print(walk({bytes(image.data).hex()!r}, {START}, {given!r}))"
    status, state = eval(repl.exec(code, 120.0))
    data = bytes.fromhex(state)
    indices = [int.from_bytes(data[8 * n : 8 * n + 8], "little") for n in range(2)]
    registers = [int.from_bytes(data[16 + 16 * n : 32 + 16 * n], "little") for n in range(len(model.registers))]
    assert (indices, registers, status) == (model.indices, model.registers, model.status)


def test_random_steps_allocate_nothing_and_equal_replay(repl: Pico) -> None:
    walk(repl, SEED, 10)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 6))
def test_many_random_steps_allocate_nothing_and_equal_replay(repl: Pico, seed: int) -> None:
    walk(repl, seed, 150)


@pytest.mark.slow
def test_no_allocation_and_exact_from_any_register(repl: Pico) -> None:
    image = every_kind(SEED)
    given = (bytes(image.data).hex(), *CASES, START)
    test_sample_path.check(image, eval(repl.exec(f"{test_sample_path.SAMPLE}print(samples(*{given!r}))", 120.0)))


def test_a_current_loop_allocates_nothing(repl: Pico) -> None:
    total, flags = eval(repl.exec(f"{test_current_loop.SAMPLE}print(sample(101))", 30.0))
    assert total > 0 and flags


def test_a_current_loop_through_the_pico_s_own_converter(repl: Pico) -> None:
    printed = []
    for raw in (794, 2048, 3910):
        repl.voltage(27, raw)
        code = "from machine import ADC, Pin\nloop = CurrentLoop(ADC(Pin(27)), 0, 16000, nominal(150000))\nloop.poll(100)\n"
        printed.append(eval(repl.exec(f"{test_current_loop.SAMPLE}{code}print(loop.reading, ',', loop.value)")))
    for raw, (reading, value) in zip((794, 2048, 3910), printed, strict=True):
        assert reading == 8 * raw
        current = Fraction(raw * 3300, 4096) / 150 * 1000  # µA over 150 Ω
        assert value == pytest.approx(float(current - 4000), abs=3) if current < 21000 else value == -1


# Protocol


@pytest.mark.slow
def test_the_vectors(repl: Pico) -> None:
    repl.exec(Path(vectors.__file__).read_text(), 30.0)
    for name in test_vectors.CHECKS:
        repl.exec(f"{name}()", 120.0)


@pytest.fixture
def line(rig: PicoRig) -> Iterator[test_server.Line]:
    line = test_server.Line(rig.url, LINE_PATIENCE_S)
    yield line
    line.close()


@pytest.mark.slow
def test_a_hostile_line(line: test_server.Line) -> None:
    test_server.hold_out(line, random.Random(SEED), rounds=80, most=1)


# The command


@pytest.mark.slow
def test_a_simulated_pico_is_read_by_any_serial_tool(meter_uf2: Path, tmp_path: Path) -> None:
    process = test_commands.start("simulate", "--rig", "pico", "--port-file", tmp_path / "port")
    try:
        assert process.stdout is not None
        process.stdout.readline()
        port = test_commands.wait_for(tmp_path / "port")
        done = test_commands.tonne("read", "--port", port, "--timeout", "60", "--json")
        assert json.loads(done.stdout)["hardware"] == "pico", done.stderr
    finally:
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode in (0, 130) and "Traceback" not in output + errors
