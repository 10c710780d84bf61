"""`python -m testbench.bench.pico [--seconds N] [--accept]`: the whole meter on the emulated Pico, against limits and a baseline.

Times are the Pico's own, counted in cycles, so they come out the same on every machine. Ends 1 where a limit does not hold or a
value got more than 5 % worse; --accept keeps what was measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hostlink.flash.compile import DRIVERS, pico_application, pico_starter
from hostlink.profile.image import Channel, ProfileImage, Register, Term
from hostlink.tables import values
from protocol import frame, messages
from protocol import registers as r
from protocol.deframer import Deframer
from testbench.bench import day
from testbench.emulators.edges import pulse_train
from testbench.emulators.pico import Pico
from testbench.errors import EmulatorError, TestbenchError
from testbench.images import meter_image, pico_image
from testbench.rigs.pico import PULSE_PIN, SERVING_PIN, board_config, put_files

BASELINE = Path(__file__).with_name("pico.json")
WORSE = 0.05
HERTZ = 1000.0
CHANNELS = 2
BAUD = 115200
_BYTE_S = 10 / BAUD
_ASK_EVERY_S = 0.05
_COMMIT_QUANTA = 100
_REQUESTS = 41
"""More than the replies between two collections of the heap."""
_DAYS = 11
CONFIG = board_config(channels=CHANNELS)


@dataclass(frozen=True)
class Figure:
    """A measured value, and the most it may be."""

    name: str
    value: float
    unit: str
    limit: float
    note: str = ""


def profile() -> bytes:
    """Two volume channels of 0.01 m³, each with its CO2 register; committed every 100 quanta."""
    channels = [Channel(r.VOLUME, r.CUBIC_METRE, -2, 1, 1_000_000) for _ in range(CHANNELS)]
    registers = [Register(r.CO2, r.EMITTED, r.GRAM, -3) for _ in range(CHANNELS)]
    terms = [Term(n, n, 92_873_912_345_678, 1) for n in range(CHANNELS)]
    return ProfileImage("bench", channels, registers, terms, commit_quanta=_COMMIT_QUANTA).pack()


class Bench:
    """A meter on a Pico without a thread: every run is the same to the cycle."""

    def __init__(self, as_files: bool = False) -> None:
        self.board = Pico(pico_image(build=True) if as_files else meter_image(build=True))
        files = pico_starter() | pico_application(CONFIG) if as_files else {}
        put_files(self.board, files | {"board.json": json.dumps(CONFIG).encode(), "profile.bin": profile()})
        self._sequence = 0
        self._received: list[tuple[float, int]] = []
        self.board.sent[0] = lambda data: self._received.extend((self.board.now, byte) for byte in data)

    def boot(self) -> float:
        """Seconds from power to serving."""
        self.board.on()
        for channel in range(CHANNELS):
            self.board.drive(PULSE_PIN + channel, True)
        began = self.board.now
        self.board.run_until(lambda: self.board.level(SERVING_PIN), 10.0)
        return self.board.now - began

    def ask(self, message: int) -> float:
        """Send a request; when its last bit will have come."""
        self._sequence = (self._sequence + 1) & 0xFF
        request = frame.encode(1, 0, self._sequence, message)
        self._received.clear()
        self.board.send(0, request)
        return self.board.now + len(request) * _BYTE_S

    def latency(self, message: int) -> float:
        """ms from a request's last bit to its reply's first; the next one comes 7 ms later, at any point of a turn."""
        asked = self.ask(message)
        first, _ = self.reply()
        self.board.run_for(0.007)
        return 1000 * (first - asked)

    def reply(self) -> tuple[float, bytes]:
        """When the reply's first bit left, and its body. Raises EmulatorError if none comes within 0.4 s."""
        found: list[bytes] = []

        def whole() -> bool:
            data = bytes(byte for _, byte in self._received)
            found[:] = [bytes(view) for view in Deframer().feed(data)]
            return bool(found)

        self.board.run_until(whole, 0.4)
        return self._received[0][0] - _BYTE_S, found[0][frame.HEADER_SIZE :]


