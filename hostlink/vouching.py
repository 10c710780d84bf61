"""Signed statements held against the records of an archive: which chain heads they vouch for, and what does not hold."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hostlink import statements
from hostlink.errors import DataError, ProofError, UsageError
from hostlink.findings import NOTICE, Finding


@dataclass
class Vouched:
    """`heads` is the chain's head behind the record of that number; records below `signed_below` are under a signature."""

    heads: dict[int, bytes] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    statements: int = 0
    signed_below: int = 0


def publics(path: Path) -> dict[str, bytes]:
    """Public keys by serial number from the JSON of `tonne keys show-public`. Raises UsageError."""
    try:
        return {serial: bytes.fromhex(key) for serial, key in json.loads(path.read_text())["meters"].items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise UsageError(f"expected the JSON of `tonne keys show-public` in {path}") from None


def vouch(meter: str, serial: str, said: Iterable[tuple[str, bytes]], public: bytes | None) -> Vouched:
    """What the statements `said` (name and bytes) of a meter vouch for under its public key.

    `meter` is its name in findings. Without a key nothing is vouched for, and a notice says so.
    """
    found = Vouched()
    held = list(said)
    if held and public is None:
        text = f"{len(held)} signed statement(s) and no public key to verify them with; name it with --public"
        found.findings.append(Finding("statement", meter, 0, 0, text, NOTICE))
        return found
    verified = []
    for name, data in held:
        try:
            statement = statements.verify(data, public or b"")
        except (DataError, ProofError) as error:
            found.findings.append(Finding("statement", meter, 0, 0, f"{name}: {error}"))
            continue
        if statement.serial != serial:
            text = f"{name} is of meter {statement.serial}"
            found.findings.append(Finding("statement", meter, statement.first, statement.next - 1, text))
            continue
        verified.append(statement)
        found.heads[statement.next - 1] = statement.record_head
    verified.sort(key=lambda statement: statement.sequence)
    proof = statements.prove(verified)
    found.findings += [Finding("statement", meter, 0, 0, text) for text in proof.wrong]
    found.statements = len(verified)
    found.signed_below = proof.signed_below
    return found


def tail(meter: str, following: int, signed_below: int) -> list[Finding]:
    """Records that were signed and are not there: those held end before number `following`."""
    if following >= signed_below:
        return []
    text = f"records {following} to {signed_below - 1} were signed and are not here: the tail was cut off"
    return [Finding("statement", meter, following, signed_below - 1, text)]
