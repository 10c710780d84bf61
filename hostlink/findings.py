"""What a verification says: counts and totals that add up, findings that join. Merge results of any shards in any order."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hostlink.values import Amount, Register
from protocol import registers

FAULT = "fault"
NOTICE = "notice"

KINDS = {
    "file": "a file is not what the manifest says: altered, missing or cut",
    "meter": "records of another meter than the archive has them under: captures or meters were exchanged",
    "gap": "records are missing: taken out, or never read from the meter",
    "tail": "the meter had more records when it was read: the newest are missing",
    "duplicate": "a record is there twice, the same both times; counted once",
    "conflict": "two different records of one number: at least one was not written by the meter",
    "order": "records do not come in the order the meter has them; put in order by their numbers",
    "chain": "the hash chain breaks: the record, or its link, is not what the meter wrote",
    "clock": "the clock was set, or the time steps without the meter saying so",
    "index": "a channel's index does not go on by what the interval counted",
    "register": "a register is not what the profile makes of the counts, or goes down",
    "profile": "no profile image at hand has the tag that the record carries, or it changes unsaid",
    "certificate": "outside of what the profile's certificate covers: its bound does not hold for this record",
    "statement": "a signed statement is not by the meter's key, or says something else than its records",
}
"""Kinds of findings, and what each means."""


class Finding(NamedTuple):
    """Something that does not prove (a fault), or that an inspector will want to know (a notice).

    Of records `first` to `last` of `meter`, or of the file `meter`.
    """

    kind: str
    meter: str
    first: int
    last: int
    text: str
    severity: str = FAULT


Total = tuple[int, int, int, int]
"""Quantity, direction, unit and exponent of a register."""


@dataclass
class Result:
    """What was verified. All counts are of records unless they say so; `totals` in 2**-64 of the register's unit."""

    meters: int = 0
    records: int = 0
    chained: int = 0
    replayed: int = 0
    anchored: int = 0
    frames: int = 0
    files: int = 0
    statements: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    totals: Counter[Total] = field(default_factory=Counter)

    def merge(self, other: "Result") -> "Result":
        """Take in another shard's result; returns self."""
        for name in ("meters", "records", "chained", "replayed", "anchored", "frames", "files", "statements"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.refused.update(other.refused)
        self.findings.extend(other.findings)
        self.totals.update(other.totals)
        return self

    @property
    def faults(self) -> list[Finding]:
        """The findings that do not prove, in order of meter and record."""
        return sorted(finding for finding in self.findings if finding.severity == FAULT)

    @property
    def proved(self) -> bool:
        """Whether there are records and all of them prove."""
        return bool(self.records) and not self.faults

    @property
    def notices(self) -> list[Finding]:
        """The findings that prove and are worth a look."""
        return sorted(finding for finding in self.findings if finding.severity == NOTICE)

    def as_json(self) -> dict[str, Any]:
        """Plain values, totals as decimal text."""
        return {
            "schema": 1,
            "proved": self.proved,
            "meters": self.meters,
            "records": self.records,
            "chain_checked": self.chained,
            "replayed": self.replayed,
            "anchored_by_statements": self.anchored,
            "statements": self.statements,
            "frames": self.frames,
            "files": self.files,
            "refused": dict(sorted(self.refused.items())),
            "totals": [{"register": name, "unit": unit, "value": value} for name, value, unit in self.total_rows()],
            "findings": [finding._asdict() for finding in (*self.faults, *self.notices)],
        }

    def total_rows(self) -> list[tuple[str, str, str]]:
        """Each total by name: value as exact decimal text, and unit."""
        rows = []
        for (quantity, direction, unit, exponent), raw in sorted(self.totals.items()):
            amount = Amount(raw, registers.UNITS.get(unit, str(unit)), exponent, fraction_bits=registers.FRACTION_BITS)
            rows.append((Register(0, quantity, direction, amount).name, f"{amount.decimal:f}", amount.unit))
        return rows


def merged(results: Iterable[Result]) -> Result:
    """All results as one."""
    total = Result()
    for result in results:
        total.merge(result)
    return total
