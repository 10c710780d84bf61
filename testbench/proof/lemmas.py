"""What `words` takes for granted of 32-bit machine arithmetic, proved on bit-vectors for every pair of words."""

from __future__ import annotations

from collections.abc import Iterator

import z3

from testbench.proof.words import LIMB, Refuted


def lemmas() -> Iterator[tuple[str, z3.BoolRef]]:
    """Each assumption in words, and as a formula that must hold for all values of its variables."""
    a, b = z3.BitVecs("a b", 32)
    wide_a, wide_b = z3.ZeroExt(32, a), z3.ZeroExt(32, b)
    limbs = z3.And(z3.ULE(a, LIMB), z3.ULE(b, LIMB))
    yield "a product of two limbs fits a word", z3.Implies(limbs, z3.ZeroExt(32, a * b) == wide_a * wide_b)
    yield "a product of two limbs is at most 65535 ** 2", z3.Implies(limbs, z3.ULE(a * b, LIMB * LIMB))
    yield "it is zero only if a limb is", z3.Implies(limbs, (a * b == 0) == z3.Or(a == 0, b == 0))
    yield (
        "a sum below 2**32 is the exact sum",
        z3.Implies(z3.ULE(wide_a + wide_b, 0xFFFFFFFF), z3.ZeroExt(32, a + b) == wide_a + wide_b),
    )
    yield (
        "halves are quotient and remainder by 2**16",
        z3.And(
            z3.LShR(a, 16) == z3.UDiv(a, z3.BitVecVal(1 << 16, 32)), a & LIMB == z3.URem(a, z3.BitVecVal(1 << 16, 32))
        ),
    )
    yield "halves make the word again", (z3.LShR(a, 16) << 16) + (a & LIMB) == a
    yield (
        "an or is no less than either, no more than both",
        z3.And(z3.UGE(a | b, a), z3.UGE(a | b, b), z3.ULE(z3.ZeroExt(32, a | b), wide_a + wide_b)),
    )


def prove(claim: z3.BoolRef, what: str) -> None:
    """Raises Refuted with values for which `claim` is false."""
    solver = z3.Solver()
    solver.add(z3.Not(claim))
    answer = solver.check()
    if answer != z3.unsat:
        raise Refuted(f"not so: {what}; for {solver.model() if answer == z3.sat else solver.reason_unknown()}")
