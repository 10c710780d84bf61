"""The exact reference: what a meter's registers should be, in rational numbers, knowing nothing of limbs."""

from collections.abc import Iterable
from fractions import Fraction


def exact(factor: Fraction, counts: Iterable[int]) -> Fraction:
    """`factor` (register units a quantum) times the sum of `counts`."""
    return factor * sum(counts)


def running(factor: Fraction, counts: Iterable[int]) -> Iterable[Fraction]:
    """The exact register after each count."""
    total = 0
    for count in counts:
        total += count
        yield factor * total


def constant(raw: int, shift: int) -> Fraction:
    """The factor that a term's quantized constant stands for: `raw * 2**(32 * shift - 64)` register units a quantum."""
    return Fraction(raw << (32 * shift), 1 << 64)
