"""`firmware.kernel` and `firmware.kernel_viper`: what a row adds is exact, and full exactly when it must be.

One row is proved for every shape that `firmware.integrator` makes and every content of memory. A row writes nothing but
its own accumulator, and rows run one after another (both proved too), so a whole plan follows by induction.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator

import z3

from testbench.proof import source
from testbench.proof.paths import Path, every_path
from testbench.proof.words import Address, Memory, Refuted, Word

_GUARD = 7
"""Limbs of this value lie before and behind what the code may touch."""


class Kernel:
    """A twin's functions on symbols."""

    def __init__(self, name: str, module: types.SimpleNamespace, layout: types.SimpleNamespace, *, viper: bool) -> None:
        """module: the twin; layout: `firmware.kernel`, which defines what a plan looks like.

        viper: whether the twin takes pointers, whose stores keep 16 bits.
        """
        self.name = name
        self.layout = layout
        self._module = module
        self._viper = viper

    def memory(self, path: Path, limbs: list[Word | int]) -> Memory:
        return Memory(path, limbs, kept=self._viper)

    def accumulate(self, state: Memory, plan: Memory, counts: Memory) -> Word | int:
        return self._module.accumulate(*map(self._argument, (state, plan, counts)))

    def load(self, plan: Memory, at: int, factor: Memory) -> None:
        self._module.load(self._argument(plan), at, self._argument(factor))

    def scale(self, plan: Memory, at: int, low: Word, high: Word) -> Word | int:
        return self._module.scale(self._argument(plan), at, low, high)

    def _argument(self, memory: Memory) -> Memory | Address:
        return Address(memory) if self._viper else memory

    def row(self, at: int, width: int, factor: list[Word]) -> list[Word | int]:
        """A plan row; what lies behind the factor is a guard that would spoil the sum."""
        return [at, width, len(factor), *factor, *[_GUARD] * (self.layout.FACTOR_LIMBS - len(factor))]

    def shapes(self) -> Iterator[tuple[int, int]]:
        """(width, limbs) of every row that may be: a register's lower half may be left out, an index has 4, an increment 2."""
        return ((width, limbs) for width in (2, 4, 6, 8) for limbs in self.layout.FACTOR_SIZES if limbs < width)


def twins(text: Callable[[str], str]) -> list[Kernel]:
    """Both twins; `text(name)` is the source of firmware module `name`."""
    plain, viper = (source.load(text(name)) for name in ("kernel", "kernel_viper"))
    return [Kernel("kernel", plain, plain, viper=False), Kernel("kernel_viper", viper, plain, viper=True)]


def prove_row(kernel: Kernel, width: int, limbs: int) -> int:
    """One row of `width` accumulator limbs and `limbs` factor limbs; returns the number of paths. Raises Refuted."""

    def run(path: Path) -> tuple[list[Word], list[Word], list[Word], Memory, Memory, Word | int]:
        state = [path.limb(f"s{n}") for n in range(width)]
        factor = [path.limb(f"e{n}") for n in range(limbs)]
        count = [path.limb(f"c{n}") for n in range(2)]
        memory = kernel.memory(path, [_GUARD, *state, _GUARD])
        plan = kernel.memory(path, [1, *kernel.row(1, width, factor), 0])
        counts = kernel.memory(path, [*count])
        failed = kernel.accumulate(memory, plan, counts)
        _wrote(plan, range(0))
        _wrote(memory, range(1, 1 + width))
        return state, factor, count, memory, counts, failed

    paths = 0
    for path, (state, factor, count, memory, counts, failed) in every_path(run):
        paths += 1
        exact = _value(state) + _product(path, factor, count)
        full = (1 << 16 * width) - 1
        after = _value(memory.limbs[1 : 1 + width])
        path.require(after == z3.If(exact <= full, exact, full), "the accumulator is the exact sum, or full")
        path.require(_reports(failed, exact > full), "overflow is reported exactly when the exact sum does not fit")
        path.require(_value(counts.limbs) == 0, "the count is taken")
    return paths


