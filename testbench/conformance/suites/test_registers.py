"""Registers: every carry, resolution, units, capacity, the end of a register, and that none ever goes down."""

import itertools
from fractions import Fraction

from hostlink.profile.image import Channel, ProfileImage, Register, Term
from hostlink.replay import FULL, Replay
from protocol import messages
from protocol import registers as r
from protocol import status as flags
from protocol.image import Image
from testbench.conformance import profiles
from testbench.conformance.bench import START, Bench
from testbench.conformance.plan import Plan
from testbench.conformance.suites import cases
from testbench.conformance.suites.wire import answers, request

REGISTERS = "tonne-registers"
HOURS_AT_MOST = 8000
EMISSIONS = 4
"""Where a short reading has them."""


def constant_profile(constant: int, shift: int) -> bytes:
    """One channel of 1 Wh; a register that gains constant × 2**(32 shift - 64) mg a quantum."""
    image = ProfileImage(
        f"constant {constant:x} << {32 * shift}",
        [Channel(r.ENERGY, r.WATT_HOUR, 0, 1, 2**32 - 1)],
        [Register(r.CO2, r.EMITTED, r.GRAM, -3)],
        [Term(0, 0, constant, shift)],
        energy=0,
        emissions=1,
    )
    return image.pack()


def carries(plan: Plan) -> list[tuple[int, int]]:
    """Constants whose multiples run carries through every limb of an accumulator."""
    ones = [(1 << 16 * limbs) - 1 for limbs in range(1, 5)]
    ends = [1 << 16 * limbs for limbs in range(4)]
    odd = [0x8000_0001, 0x0001_0000_FFFF, 0xFFFE_0001_FFFF_0001]
    return [(constant, shift) for shift in (0, 1) for constant in (*ones, *ends, *odd)]


@cases(carries)
def test_carry(bench: Bench, case: tuple[int, int]) -> None:
    """Counts of every size, compared with integers of any width after each."""
    image = constant_profile(*case)
    model = Replay(Image(image))
    model.begin(START)
    wrong = []
    with bench.device(image) as device:
        for n in range(40):
            count = bench.random.choice((1, 2, 0xFFFF, 0x10000, 0x10001, 0xFFFFFF, bench.random.randrange(1 << 24)))
            device.pulses(0, count)
            model.step([count])
            indices, registers = device.raw()
            if indices != model.indices or registers != model.registers:
                wrong.append(
                    f"step {n}: {registers[0]:x}, exact {model.registers[0]:x}; index {indices[0]}, exact {model.indices[0]}"
                )
    bench.none(
        "registers.carry",
        REGISTERS,
        wrong,
        "of 40 steps, not exact",
        [("constant", f"{case[0]:x} << {32 * case[1]}", "")],
    )


@cases(lambda plan: [24, 31, 32, 40, 48, 53, 56, 63])
def test_small_steps_on_a_large_total(bench: Bench, case: int) -> None:
    """Single quanta of 0.83 mg on a register that already holds 2**case mg: none is lost in rounding."""
    image = ProfileImage(
        "small steps",
        [Channel(r.ENERGY, r.WATT_HOUR, 0, 1, 2**32 - 1), Channel(r.MASS, r.GRAM, 0, 1, 2**32 - 1)],
        [Register(r.CO2, r.EMITTED, r.GRAM, -3)],
        [Term(0, 0, 0xD431_7B65, 1), Term(1, 0, (1 << min(case + 32, 64)) - 0xD431, 1)],
        energy=0,
        emissions=2,
    ).pack()
    model = Replay(Image(image))
    model.begin(START)
    with bench.device(image) as device:
        for counts in [[0, 1 << max(case - 32, 0)], *[[1, 0]] * 200]:
            for channel, count in enumerate(counts):
                if count:
                    device.pulses(channel, count)
            device.advance(1)
            model.step(counts)
        _, registers = device.raw()
    difference = Fraction(registers[0] - model.registers[0], 1 << 64)
    bench.point(
        "registers.small_steps",
        REGISTERS,
        difference,
        low=0,
        high=0,
        unit="mg",
        what="less exact, after 200 single quanta",
        conditions=[("register", f"2^{case}", "mg")],
    )


def test_resolution(bench: Bench) -> None:
    """Every quantum shows in the index and in the emissions register, and reading and register agree."""
    profile = bench.profile
    lost, wrong, differ = [], [], []
    with bench.device(profile.image) as device:
        for n in range(1, bench.plan.quanta + 1):
            device.pulses(0, 1)
            device.settle()
            now, reading = device.meter.registers(), device.meter.ask(messages.READING)
            if now.registers[0].amount.whole != n:
                lost.append(f"after {n} quanta: {now.registers[0].amount.whole}")
            if abs(now.registers[1].amount.fraction * 1000 - n * profile.factor) > Fraction(1, 1000):
                wrong.append(f"after {n} quanta: {now.registers[1].amount}, exact {float(n * profile.factor):.3f} mg")
            shown = profile.counted(reading), messages.READING_REPLY.unpack_from(reading)[EMISSIONS]
            if shown != (n, int(n * profile.factor)):
                differ.append(f"after {n} quanta: {shown}")
    bench.none(
        "registers.resolution", "mid-resolution", lost, f"of {bench.plan.quanta} quanta, not shown at once by the index"
    )
    bench.none(
        "registers.emission_resolution",
        REGISTERS,
        wrong,
        f"of {bench.plan.quanta} quanta, emission more than 1 µg from exact",
    )
    bench.none(
        "registers.reading",
        "tonne-messages",
        differ,
        f"of {bench.plan.quanta} readings, not the registers' whole units",
    )