def measure(seconds: float) -> Iterator[Figure]:
    """Every figure, as soon as it is there. Raises TestbenchError."""
    yield _application()
    yield Figure("power-up to serving, firmware as files", Bench(as_files=True).boot(), "s", 1.5)
    bench = Bench()
    yield Figure("first power-up to serving", bench.boot(), "s", 1.5)
    board = bench.board
    board.run_for(1.5)  # sectors are erased ahead once
    for name, message in (("READING", messages.READING), ("REGISTERS", messages.REGISTERS)):
        took = sorted(bench.latency(message) for _ in range(_REQUESTS))
        what = f"{name}: request's last bit to reply's first"
        yield Figure(f"{what}, median of {_REQUESTS}", took[_REQUESTS // 2], "ms", 5)
        yield Figure(f"{what}, longest", took[-1], "ms", 5)
    yield from _pulses(bench, seconds)
    bench.ask(messages.SELF_TEST)
    heap = values(messages.SELF_TEST_REPLY, bench.reply()[1])["heap_used"]
    yield Figure("heap in use after that, collected", heap / 1024, "KiB", 64)
    start, _, *days = day.heap(profile(), _DAYS)
    note = "that of the Pico, and what keys and the day add on the emulated Cortex-M3"
    yield Figure(
        "heap in use after a day's work, with keys and a statement", (heap + days[0] - start) / 1024, "KiB", 64, note
    )
    yield Figure(f"what {_DAYS - 1} more days' work adds to the heap", max(0, days[-1] - days[0]), "bytes", 0)
    board.off()
    yield Figure("power-up to serving, after a cut", bench.boot(), "s", 1.5)


def _application() -> Figure:
    """The files of a unit with pulse inputs; the note has what each driver adds."""
    drivers = {Path(path).stem: len(data) for path, data in pico_application().items() if path.startswith(DRIVERS)}
    note = "a unit with pulse inputs; drivers add " + ", ".join(f"{name} {size} B" for name, size in drivers.items())
    return Figure(
        "application, as files", sum(map(len, pico_application(CONFIG).values())) / 1024, "KiB of .mpy", 48, note
    )


def _pulses(bench: Bench, seconds: float) -> Iterator[Figure]:
    board = bench.board
    fed = int(seconds * HERTZ)
    writes = 0

    def written(_: float) -> None:
        nonlocal writes
        writes += 1

    for channel in range(CHANNELS):
        train = pulse_train(fed, HERTZ, jitter=0.05, bounce_s=0.0001, bounces=2)
        board.edges(PULSE_PIN + channel, train)
    board.watch_flash(written)
    end = board.now + seconds + 0.3
    asked = answered = 0
    while board.now < end:
        bench.ask(messages.REGISTERS)
        asked += 1
        try:
            bench.reply()
            answered += 1
        except EmulatorError:  # a byte of the request came while flash was erased: the host asks again
            pass
        board.run_for(_ASK_EVERY_S)
    board.watch_flash(None)
    bench.ask(messages.REGISTERS)
    _, body = bench.reply()
    entry, at = messages.REGISTER_ENTRY, messages.REGISTERS_REPLY.size
    counted = [values(entry, body, at + n * entry.size)["value"] >> r.FRACTION_BITS for n in range(CHANNELS)]
    note = f"{CHANNELS} × {fed} with bounce, {writes} flash writes, {answered} of {asked} requests answered meanwhile"
    lost = sum(abs(got - fed) for got in counted)
    yield Figure("pulses lost or invented at 1 kHz", lost, "pulses", 0, note)


def findings(figures: list[Figure], accepted: dict[str, float]) -> Iterator[str]:
    """What does not hold, a line each."""
    for figure in figures:
        if figure.value > figure.limit:
            yield f"{figure.name}: {figure.value:.3f} {figure.unit}, at most {figure.limit:g} are allowed"
        before = accepted.get(figure.name)
        if before is not None and figure.value > before * (1 + WORSE):
            yield f"{figure.name}: {figure.value:.3f} {figure.unit}, was {before:.3f}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-pico", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of pulses; the full run takes 60")
    parser.add_argument("--accept", action="store_true", help="write what was measured as the new baseline")
    asked = parser.parse_args()
    console = Console(width=140)
    accepted = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    table = Table("the meter on a Raspberry Pi Pico", box=None)
    for title in ("measured", "limit", "of it", "baseline"):
        table.add_column(title, justify="right")
    figures = []
    try:
        for figure in measure(asked.seconds):
            figures.append(figure)
            share = f"{figure.value / figure.limit:.0%}" if figure.limit else ""
            before = accepted.get(figure.name)
            table.add_row(
                *(figure.name, f"{figure.value:.3f} {figure.unit}", f"{figure.limit:g}", share),
                "" if before is None else f"{before:.3f}",
            )
            print(json.dumps(asdict(figure)), file=sys.stderr, flush=True)
    except TestbenchError as error:
        console.print(f"bench-pico: {error}", style="red", markup=False)
        return 1
    console.print(table)
    for figure in figures:
        if figure.note:
            console.print(f"{figure.name}: {figure.note}", style="dim")
    if asked.accept:
        BASELINE.write_text(json.dumps({figure.name: round(figure.value, 6) for figure in figures}, indent=2) + "\n")
    worse = list(findings(figures, accepted))
    for line in worse:
        console.print(line, style="red", markup=False)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
