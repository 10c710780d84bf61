"""The exact reference: what a meter's registers should be, in rational numbers, knowing nothing of limbs."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from hostlink.profile.compiled import Compiled
from hostlink.profile.exact import slot_at
from protocol.registers import INTENSITY, NO_REGISTER


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


class Exact:
    """What a compiled profile's registers should be, in rational numbers: formulas, tables and equations of state unquantized.

    Tells the device's rules (clamped conditions, twins in error, intensities held over an interval) from the profile alone.
    """

    def __init__(self, made: Compiled) -> None:
        self.made = made
        self.registers = [Fraction(0)] * len(made.registers)
        self._conditions = list(made.profile.conditions.values())
        self._surfaces: dict[tuple[str, int, int], Fraction] = {}
        self._at = {name: n for n, name in enumerate(made.profile.conditions)}
        self._slots: dict[str, Fraction] = {}
        self._dated: dict[str, int] = {}

    def begin(self, time: int, intensities: Mapping[str, int | None] | None = None) -> None:
        """An interval begins at UNIX second `time`; `intensities` raw by condition, None where none is at hand."""
        for condition in self._conditions:
            if condition.quantity == INTENSITY:
                value = (intensities or {}).get(condition.name)
                good = value is not None and condition.low <= value <= condition.high
                self._dated[condition.name] = value if value is not None and good else condition.fallback
        self._slots = {name: slot_at(self.made, name, time) for name in self.made.slots}

    def step(self, counts: Sequence[int], inputs: Sequence[int | None]) -> None:
        """`counts[n]` quanta on channel n while condition n measured `inputs[n]` (raw; None: missing)."""
        values: dict[str, int] = dict(self._dated)
        wrong = set()
        for n, condition in enumerate(self._conditions):
            if condition.quantity != INTENSITY:
                value = inputs[n]
                used = condition.fallback if value is None else min(max(value, condition.low), condition.high)
                values[condition.name] = used
                if used != value:
                    wrong.add(condition.name)
        for row in self.made.rows:
            count = counts[row.channel]
            if not count:
                continue
            amount = row.exact * count
            error = False
            for name in row.inputs:
                factor, bad = self._factor(name, values, wrong)
                amount *= factor
                error |= bad
            self.registers[row.twin if error and row.twin != NO_REGISTER else row.register] += amount

    def _factor(self, name: str, values: Mapping[str, int], wrong: set[str]) -> tuple[Fraction | int, bool]:
        if name in values:
            return values[name], name in wrong
        if name in self._slots:
            return self._slots[name], False
        conversion = self.made.profile.conversions[name]
        p, t = values[conversion.pressure], values[conversion.temperature]
        key = (name, p, t)
        if key not in self._surfaces:
            surface = self.made.surfaces[name]
            self._surfaces[key] = surface.exact(p, t) / surface.scale
        return self._surfaces[key], bool(wrong & {conversion.pressure, conversion.temperature})
