"""The station's book: one record a unit in SQLite, and the text of its label."""

from __future__ import annotations

import json
import sqlite3
import threading
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

from hostlink.errors import UsageError

RUNNING, PASSED, FAILED = "running", "passed", "failed"

_TABLE = """
create table if not exists unit (
    uid text primary key,           -- serial number of the board's flash chip
    serial text not null unique,    -- the meter's
    result text not null,           -- running, passed, failed
    step text not null,             -- the last one begun
    reason text not null,           -- why it failed
    port text not null,
    attempts integer not null,
    started text not null,          -- UTC, of the last attempt
    finished text not null,
    detail text not null            -- JSON: versions, digests, measurements
)
"""


@dataclass
class Unit:
    """One unit, as it is now."""

    uid: str
    serial: str
    port: str
    result: str = RUNNING
    step: str = ""
    reason: str = ""
    attempts: int = 1
    started: str = ""
    finished: str = ""
    detail: dict = field(default_factory=dict)


class Ledger:
    """Units by the serial number of their flash, in the file `path`; threads may share one. Raises UsageError."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        try:
            self._database = sqlite3.connect(path, check_same_thread=False, timeout=10)
            self._database.execute(_TABLE)
            self._database.commit()
        except sqlite3.DatabaseError as error:
            raise UsageError(f"expected a station's records in {path}, or a new file: {error}") from None

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def begin(self, uid: str, port: str, pattern: str) -> Unit:
        """The record of a unit whose flashing begins: its serial number is the one it had, else the next of `pattern`.

        pattern: text with `{}` or `{:06d}` for a running number, or the whole serial number of one unit.
        """
        with self._lock:
            now = _now()
            row = self._database.execute("select serial, attempts from unit where uid = ?", (uid,)).fetchone()
            serial, attempts = row if row else (self._next(pattern), 0)
            unit = Unit(uid, serial, port, attempts=attempts + 1, started=now)
            try:
                self._database.execute(
                    "insert into unit values (:uid, :serial, :result, '', '', :port, :attempts, :started, '', '{}')"
                    " on conflict (uid) do update set result = :result, port = :port, attempts = :attempts, reason = '',"
                    " started = :started, finished = '', detail = '{}'",
                    asdict(unit),
                )
            except sqlite3.IntegrityError:
                raise UsageError(f"serial number {serial} belongs to another board: give each unit its own") from None
            self._database.commit()
            return unit

    def save(self, unit: Unit) -> None:
        """Write the unit's record down."""
        with self._lock:
            if unit.result != RUNNING:
                unit.finished = _now()
            self._database.execute(
                "update unit set result = :result, step = :step, reason = :reason, finished = :finished, detail = :detail"
                " where uid = :uid",
                asdict(unit) | {"detail": json.dumps(unit.detail, sort_keys=True)},
            )
            self._database.commit()

    def units(self) -> list[Unit]:
        """All units by serial number."""
        names = [column.name for column in fields(Unit)]
        with self._lock:
            rows = self._database.execute(f"select {', '.join(names)} from unit order by serial").fetchall()
        found = [dict(zip(names, row, strict=True)) for row in rows]
        return [Unit(**row | {"detail": json.loads(row["detail"])}) for row in found]

    def unit(self, serial: str) -> Unit | None:
        """The unit with that serial number."""
        return next((unit for unit in self.units() if unit.serial == serial), None)

    def _next(self, pattern: str) -> str:
        if "{" not in pattern:
            return pattern
        taken = {row[0] for row in self._database.execute("select serial from unit")}
        number = len(taken) + 1
        while (serial := pattern.format(number)) in taken:
            number += 1
        return serial


def label(unit: Unit) -> str:
    """The text of a unit's label, a line a fact."""
    detail = unit.detail
    lines = [
        f"Serial number  {unit.serial}",
        f"Hardware       {detail.get('hardware', '')}",
        f"Firmware       {detail.get('firmware', '')}  {detail.get('software', '')[:8]}",
        f"Profile        {detail.get('profile', '')[:16]}",
        f"Address        {detail.get('address', '')}",
        f"Tested         {unit.finished[:10]}",
    ]
    if detail.get("calibration"):
        lines.append(f"Calibrated     {detail['calibration'][-1]['at'][:10]}")
    return "\n".join(lines) + "\n"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
