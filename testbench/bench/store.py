"""What keeping costs a meter: flash programs and bytes of a commit, wear over twenty years, and power-up on a full store.

python -m testbench.bench.store [--pico]
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hostlink.profile.image import Channel, Condition, ProfileImage, Register, Term
from protocol import registers as r
from testbench import micropython
from testbench.emulators.mps2 import Mps2
from testbench.emulators.pico import CLOCK_HZ, Pico
from testbench.images import littlefs_image, modules_image
from testbench.rigs.pico import STORE_FROM, put_files
from testbench.rigs.unix import FLASH_SIZE, UnixRig

START = 1_767_225_600
DAYS = 160
"""More than any record ring here holds."""
RECOVERY_LIMIT_S = 0.2
YEARS_LIMIT = 20
ERASES = 100_000
"""Erases that a sector of the Pico's W25Q16JV takes (Winbond, data sheet, features)."""
RECORD_DAYS_LIMIT = 35

COMMITS = """
from firmware.assembly import assemble
from firmware.clock import Clock
from firmware.identity import identity
from firmware.store.nor import RamNor
from protocol.image import Image
import gc
class Counting(RamNor):
    programs = erases = written = 0
    def program(self, at, data):
        self.programs += (at + len(data) - 1) // self.page_size - at // self.page_size + 1
        self.written += len(data)
        super().program(at, data)
    def erase(self, sector):
        self.erases += 1
        super().erase(sector)
class Pulses:
    waiting = 0
    def take(self, counts, at):
        counts[at] = self.waiting
        self.waiting = 0
        return 0
class Input:
    value = 101325
image = Image(bytes.fromhex(given['image']))
nor = Counting(given['size'])
clock = Clock(lambda: 0, lambda later, sooner: later - sooner)
clock.set(given['start'])
device = assemble(image, clock, [Pulses() for _ in image.channels], [Input()] * 8, identity('BENCH', 'bench', bytes(32)), 1, nor)
keeper = device.keeper
journal = keeper.store.registers
while keeper.store.prepare(): pass
most = on_path = 0
start = nor.programs, nor.erases, nor.written
late = journal.late
gc.collect()
for _ in range(given['commits']):
    before = nor.programs
    keeper.commit()
    on_path += nor.programs - before
    most = max(most, nor.programs - before)
    keeper.store.prepare()
result = {
    'most': most, 'on_path': on_path, 'programs': nor.programs - start[0], 'erases': nor.erases - start[1],
    'written': nor.written - start[2], 'late': journal.late - late, 'slots': journal._per_sector,
    'sectors': keeper.store.regions['registers'][1], 'records': keeper.store.records.capacity,
    'record': len(device.meter.records.buffer), 'payload': journal.size,
}
"""

BOOT = """
import uctypes
from firmware.assembly import assemble
from firmware.clock import Clock
from firmware.identity import identity
from protocol.image import Image
class Pulses:
    def take(self, counts, at): return 0
class Input:
    value = 101325
clock = Clock(lambda: 0, lambda later, sooner: later - sooner)
clock.set({time})
image = Image(bytes.fromhex({image!r}))
who = identity('BENCH', 'bench', bytes(32))
def boot(nor):
    return assemble(image, clock, [Pulses() for _ in image.channels], [Input()] * 8, who, 1, nor, random=bytes)
"""

ON_MPS2 = """
from firmware.boards.mps2 import HostFile
from firmware.store.nor import Nor, RamNor
class Chip(RamNor):
    # Without the check for bugs, which no board with a chip has.
    program = Nor.program
flash = uctypes.bytearray_at(0x21800000, {size})
file = HostFile({path!r})
file.read_into(flash)
nor = Chip({size}, buffer=flash)
"""

ON_PICO = """
from firmware.boards.pico_flash import PicoNor
"""


@dataclass(frozen=True)
class Shape:
    """A profile to measure with."""

    name: str
    image: bytes


def shapes() -> list[Shape]:
    """One channel, one register; one channel with two live conditions; two channels, eight registers, three conditions."""
    conditions = [
        Condition(r.PRESSURE, r.PASCAL, 0, 0, 80_000, 1_000_000, 101_325),
        Condition(r.TEMPERATURE, r.KELVIN, -2, 1, 24_815, 32_815, 28_815),
        Condition(r.FRACTION, r.ONE, -6, 2, 0, 1_000_000, 1_000),
    ]
    volume = Channel(r.VOLUME, r.CUBIC_METRE, -2, 1, 1000)
    emitted = Register(r.CO2, r.EMITTED, r.GRAM, -3)
    exact = [Register(r.ACTIVITY, r.CONSUMED, r.ONE, 0), Register(r.ACTIVITY, r.IN_ERROR, r.ONE, 0)]
    wrong = Register(r.CO2, r.EMITTED | r.IN_ERROR, r.GRAM, -3)
    term = Term(0, 0, 0x1234_5678_9ABC, 1)
    live = [Term(0, 2, 1, 0, (0, 1), 3), Term(0, 0, 99, 0, (0, 1), 1)]
    gases = [Register(gas, r.EMITTED, r.GRAM, -3) for gas in (r.CH4, r.N2O, r.CO2E)]
    energy = Channel(r.ENERGY, r.WATT_HOUR, 0, 1, 1000)
    return [
        Shape("1 channel, 1 register", ProfileImage("one", [volume], [emitted], [term]).pack()),
        Shape(
            "1 channel, 4 registers, 2 conditions",
            ProfileImage("live", [volume], [emitted, wrong, *exact], live, conditions[:2]).pack(),
        ),
        Shape(
            "2 channels, 8 registers, 3 conditions",
            ProfileImage(
                "many",
                [volume, energy],
                [emitted, wrong, *exact, *gases, Register(r.CO2, r.CREDITED, r.GRAM, -3)],
                [*live, term, Term(1, 7, 5, 1)],
                conditions,
            ).pack(),
        ),
    ]


