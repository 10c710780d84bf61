"""Writes profile images (`protocol.image`) from typed parts."""

from collections.abc import Sequence
from dataclasses import dataclass

from protocol import image as layout
from protocol.registers import CONSUMED, NO_REGISTER


@dataclass(frozen=True)
class Channel:
    """A count of quanta of `mantissa * 10**exponent unit`; `limit` is the most quanta of one interval."""

    quantity: int
    unit: int
    exponent: int
    mantissa: int
    limit: int
    direction: int = CONSUMED


@dataclass(frozen=True)
class Condition:
    """A live input in `10**exponent unit`, valid from `low` to `high`; `source` numbers the board's input."""

    quantity: int
    unit: int
    exponent: int
    source: int
    low: int
    high: int
    fallback: int


@dataclass(frozen=True)
class Register:
    """An accumulator in `10**exponent unit`."""

    quantity: int
    direction: int
    unit: int
    exponent: int


@dataclass(frozen=True)
class Term:
    """`constant * 2**(32 * shift - 64)` of the register's unit a quantum, times up to three factors."""

    channel: int
    register: int
    constant: int
    shift: int
    factors: tuple[int, ...] = ()
    error_register: int = NO_REGISTER


@dataclass(frozen=True)
class Table:
    """A table's kind and data."""

    kind: int
    data: bytes


@dataclass(frozen=True)
class ProfileImage:
    """All parts of an image, in the order of `protocol.image.HEADER`."""

    name: str
    channels: Sequence[Channel]
    registers: Sequence[Register]
    terms: Sequence[Term]
    conditions: Sequence[Condition] = ()
    tables: Sequence[Table] = ()
    interval: int = 900
    volume: int = NO_REGISTER
    energy: int = NO_REGISTER
    emissions: int = NO_REGISTER
    commit_quanta: int = 100
    commit_seconds: int = 900
    valid_from: int = 0
    valid_to: int = 0xFFFFFFFF
    utc_offset: int = 0

    def pack(self) -> bytes:
        """The image's bytes. Raises `protocol.image.ImageError` if the meter would refuse them."""
        body = b""
        for c in self.channels:
            body += layout.CHANNEL.pack(c.quantity, c.direction, c.unit, c.exponent, c.mantissa, c.limit)
        for k in self.conditions:
            body += layout.CONDITION.pack(k.quantity, k.unit, k.exponent, k.source, k.low, k.high, k.fallback)
        for r in self.registers:
            body += layout.REGISTER.pack(r.quantity, r.direction, r.unit, r.exponent)
        for t in self.terms:
            factors = (*t.factors, *[layout.NO_FACTOR] * (3 - len(t.factors)))
            body += layout.TERM.pack(t.channel, t.register, t.error_register, t.shift, t.constant, *factors)
        for table in self.tables:
            body += layout.TABLE.pack(table.kind, len(table.data)) + table.data
        header = layout.HEADER.pack(
            layout.MAGIC,
            layout.FORMAT,
            layout.HEADER.size + len(body),
            self.interval,
            len(self.channels),
            len(self.conditions),
            len(self.registers),
            len(self.terms),
            len(self.tables),
            self.volume,
            self.energy,
            self.emissions,
            self.commit_quanta,
            self.commit_seconds,
            self.valid_from,
            self.valid_to,
            self.utc_offset,
            self.name.encode()[:32],
        )
        packed = header + body
        layout.Image(packed)
        return packed
