"""Restatement: when an authority restates a factor, what the archived counts would have made with the new profile.

Old records and signed totals stay as they are. The correction is a record of its own that names both profiles by fingerprint,
and it is computed from records that prove only.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hostlink.errors import ProofError, UsageError
from hostlink.exact import total128
from hostlink.replay import activity_registers
from hostlink.replay_columns import halves, subtract
from hostlink.values import Amount, Register, utc
from hostlink.verify import Shard, verify_shard
from protocol import image as layout
from protocol import registers as r
from protocol.image import Image
from protocol.records import TAG_SIZE

SCHEMA = 1
Spec = tuple[int, int, int, int]


@dataclass(frozen=True)
class Correction:
    """What the records `first` to `last` of a meter gained under the old profile, and what the new one makes of them.

    Gains by register (quantity, direction, unit, exponent), in 2**-64 units.
    """

    meter: str
    first: int
    last: int
    since: datetime
    until: datetime
    old_profile: str
    new_profile: str
    old: dict[Spec, int]
    new: dict[Spec, int]

    def as_json(self) -> dict[str, Any]:
        """The correction record as plain values; gains as decimal text, in 2**-64 units and in the unit."""
        specs = sorted(self.old.keys() | self.new.keys())
        return {
            "schema": SCHEMA,
            "kind": "correction",
            "meter": self.meter,
            "first": self.first,
            "last": self.last,
            "since": f"{self.since:%Y-%m-%dT%H:%M:%SZ}",
            "until": f"{self.until:%Y-%m-%dT%H:%M:%SZ}",
            "old_profile": self.old_profile,
            "new_profile": self.new_profile,
            "registers": [self._register(n, spec) for n, spec in enumerate(specs)],
        }

    def _register(self, number: int, spec: Spec) -> dict[str, Any]:
        old, new = self.old.get(spec, 0), self.new.get(spec, 0)
        return {
            "register": number,
            "quantity": Register(0, spec[0], spec[1], Amount(0, "")).name,
            "unit": f"2^-64 × 1e{spec[3]} {r.UNITS.get(spec[2], spec[2])}",
            "old_gain": str(old),
            "new_gain": str(new),
            "correction": f"{_value(new - old, spec)} {r.UNITS.get(spec[2], spec[2])}",
        }


def restate(shard: Shard, new: Image, since: int = 0, until: int = 1 << 32) -> list[Correction]:
    """A correction for each profile under which the meter's records began from UNIX second `since` to before `until`.

    Raises ProofError if the records do not prove, UsageError if they do not hold what the new profile needs.
    """
    faults = verify_shard(shard).faults
    if faults:
        raise ProofError(
            f"{shard.meter}: expected records that prove, got {len(faults)} fault(s), the first: {faults[0].text}"
        )
    found = []
    for rows in shard.rows.values():
        ordered = rows[np.unique(rows["sequence"], return_index=True)[1]]
        for tag in np.unique(ordered["profile"].view(f"V{TAG_SIZE}")):
            old = Image(shard.images[tag.tobytes()])
            wanted = (ordered["profile"] == tag) & (ordered["start"] >= since) & (ordered["start"] < until)
            if old.fingerprint != new.fingerprint and wanted.any():
                found.append(_correction(shard.meter, old, new, ordered, np.flatnonzero(wanted)))
    return found


def _correction(meter: str, old: Image, new: Image, rows: NDArray[Any], at: NDArray[np.intp]) -> Correction:
    if [c[:5] for c in old.channels] != [c[:5] for c in new.channels]:
        raise UsageError(
            f"{meter}: expected the new profile to have the channels of the old one; only factors can be restated"
        )
    chosen = rows[at]
    gains = [_gain(rows, at, n) for n in range(len(old.registers))]
    totals: dict[Spec, int] = {}
    for n, register in enumerate(old.registers):
        if register[0] != r.ACTIVITY:
            totals[register] = totals.get(register, 0) + gains[n]
    restated: dict[Spec, int] = {}
    for channel, register, twin, shift, constant, *factors in new.terms:
        used = tuple(factor for factor in factors if factor != layout.NO_FACTOR)
        if new.registers[register][0] == r.ACTIVITY:
            continue
        if not used:
            parts = [(register, int(chosen[f"increment{channel}"].sum(dtype="u8")))]
        else:
            activity = activity_registers(old, channel, used)
            if activity is None or new.conditions != old.conditions or new.tables != old.tables:
                raise UsageError(
                    f"{meter}: expected an activity register for the live factors of the new profile in the records"
                )
            twins = (register, register if twin == r.NO_REGISTER else twin)
            parts = [(to, gains[n]) for to, n in zip(twins, dict.fromkeys(activity), strict=False)]
        for to, count in parts:
            spec = new.registers[to]
            restated[spec] = restated.get(spec, 0) + (constant << 32 * shift) * count
    return Correction(
        meter,
        int(chosen["sequence"][0]),
        int(chosen["sequence"][-1]),
        utc(int(chosen["start"][0])),
        utc(int(chosen["start"][-1]) + int(chosen["duration"][-1])),
        old.fingerprint.hex(),
        new.fingerprint.hex(),
        totals,
        restated,
    )


def _gain(rows: NDArray[Any], at: NDArray[np.intp], register: int) -> int:
    """What a register gained over the records `at`; a first record whose predecessor is not there counts from zero if it is
    the meter's first, and is refused otherwise."""
    whole, fraction = halves(rows, register)
    before = at - 1
    first = at[0] == 0
    if first and int(rows["sequence"][0]):
        raise UsageError(
            f"expected the record before record {rows['sequence'][0]}: without it its gain is not known; --since"
        )
    new = (whole[at], fraction[at])
    old = (np.where(before < 0, 0, whole[before]), np.where(before < 0, 0, fraction[before]))
    return total128(*subtract(new, old))


def _value(raw: int, spec: Spec) -> str:
    return f"{Amount(raw, '', spec[3], fraction_bits=r.FRACTION_BITS).decimal:f}"