def commits(shape: Shape, count: int = 5000) -> dict:
    """What `count` commits do to the flash, on real MicroPython."""
    given = {"image": shape.image.hex(), "size": FLASH_SIZE, "start": START, "commits": count}
    return micropython.evaluate(COMMITS, given, heap="8m")


def years(found: dict, commits_a_year: float) -> float:
    """Years until the sectors of the registers' journal have been erased ERASES times each."""
    return ERASES * found["sectors"] * found["slots"] / commits_a_year


def full_store(shape: Shape, folder: Path) -> tuple[bytes, int]:
    """A flash that has metered for DAYS days with everything full, and the UNIX second after."""
    with UnixRig(shape.image, time=START, flash_size=FLASH_SIZE) as rig:
        for day in range(DAYS):
            for _ in range(96):
                rig.clock.advance(900_000)
                rig.stimulus.pulses(0, 120)
            for _ in range(6):
                rig.tamper(0, True)
                rig.tamper(0, False)
            if day % 20 == 0:
                rig.clock.settle()
        rig.clock.settle()
        rig.power.off()
        return rig.flash.read(0, rig.flash.size), START + 86_400 * DAYS


def recovery_instructions(shape: Shape, flash: bytes, time: int) -> int:
    """Instructions of an emulated Cortex-M3 from opening the flash to a meter that serves."""
    root = micropython.device_root()
    with tempfile.NamedTemporaryFile() as file, Mps2([root / "protocol", root / "firmware"]) as board:
        file.write(flash)
        file.flush()
        board.run(BOOT.format(time=time, image=shape.image.hex()))
        board.run(ON_MPS2.format(size=len(flash), path=file.name))
        return board.count("boot(nor)")


def recovery_seconds(shape: Shape, flash: bytes, time: int) -> float:
    """Seconds of an emulated Pico for the same, what it programs included."""
    pico = Pico(modules_image(build=True))
    put_files(pico, {})
    pico.write_flash(littlefs_image.START + STORE_FROM * littlefs_image.BLOCK, flash)
    pico.on()
    try:
        setup = BOOT.format(time=time, image=shape.image.hex()) + ON_PICO
        return pico.count("boot(PicoNor())", "import gc\n" + setup + "gc.collect()\n") / CLOCK_HZ
    finally:
        pico.off()


def main() -> int:
    """Print the figures; 1 if a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pico", action="store_true", help="recovery in cycles of the emulated Pico, too (minutes)")
    given = parser.parse_args()
    good = True
    for shape in shapes():
        found = commits(shape)
        count = 5000
        image_limit, quanta = 1000, 100
        busiest = 35_040 * image_limit / quanta
        days = found["records"] / 96
        print(f"{shape.name}: commit of {found['payload']} bytes, record of {found['record']}")
        print(f"  flash programs a commit        {found['on_path'] / count:.3f}, most {found['most']}; limit 1")
        print(f"  ahead of time, each 1,000      {1000 * (found['programs'] - found['on_path']) / count:.0f} programs")
        print(
            f"  sector erases, each 1,000      {1000 * found['erases'] / count:.0f}; on the commit itself {found['late']}"
        )
        print(f"  bytes programmed a commit      {found['written'] / count:.0f}")
        print(f"  wear at the default policy     {years(found, busiest):,.0f} years at the highest declared rate,")
        print(
            f"                                 {years(found, 525_600):,.0f} at a commit a minute; limit {YEARS_LIMIT}"
        )
        print(f"  records held                   {found['records']:,}, {days:.0f} days; limit {RECORD_DAYS_LIMIT}")
        good = good and found["most"] <= 1 and years(found, busiest) >= YEARS_LIMIT and not found["late"]
        with tempfile.TemporaryDirectory() as folder:
            flash, time = full_store(shape, Path(folder))
        instructions = recovery_instructions(shape, flash, time)
        print(f"  recovery, full store           {instructions:,} instructions of a Cortex-M3")
        if given.pico:
            seconds = recovery_seconds(shape, flash, time)
            print(
                f"                                 {1000 * seconds:.0f} ms of a Pico; limit {1000 * RECOVERY_LIMIT_S:.0f}"
            )
            good = good and seconds <= RECOVERY_LIMIT_S
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
