"""What was run, a line each in a file that only grows: runs in pieces add up to one count at one state of everything."""

import hashlib
import json
from pathlib import Path
from typing import Any

from testbench.conformance import plan as plans
from testbench.conformance.run import suite_digest
from testbench.micropython import device_root

PLAN = "defects"


def state() -> dict[str, str]:
    """What a result holds for: digests of suites and host, of firmware and protocol, of plan and defects; 16 hex digits each."""
    firmware, collection = hashlib.sha256(), hashlib.sha256(plans.read(PLAN).digest.encode())
    for digest, root, pattern in (
        (firmware, device_root() / "firmware", "*.py"),
        (firmware, device_root() / "protocol", "*.py"),
        (collection, Path(__file__).with_name("collection"), "*.toml"),
    ):
        for path in sorted(root.rglob(pattern)):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return {
        "suite": suite_digest()[:16],
        "firmware": firmware.hexdigest()[:16],
        "collection": collection.hexdigest()[:16],
    }


class Ledger:
    """The rows in `path` whose `keys` are those of the present state, by name; `add` appends one."""

    def __init__(self, path: Path, keys: tuple[str, ...] = ("suite", "firmware", "collection")) -> None:
        self.path = path
        now = state()
        self.state = {key: now[key] for key in keys}
        self.rows: dict[str, dict[str, Any]] = {}
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for line in lines:
            row = json.loads(line)
            if {key: row.get(key) for key in keys} == self.state:
                self.rows[row["name"]] = row

    def add(self, name: str, row: dict[str, Any]) -> None:
        """Keep a result under `name`, on disk at once."""
        row = {"name": name, **self.state, **row}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self.rows[name] = row
