"""Runs a function on unknown words along every path it can take, and asks the solver what holds on each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import z3

from testbench.proof.words import LIMB, Refuted, Word

T = TypeVar("T")


class Path:
    """One way through the code: the decisions taken, and the facts that hold on it."""

    def __init__(self, decisions: list[bool], logic: str) -> None:
        self._planned = decisions
        self.taken: list[bool] = []
        self.open: list[list[bool]] = []
        self._logic = logic
        self._kept: list[z3.BoolRef] = []
        self._solver = z3.SolverFor(logic)
        self._products: dict[tuple[int, int], z3.ArithRef] = {}
        self._splits: dict[tuple[int, int], tuple[Word, Word]] = {}
        self._names = 0

    def limb(self, name: str) -> Word:
        """An unknown limb."""
        term = z3.Int(name)
        self._solver.add(term >= 0, term <= LIMB)
        return Word(self, term, LIMB)

    def integer(self, name: str, low: int, high: int) -> z3.ArithRef:
        """An unknown integer within limits."""
        term = z3.Int(name)
        self.assume(term >= low, term <= high)
        return term

    def assume(self, *facts: z3.BoolRef) -> None:
        """Facts about what the code is given."""
        self._solver.add(*facts)

    def keep(self) -> None:
        """All that is known now stays known when the path is told to forget."""
        self._kept = list(self._solver.assertions())

    def forget(self) -> None:
        """Know only what was kept: fewer facts prove less, and are decided sooner."""
        self._solver = z3.SolverFor(self._logic)
        self._solver.add(*self._kept)

    def quotient(self, term: z3.ArithRef, divisor: z3.ArithRef) -> z3.ArithRef:
        """`term // divisor`, rounded down; the divisor must be positive."""
        self.require(divisor > 0, "a divisor is positive")
        high, low = self._fresh("quotient"), self._fresh("remainder")
        self._solver.add(term == divisor * high + low, low >= 0, low < divisor)
        return high

    def product(self, a: Word, b: Word) -> z3.ArithRef:
        """The product of two limbs as one symbol; `lemmas` proves what is assumed of it."""
        if max(a.top, b.top) > LIMB:
            raise Refuted(f"multiplies words of up to {a.top} and {b.top}; limbs are below 2**16")
        low, high = sorted((a, b), key=lambda word: word.term.get_id())
        key = (low.term.get_id(), high.term.get_id())
        if key not in self._products:
            term = self._fresh("product")
            self._solver.add(term >= 0, term <= low.top * high.top, (term == 0) == z3.Or(low.term == 0, high.term == 0))
            self._products[key] = term
        return self._products[key]

    def split(self, word: Word, at: int) -> tuple[Word, Word]:
        """Quotient and remainder of a word by a power of two."""
        key = (word.term.get_id(), at)
        if key not in self._splits:
            high, low = self._fresh("high"), self._fresh("low")
            self._solver.add(word.term == at * high + low, high >= 0, low >= 0, low < at)
            self._splits[key] = Word(self, high, word.top // at), Word(self, low, min(word.top, at - 1))
        return self._splits[key]

    def fresh_or(self, word: Word, other: z3.ArithRef) -> z3.ArithRef:
        """A symbol for the bitwise or of two words."""
        term = self._fresh("either")
        self._solver.add(term >= word.term, term >= other, term <= word.term + other)
        return term

    def decide(self, condition: z3.BoolRef) -> bool:
        """The truth of a condition that the code asks for; where it can be either, the other way stays open."""
        if len(self.taken) < len(self._planned):
            choice = self._planned[len(self.taken)]
        else:
            can, can_not = (self._solver.check(way) != z3.unsat for way in (condition, z3.Not(condition)))
            choice = can
            if can and can_not:
                self.open.append([*self.taken, False])
        self._solver.add(condition if choice else z3.Not(condition))
        self.taken.append(choice)
        return choice

    def require(self, claim: z3.BoolRef | bool, what: str) -> None:
        """`claim` follows from the path's facts, and is one of them from here on. Raises Refuted."""
        answer = self._solver.check(z3.Not(claim))
        if answer == z3.sat:
            values = ", ".join(f"{name} = {self._solver.model()[name]}" for name in self._solver.model().decls())
            raise Refuted(f"not so: {what}; for {values}")
        if answer != z3.unsat:
            raise Refuted(f"undecided: {what}; the solver says {self._solver.reason_unknown()}")
        self._solver.add(claim)

    def _fresh(self, name: str) -> z3.ArithRef:
        self._names += 1
        return z3.Int(f"{name}{self._names}")


def every_path(run: Callable[[Path], T], logic: str = "QF_LIA") -> Iterator[tuple[Path, T]]:
    """Each path through `run(path)` and what it returned there. logic: the solver's, QF_NIA with products of unknowns."""
    waiting: list[list[bool]] = [[]]
    while waiting:
        path = Path(waiting.pop(), logic)
        result = run(path)
        waiting += path.open
        yield path, result