def prove_plan(kernel: Kernel) -> int:
    """Two channels, two rows each, all on one accumulator: each row adds its channel's count to what those before left."""
    width = 2

    def run(path: Path) -> tuple[list[Word], list[Word], list[Word], Memory, Word | int]:
        state = [path.limb(f"s{n}") for n in range(width)]
        factors = [path.limb(f"e{n}") for n in range(4)]
        count = [path.limb(f"c{n}") for n in range(2)]
        memory = kernel.memory(path, [*state])
        plan: list[Word | int] = []
        for channel in range(2):
            plan.append(2)
            for n in range(2):
                plan += kernel.row(0, width, [factors[2 * channel + n]])
        # The high limbs are zero: what a row makes of one is `prove_row`'s matter.
        counts = kernel.memory(path, [count[0], 0, count[1], 0])
        failed = kernel.accumulate(memory, kernel.memory(path, [*plan, 0]), counts)
        return state, factors, count, memory, failed

    paths = 0
    full = (1 << 16 * width) - 1
    for path, (state, factors, count, memory, failed) in every_path(run):
        paths += 1
        total = _value(state)
        overflows = []
        for n, factor in enumerate(factors):
            exact = total + path.product(factor, count[n // 2])
            overflows.append(exact > full)
            total = z3.If(exact <= full, exact, full)
        path.require(_value(memory.limbs) == total, "each row adds to what the rows before it left")
        path.require(_reports(failed, z3.Or(*overflows)), "an overflow in any row is reported")
    return paths


def prove_load(kernel: Kernel) -> None:
    """`load` puts a factor into its row and touches nothing else."""
    path = Path([], "QF_LIA")
    at, size = kernel.layout.FACTOR_AT, kernel.layout.FACTOR_LIMBS
    limbs = [path.limb(f"e{n}") for n in range(size)]
    plan, factor = kernel.memory(path, [_GUARD] * (at + size + 1)), kernel.memory(path, [*limbs])
    kernel.load(plan, at, factor)
    _wrote(factor, range(0))
    _wrote(plan, range(at, at + size))
    path.require(_value(plan.limbs[at : at + size]) == _value(limbs), "the row has the factor")


def prove_scale(kernel: Kernel) -> int:
    """`scale` multiplies a row's factor by 32 bits exactly, and says so exactly when the product does not fit."""
    at = kernel.layout.FACTOR_AT
    size = kernel.layout.FACTOR_LIMBS

    def run(path: Path) -> tuple[list[Word], list[Word], Memory, Word | int]:
        limbs = [path.limb(f"e{n}") for n in range(size)]
        factor = [path.limb("low"), path.limb("high")]
        plan = kernel.memory(path, [*[_GUARD] * at, *limbs, _GUARD])
        lost = kernel.scale(plan, at, *factor)
        _wrote(plan, range(at, at + size))
        return limbs, factor, plan, lost

    paths = 0
    whole = 1 << 16 * size
    for path, (limbs, factor, plan, lost) in every_path(run):
        paths += 1
        exact = _product(path, limbs, factor)
        after = _value(plan.limbs[at : at + size])
        path.require(_reports(lost, exact >= whole), "loss is reported exactly when the product does not fit")
        path.require(z3.Or(exact >= whole, after == exact), "a product that fits is exact")
    return paths


def _value(limbs: list[Word] | list[Word | int]) -> z3.ArithRef:
    return sum((_term(limb) * (1 << 16 * n) for n, limb in enumerate(limbs)), start=z3.IntVal(0))


def _product(path: Path, a: list[Word], b: list[Word]) -> z3.ArithRef:
    """The exact product, by distributivity over the products of limbs."""
    terms = (path.product(x, y) * (1 << 16 * (n + m)) for n, x in enumerate(a) for m, y in enumerate(b))
    return sum(terms, start=z3.IntVal(0))


def _reports(flag: Word | int, happened: z3.BoolRef) -> z3.BoolRef:
    return (_term(flag) != 0) == happened


def _term(value: Word | int) -> z3.ArithRef:
    return value.term if isinstance(value, Word) else z3.IntVal(value)


def _wrote(memory: Memory, allowed: range) -> None:
    if not memory.written <= set(allowed):
        raise Refuted(f"writes limbs {sorted(memory.written - set(allowed))}, which are not its own")
