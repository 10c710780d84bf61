"""The arithmetic against big integers and rational numbers: plain and compiled twin, on MicroPython of 64 and of 32 bits."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from hostlink.profile.image import Channel, ProfileImage, Register, Term
from protocol import registers as r
from testbench import micropython
from testbench.emulators.mps2 import Mps2

FACTOR_AT = 3
LIMBS = 8
FACTOR_SIZES = (1, 4, 5, 7)
PRESETS = (0x3FFFFFFF, 0x7FFFFFFF, 0xFFFFFFFF)

TWINS = """
import binascii
from array import array
from firmware import kernel, kernel_viper

def words(text):
    return array('H', binascii.unhexlify(text))

def both(cases):
    '''Each case through both twins; what each returned, and the state after it.'''
    result = []
    for state, plan, counts in cases:
        answers = []
        for twin in (kernel, kernel_viper):
            limbs = words(state)
            given = words(counts)
            answers.append([twin.accumulate(limbs, words(plan), given), binascii.hexlify(bytes(limbs)).decode()])
            assert not any(given)   # taken in
        result.append(answers)
    return result

def scaled(cases):
    result = []
    for plan, low, high in cases:
        answers = []
        for twin in (kernel, kernel_viper):
            limbs = words(plan)
            answers.append([twin.scale(limbs, kernel.FACTOR_AT, low, high), binascii.hexlify(bytes(limbs)).decode()])
        result.append(answers)
    return result

def totals(cases):
    return [
        [twin.total(memoryview(binascii.unhexlify(data)), size) for twin in (kernel, kernel_viper)] for data, size in cases
    ]
"""


def limbs(value: int, count: int) -> bytes:
    return value.to_bytes(2 * count, "little")


def edge(random_: random.Random, bits: int) -> int:
    """A number below 2**bits: most often one whose words are all ones, all zeros or a preset."""
    pick = random_.random()
    if pick < 0.3:
        return random_.getrandbits(bits)
    if pick < 0.5:
        return (1 << bits) - 1 - random_.getrandbits(min(bits, random_.randrange(1, 20)))
    if pick < 0.6:
        return 0
    words = [random_.choice((*PRESETS, 0, 1, 0x80000000)) for _ in range(-(-bits // 32))]
    return sum(word << 32 * n for n, word in enumerate(words)) % (1 << bits)


def plan_case(random_: random.Random) -> tuple[list, str, int]:
    """A random plan over one state; what the state must be after it, and whether an accumulator was too full."""
    channels = random_.randrange(1, 4)
    counts = [edge(random_, 32) if random_.random() < 0.8 else 0 for _ in range(channels)]
    widths = [random_.choice((2, 4, 6, 8)) for _ in range(random_.randrange(1, 5))]
    values = [edge(random_, 16 * width) for width in widths]
    starts = [sum(widths[:n]) for n in range(len(widths))]
    state = b"".join(limbs(v, w) for v, w in zip(values, widths, strict=True))
    plan = b""
    failed = 0
    for count in counts:
        rows = random_.randrange(1, 4)
        plan += limbs(rows, 1)
        for _ in range(rows):
            target = random_.randrange(len(widths))
            size = random_.choice([size for size in FACTOR_SIZES if size < widths[target]])
            constant = edge(random_, 16 * size)
            plan += b"".join(limbs(x, 1) for x in (starts[target], widths[target], size)) + limbs(constant, LIMBS)
            values[target] += constant * count
            if values[target] >> 16 * widths[target]:
                values[target] = (1 << 16 * widths[target]) - 1
                failed = 1
    after = b"".join(limbs(v, w) for v, w in zip(values, widths, strict=True))
    count_words = b"".join(limbs(count, 2) for count in counts)
    return [state.hex(), (plan + limbs(0, 1)).hex(), count_words.hex()], after.hex(), failed


def scale_case(random_: random.Random) -> tuple[list, str, bool]:
    constant = edge(random_, random_.choice((16, 64, 100, 128)))
    factor = edge(random_, random_.choice((8, 16, 30, 32)))
    product = constant * factor
    plan = bytes(2 * FACTOR_AT) + limbs(constant, LIMBS)
    after = bytes(2 * FACTOR_AT) + limbs(product & (1 << 128) - 1, LIMBS)
    return [plan.hex(), factor & 0xFFFF, factor >> 16], after.hex(), bool(product >> 128)


def check_accumulate(answers: list, cases: list) -> None:
    for (_, after, failed), (plain, compiled) in zip(cases, answers, strict=True):
        assert plain == [failed, after]
        assert compiled == plain


def check_scale(answers: list, cases: list) -> None:
    for (_, after, lost), ((plain_lost, plain), (compiled_lost, compiled)) in zip(cases, answers, strict=True):
        assert (plain_lost != 0, compiled_lost != 0) == (lost, lost)
        if not lost:
            assert plain == compiled == after


def total_case(random_: random.Random) -> tuple[str, int]:
    size = random_.choice((0, 1, 257, 4096, random_.randrange(300)))
    data = random_.choice((random_.randbytes(size), b"\xff" * size))
    return data.hex(), random_.choice((size, random_.randrange(size + 1)))


def check_totals(answers: list, cases: list) -> None:
    for (data, size), found in zip(cases, answers, strict=True):
        assert found == [sum(bytes.fromhex(data)[:size]) % 65536] * 2


def test_twins_are_big_integers() -> None:
    random_ = random.Random(1)
    cases = [plan_case(random_) for _ in range(6000)]
    assert {bool(failed) for _, _, failed in cases} == {True, False}
    check_accumulate(micropython.evaluate(TWINS + "result = both(given)", [case for case, _, _ in cases]), cases)
    cases = [scale_case(random_) for _ in range(6000)]
    check_scale(micropython.evaluate(TWINS + "result = scaled(given)", [case for case, _, _ in cases]), cases)
    sums = [total_case(random_) for _ in range(200)]
    check_totals(micropython.evaluate(TWINS + "result = totals(given)", sums), sums)


@pytest.mark.pico
def test_twins_are_big_integers_on_32_bits(mps2: Mps2) -> None:
    random_ = random.Random(32)
    mps2.run(TWINS)
    for _ in range(4):
        cases = [plan_case(random_) for _ in range(50)]
        check_accumulate(eval(mps2.run(f"print(both({[case for case, _, _ in cases]!r}))")), cases)
        cases = [scale_case(random_) for _ in range(50)]
        check_scale(eval(mps2.run(f"print(scaled({[case for case, _, _ in cases]!r}))")), cases)
    sums = [total_case(random_) for _ in range(20)]
    check_totals(eval(mps2.run(f"print(totals({sums!r}))")), sums)


MILLION = """
import binascii, random
from firmware.integrator import Integrator
from firmware.conditions import Conditions
from protocol.image import Image
image = Image(binascii.unhexlify(given['image']))
integrator = Integrator(image, Conditions(image, ()))
counts = integrator.counts
random.seed(given['seed'])
masks = given['masks']
sums = [0] * len(masks)
result = []
getrandbits = random.getrandbits
for part in range(given['parts']):
    for _ in range(given['steps']):
        at = 0
        for n, mask in enumerate(masks):
            count = getrandbits(30) & mask
            sums[n] += count
            counts[at] = count & 0xFFFF
            counts[at + 1] = count >> 16
            at += 2
        assert integrator.add()
    for n in range(integrator.increments_at, len(integrator.state)):
        integrator.state[n] = 0
    result.append([list(sums), binascii.hexlify(integrator.bytes).decode()])