def test_units(bench: Bench) -> None:
    """Quantity, direction, unit and exponent of every register as the profile has them."""
    for profile in (bench.profile, profiles.named("electricity")):
        image = Image(profile.image)
        expected = [(q, d, u, e, m) for q, d, u, e, m, _ in image.channels] + [
            (q, d, u, e, 1) for q, d, u, e in image.registers
        ]
        with bench.device(profile.image) as device:
            got = [
                (x.quantity, x.direction, x.amount.unit, x.amount.exponent, x.amount.mantissa)
                for x in device.meter.registers().registers
            ]
        wrong = [
            f"{g} instead of {e}"
            for g, e in zip(got, expected, strict=False)
            if g != (e[0], e[1], r.UNITS[e[2]], e[3], e[4])
        ]
        wrong += [] if len(got) == len(expected) else [f"{len(got)} registers instead of {len(expected)}"]
        bench.none("registers.units", REGISTERS, wrong, "registers described wrongly", [("profile", profile.name, "")])


def test_capacity(bench: Bench) -> None:
    """Index and emissions register hold more than 8 000 h at the highest rate (MI-002 5.3), as the rated values have it."""
    plan = bench.plan
    if plan.flow:
        quanta = plan.flow.maximum * HOURS_AT_MOST / profiles.named(plan.flow.profile).quantum
        bench.point(
            "registers.capacity",
            "mid-resolution",
            Fraction(1 << 64) / quanta,
            low=1,
            what="index capacity / 8 000 h at Qmax",
        )
        whole = quanta * profiles.named(plan.flow.profile).factor
        bench.point(
            "registers.capacity",
            "mid-resolution",
            Fraction(1 << 64) / whole,
            low=1,
            what="emission capacity / 8 000 h at Qmax",
        )
    if plan.load:
        watts = plan.load.elements * plan.load.voltage * plan.load.maximum
        bench.point(
            "registers.capacity",
            "mid-resolution",
            Fraction(1 << 64) / (watts * 4000),
            low=1,
            what="index capacity / 4 000 h at Imax",
        )


def test_full_register(bench: Bench) -> None:
    """At its end a register stays there and says so; the index goes on."""
    with bench.device(constant_profile((1 << 64) - 1, 1)) as device:
        values = []
        for _ in range(6):
            device.pulses(0, 0x3FFF_FFFF)
            indices, registers = device.raw()
            values.append(registers[0])
        status = device.meter.reading().status
    bench.none(
        "registers.full",
        REGISTERS,
        [hex(b) for a, b in itertools.pairwise(values) if b < a],
        "steps down at the end",
    )
    bench.point("registers.full", REGISTERS, int(values[-1] >> 32 != FULL >> 32), high=0, what="not at its end")
    bench.point("registers.full_flag", REGISTERS, int(bool(status & flags.SATURATED)), low=1, what="flagged")
    bench.point(
        "registers.full_index", REGISTERS, indices[0] - 6 * 0x3FFF_FFFF, low=0, high=0, what="quanta lost by the index"
    )


def test_high_rate(bench: Bench) -> None:
    """More quanta than the profile's highest rate are counted all the same, and flagged."""
    profile = bench.profile
    limit = Image(profile.image).channels[0][5]
    with bench.device(profile.image) as device:
        for count in (limit, limit + 1, 2**29):
            device.pulses(0, count)
            device.advance(900)
        device.settle()
        records = list(device.meter.records())
    counted = sum(record.increments[0] for record in records)
    bench.point(
        "registers.high_rate",
        REGISTERS,
        counted - (2 * limit + 1 + 2**29),
        low=0,
        high=0,
        what="quanta lost or clamped",
    )
    flagged = [bool(record.status & flags.RATE_HIGH) for record in records]
    bench.point("registers.rate_flag", REGISTERS, int(flagged != [False, True, True]), high=0, what="flagged wrongly")


def test_not_resettable(bench: Bench) -> None:
    """Nothing that a host without authority can send makes a register smaller."""
    with bench.device(bench.profile.image) as device:
        device.pulses(0, 123_456)
        before = device.raw()
        down = []
        for message, (name, layout, _, _) in messages.CATALOGUE.items():
            for body in (bytes(layout.size), b"\xff" * layout.size, bench.random.randbytes(layout.size)):
                answers(device, request(device, message, body))
                now = device.raw()
                if any(a < b for a, b in zip(now[0] + now[1], before[0] + before[1], strict=True)):
                    down.append(f"{name} with {body.hex()[:40]}")
                before = now
    bench.none("registers.not_resettable", "mid-not-resettable", down, "requests that made a register smaller")


def test_monotonic(bench: Bench) -> None:
    """Readings at random moments over days of random consumption."""
    profile = bench.profile
    down, given = [], 0
    with bench.device(profile.image) as device:
        before: tuple[list[int], list[int]] = ([0], [0])
        for _ in range(150):
            count = bench.random.randrange(1 << bench.random.randrange(1, 18))
            device.pulses(0, count)
            given += count
            device.advance(bench.random.randrange(1, 7200))
            now = device.raw()
            if now[0][0] < before[0][0] or now[1][0] < before[1][0]:
                down.append(f"{before} then {now}")
            before = now
    bench.none("registers.monotonic", "mid-not-resettable", down, "of 150 readings, below the one before")
    bench.point("registers.sum", REGISTERS, before[0][0] - given, low=0, high=0, what="index less quanta given")
