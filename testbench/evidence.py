"""Signed evidence of a meter on a rig: keys given before anybody listens, statements taken away at the end."""

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hostlink import statements
from hostlink.errors import DataError
from hostlink.meter import Meter, connect
from hostlink.records import IntervalRecord
from hostlink.session import Key
from hostlink.statements import Statement
from protocol.session import INSTALLER, KEY_SIZE

SECONDS = 60.0
"""What a meter is given to sign its newest statement."""


@dataclass(frozen=True)
class Evidence:
    """A meter's verified statements and the public key they hold under."""

    serial: str
    public: bytes
    statements: tuple[Statement, ...]

    def write(self, folder: Path) -> tuple[list[Path], Path]:
        """`statements/NUMBER.bin` and `public.json` in `folder`, in place of former ones: their paths."""
        (folder / "statements").mkdir(parents=True, exist_ok=True)
        for former in (folder / "statements").glob("*.bin"):
            former.unlink()
        paths = []
        for statement in self.statements:
            paths.append(folder / "statements" / f"{statement.sequence:06d}.bin")
            paths[-1].write_bytes(statement.raw)
        key = folder / "public.json"
        key.write_text(json.dumps({"meters": {self.serial: self.public.hex()}}, indent=2) + "\n")
        return paths, key


def provision(url: str, address: int = 1) -> Key:
    """Give the meter keys of which only the installer's is kept, and returned: from then on it signs.

    On a line of its own, for they travel in clear.
    """
    with connect(url, address) as meter:
        installer, laboratory, manufacturer = (secrets.token_bytes(KEY_SIZE) for _ in range(3))
        meter.provision(installer, laboratory, manufacturer)
    return Key(INSTALLER, installer)


def collect(meter: Meter, records: Sequence[IntervalRecord]) -> Evidence:
    """The statements of a meter, verified, once the last whole day of `records` is signed. Raises DataError, ProofError."""
    whole = [record.sequence + 1 for record in records if not record.end.timestamp() % 86400]
    limit = time.monotonic() + SECONDS
    while True:
        public = meter.trust().public
        raw = list(statements.read(meter)) if any(public) else []
        found = tuple(statements.verify(data, public) for data in raw)
        if any(public) and (not whole or (found and found[-1].next >= whole[-1])):
            return Evidence(meter.identify().serial, public, found)
        if time.monotonic() > limit:
            raise DataError(f"expected the meter to sign its records below {whole[-1:]}, it has not within {SECONDS:.0f} s")
        time.sleep(0.1)