"""


def test_a_million_increments_with_any_factor_stay_below_a_milligram() -> None:
    """Three channels, eight factors each, 10⁶ random increments a channel, looked at ten times on the way.

    A factor is any rational number of mg a quantum; its constant is rounded once, to 2⁻³² mg where it is above 1 mg, to
    2⁻⁶⁴ mg below. The registers must be constant × count bit for bit, and differ from the exact sum by less than 1 mg.
    """
    random_ = random.Random(96)
    masks = [1, 0xFFF, 0x7FFF]
    channels = [Channel(r.ACTIVITY, r.ONE, 0, 1, 2**32 - 1) for _ in masks]
    factors = []
    terms = []
    for n, mask in enumerate(masks):
        for _ in range(8):
            size = Fraction(10) ** random_.randrange(-9, 9 if mask < 0x7FFF else 0)  # mg a quantum
            factor = size * random_.randrange(1, 10**9) / random_.randrange(10**9, 2 * 10**9)
            shift = int(factor >= 1)
            terms.append(Term(n, len(factors), round(factor * 2 ** (64 - 32 * shift)), shift))
            factors.append(factor)
    image = ProfileImage("any", channels, [Register(r.CO2, r.EMITTED, r.GRAM, -3)] * len(factors), terms)
    given = {"image": image.pack().hex(), "seed": 7, "masks": masks, "parts": 10, "steps": 100_000}
    checkpoints = micropython.evaluate(MILLION, given)
    assert len(checkpoints) == 10
    for sums, state in checkpoints:
        data = bytes.fromhex(state)
        assert [int.from_bytes(data[8 * n : 8 * n + 8], "little") for n in range(len(masks))] == sums
        for n, (term, factor) in enumerate(zip(terms, factors, strict=True)):
            at = 8 * len(masks) + 16 * n
            register = int.from_bytes(data[at : at + 16], "little")
            total = sums[term.channel]
            assert register == term.constant * total << 32 * term.shift
            assert abs(Fraction(register, 1 << 64) - factor * total) < 1, (factor, total)
    assert checkpoints[-1][0][2] > 10**10


def test_float32_stops_at_8192_kg_and_is_a_percent_wrong_at_442_kg_where_ours_is_exact() -> None:
    """The anchor: `total += pulses * factor` in kg, 1 Wh pulses at 475 g/kWh, as many a meter does it; ours beside it."""
    import numpy as np

    step = np.float32(0.000475)
    total = np.float32(0)
    pulses = 0
    wrong_at = 0.0
    while total + step != total:
        chunk = np.full(1 << 16, step, dtype=np.float32)
        chunk[0] += total
        totals = np.cumsum(chunk, dtype=np.float32)
        if not wrong_at:
            exact = (pulses + np.arange(1, 1 + len(totals))) * 0.000475
            wrong = np.abs(totals / exact - 1) > 0.01
            wrong_at = float(totals[wrong.argmax()]) if wrong.any() else 0.0
        total = totals[-1]
        pulses += len(totals)
    assert float(total) == 8192
    assert round(wrong_at) == 442
    parts = ProfileImage(
        "grid", [Channel(r.ENERGY, r.WATT_HOUR, 0, 1, 2**32 - 1)], [Register(r.CO2, r.EMITTED, r.GRAM, -3)],
        [Term(0, 0, 475 << 32, 1)],
    )  # fmt: skip
    code = MILLION.replace("getrandbits(30) & mask", "mask")
    given = {"image": parts.pack().hex(), "seed": 0, "masks": [1 << 16], "parts": 1, "steps": pulses >> 16}
    ((sums, state),) = micropython.evaluate(code, given)
    assert sums == [pulses]
    assert int.from_bytes(bytes.fromhex(state)[8:24], "little") == 475 * pulses << 64
