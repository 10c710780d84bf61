"""Instructions and heap of the meter's arithmetic on a Cortex-M3, and of what one would write instead.

A sample is one count of a channel, added to one 128-bit accumulator with a 64-bit constant, carried and checked. Batched is
what one more row costs in a plan of many; one call is a whole call of `accumulate` for one row, its arguments in locals. The
mean is over counts of one to sixteen bits. The last lines are whole samples of a meter, bytecode included.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hostlink.profile import ready
from hostlink.profile.compiler import compile_profile
from testbench.bench.device.c_code import inline
from testbench.emulators.mps2 import Mps2
from testbench.micropython import device_root
from testbench.rigs.mps2 import Mps2Rig

HERE = Path(__file__).parent
ROWS = 32
FACTOR = 0xC0DE_BA5E_F00D_1234
COUNTS = (1, 2, 3, 5, 10, 100, 1000, 0xFFFF)


class Measurement(NamedTuple):
    """`instructions` executed for one sample, `allocated` bytes of heap left; peer: not ours, to compare with."""

    name: str
    instructions: float
    allocated: int
    limit: int | None = None
    peer: bool = False


_SETUP = f"""
import array, gc, micropython
from firmware import kernel, native
state = array.array('H', bytes(16 * {ROWS}))
plan = array.array('H', bytes(4 + 22 * {ROWS}))
counts = array.array('H', [0, 0])
sums = array.array('Q', bytes(16 * {ROWS}))
factors = array.array('Q', [{FACTOR}] * {ROWS})
count = array.array('I', [0])
def rows(number, width=8, factor={FACTOR}):
    plan[0] = number
    plan[1 + 11 * number] = 0
    for n in range(number):
        base = 1 + 11 * n
        plan[base] = 8 * n
        plan[base + 1] = width
        limbs = 0
        for limbs in kernel.FACTOR_SIZES:
            if factor < 1 << 16 * limbs: break
        for n in range(limbs):
            plan[base + 3 + n] = factor >> 16 * n & 0xffff
        plan[base + 2] = limbs
def allocated(function):
    function()
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    function()
    after = gc.mem_alloc()
    gc.enable()
    return after - before
def nothing():
    pass
"""

_FLOAT = "global total; total += pulses * factor"
_CALL = "accumulate(state, plan, counts)"


def measure() -> Iterator[Measurement]:
    """Raises TestbenchError where the board, its image or the C compiler is missing."""
    root = device_root()
    with Mps2([root / "protocol", root / "firmware"]) as board:
        board.run(_SETUP)
        board.run("import micropython\n" + inline(HERE / "limbs.c", "limbs_in_c", 3))
        board.run(inline(HERE / "words.c", "words_in_c", 4))
        yield Measurement("C, the same loop in 16-bit limbs, batched", _batched(board, "limbs_in_c"), 0, peer=True)
        yield Measurement("C, 64-bit arithmetic, batched", _words(board), 0, peer=True)
        viper = _bytes(board, "native.accumulate(state, plan, counts)")
        yield Measurement("accumulate, batched", _batched(board, "native.accumulate"), viper, 150)
        yield Measurement("accumulate, batched, 112-bit factor", _batched(board, "native.accumulate", 1 << 111), viper)
        yield Measurement("accumulate, batched, a channel's index", _batched(board, "native.accumulate", 1, 4), viper)
        yield Measurement("accumulate, one call, one row", _call(board, "native.accumulate"), viper, 750)
        scaled = _bytes(board, "native.scale(plan, 4, 1, 0)")
        yield Measurement("scale, one call", board.count("native.scale(plan, 4, 1, 0)"), scaled)
        plain = _bytes(board, "kernel.accumulate(state, plan, counts)")
        yield Measurement("accumulate, plain twin, batched", _batched(board, "kernel.accumulate"), plain, peer=True)
        yield from _instead(board)
    for profile in ("natural-gas", "natural-gas-pt"):
        yield from _samples(profile)


def _samples(profile: str) -> Iterator[Measurement]:
    """Whole samples of a meter under a ready profile: one count, its conditions as before or changed."""
    (made,) = compile_profile(ready.load(profile))
    with Mps2Rig(made.data, time=0) as rig:
        for number, condition in enumerate(made.profile.conditions.values()):
            rig.run(f"bench.conditions[{number}].value = {(condition.low + condition.high) // 2}")
        rig.run("def sample(low, value=bench.conditions[0].value):\n    bench.inputs[0].low = low\n"
                "    bench.conditions[0].value = value\n    bench.sample()\nsample(1)")  # fmt: skip
        yield Measurement(f"{profile}: sample, nothing counted", rig.count("sample(0)"), 0)
        yield Measurement(f"{profile}: sample, counted", rig.count("sample(1)"), 0)
        if made.profile.conditions:
            changed = "sample(1, bench.conditions[0].value + 1)"
            yield Measurement(f"{profile}: sample, counted, a condition changed", rig.count(changed), 0)


def _per_row(board: Mps2, call: str, give: str) -> float:
    """Mean over COUNTS of what one row more costs in `call`, run after `give` was formatted with the count."""
    total = 0
    for count in COUNTS:
        board.run(f"rows({ROWS // 2})")
        none = board.count(f"{give.format(count=count)}; {call.format(rows=ROWS // 2)}")
        board.run(f"rows({ROWS})")
        total += board.count(f"{give.format(count=count)}; {call.format(rows=ROWS)}") - none
    return total / len(COUNTS) / (ROWS - ROWS // 2)


def _batched(board: Mps2, function: str, factor: int = FACTOR, width: int = 8) -> float:
    board.run(f"def rows(number, rows=rows): rows(number, {width}, {factor})\nfor n in range(len(state)): state[n] = 0")
    try:
        return _per_row(board, f"{function}(state, plan, counts)", "counts[0] = {count}")
    finally:
        board.run(_SETUP)


def _words(board: Mps2) -> float:
    return _per_row(board, "words_in_c(sums, factors, count, {rows})", "count[0] = {count}")


def _call(board: Mps2, function: str) -> float:
    board.run(
        f"rows(1)\ndef once(accumulate={function}, state=state, plan=plan, counts=counts): counts[0] = 7; {_CALL}"
    )
    board.run("def but(accumulate=0, state=state, plan=plan, counts=counts): counts[0] = 7")
    return board.count("once()") - board.count("but()")


def _bytes(board: Mps2, statement: str) -> int:
    """Heap that one line leaves behind."""
    board.run(f"rows(1)\ndef line():\n    counts[0] = 7\n    {statement}")
    return int(board.run("print(allocated(line) - allocated(nothing))"))


def _instead(board: Mps2) -> Iterator[Measurement]:
    board.run("total = 1000.5\npulses = 3\nfactor = 0.475")
    yield Measurement("float: total += pulses * factor", board.count(_FLOAT), _bytes(board, _FLOAT), peer=True)
    board.run(f"total = 1 << 100\npulses = 3\nfactor = {FACTOR}")
    yield Measurement("big integers: total += pulses * factor", board.count(_FLOAT), _bytes(board, _FLOAT), peer=True)
