"""A machine word with an unknown value: an integer symbol, an interval that it is known to stay in, and the path's facts.

Sums, halves and shifts are linear in integers, so a path through limb code is linear arithmetic but for its products;
a product of two limbs stays one symbol of which only its range, and when it is zero, is known (`lemmas`). A claim
proved without knowing more of the products holds for the real ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import z3

from testbench.errors import TestbenchError

if TYPE_CHECKING:
    from testbench.proof.paths import Path

LIMB = 0xFFFF
WORD = 0xFFFFFFFF


class Refuted(TestbenchError):
    """A claim does not follow: the code is wrong, or more must be assumed; the message has the solver's values."""


class Word:
    """`term` is an integer with `0 <= term <= top <= 2**32 - 1`. Raises Refuted where a step could pass that."""

    __slots__ = ("path", "term", "top")

    def __init__(self, path: Path, term: z3.ArithRef, top: int) -> None:
        if top > WORD:
            path.require(term <= WORD, f"a step stays below 2**32 (its interval ends at {top})")
            top = WORD
        self.path = path
        self.term = term
        self.top = top

    def _other(self, value: Word | int) -> tuple[z3.ArithRef, int]:
        if isinstance(value, Word):
            return value.term, value.top
        return z3.IntVal(value), value

    def __add__(self, other: Word | int) -> Word:
        term, top = self._other(other)
        return Word(self.path, self.term + term, self.top + top)

    __radd__ = __add__

    def __mul__(self, other: Word | int) -> Word:
        if not isinstance(other, Word):
            return Word(self.path, self.term * other, self.top * other)
        return Word(self.path, self.path.product(self, other), self.top * other.top)

    __rmul__ = __mul__

    def __and__(self, mask: int) -> Word:
        if mask & mask + 1:
            raise NotImplementedError(f"only masks of the form 2**n - 1, not {mask:#x}")
        return self if self.top <= mask else self.path.split(self, mask + 1)[1]

    def __rshift__(self, bits: int) -> Word:
        return self.path.split(self, 1 << bits)[0]

    def __or__(self, other: Word | int) -> Word:
        """Only whether the result is zero is kept, and that it is no less than either and no more than both summed."""
        if isinstance(other, int):
            return Word(self.path, self.path.fresh_or(self, z3.IntVal(other)), _ones(max(self.top, other)))
        return Word(self.path, self.path.fresh_or(self, other.term), _ones(max(self.top, other.top)))

    __ror__ = __or__

    def __bool__(self) -> bool:
        return self.path.decide(self.term != 0)

    def __eq__(self, other: object) -> Any:
        raise NotImplementedError("the code under proof compares no unknown words")

    __hash__ = None  # type: ignore[assignment]


def _ones(value: int) -> int:
    return (1 << value.bit_length()) - 1


class Memory:
    """An array of limbs, `array('H')` to the plain twin, where `limbs` begins at index `at`; a `ptr16` to the viper twin.

    kept: whether a store keeps a value's low 16 bits (ptr16); otherwise a larger value is refuted.
    A limb is an int where it is known, a Word where it is not; `written` are the indices stored to.
    """

    def __init__(self, path: Path, limbs: list[Word | int], *, kept: bool) -> None:
        self.path = path
        self.limbs = limbs
        self.written: set[int] = set()
        self.kept = kept

    def __getitem__(self, index: int) -> Word | int:
        return self.limbs[self._inside(index)]

    def __setitem__(self, index: int, value: Word | int) -> None:
        if isinstance(value, Word) and value.top > LIMB:
            if not self.kept:
                self.path.require(value.term <= LIMB, "a stored limb stays below 2**16")
            value = value & LIMB
        elif isinstance(value, int) and not 0 <= value <= LIMB:
            raise Refuted(f"stores {value} as a limb")
        self.limbs[self._inside(index)] = value
        self.written.add(index)

    def _inside(self, index: int) -> int:
        if not 0 <= index < len(self.limbs):
            raise Refuted(f"touches limb {index} of {len(self.limbs)}")
        return index


class Address:
    """A viper pointer, or the `uint` made of one: a place in a memory, in bytes."""

    def __init__(self, memory: Memory, byte: int = 0) -> None:
        self.memory = memory
        self.byte = byte

    def __getitem__(self, index: int) -> Word | int:
        return self.memory[self._index(index)]

    def __setitem__(self, index: int, value: Word | int) -> None:
        self.memory[self._index(index)] = value

    def _index(self, index: int) -> int:
        if self.byte % 2:
            raise Refuted(f"a ptr16 points to byte {self.byte}")
        return self.byte // 2 + index

    def __add__(self, bytes_: int) -> Address:
        return Address(self.memory, self.byte + bytes_)

    def __sub__(self, bytes_: int) -> Address:
        return Address(self.memory, self.byte - bytes_)

    def __eq__(self, other: object) -> bool:
        return self.byte == self._same(other)

    def __gt__(self, other: Address) -> bool:
        return self.byte > self._same(other)

    def _same(self, other: object) -> int:
        if not isinstance(other, Address) or other.memory is not self.memory:
            raise Refuted("compares pointers into different arrays")
        return other.byte

    __hash__ = None  # type: ignore[assignment]
