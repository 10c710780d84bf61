"""Points as CSV, one row each."""

import csv
from pathlib import Path
from typing import Any

COLUMNS = (
    "id",
    "suite",
    "check",
    "what",
    "measured",
    "unit",
    "low",
    "high",
    "expanded",
    "k",
    "verdict",
    "certifies",
    "requirement",
    "note",
)


def write(result: dict[str, Any], path: Path) -> None:
    """All points with document, edition, clause and status of the requirement."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "conditions", "document", "edition", "clause", "status"])
        for point in result["points"]:
            requirement = result["requirements"][point["requirement"]]
            conditions = "; ".join(f"{name} = {value} {unit}".strip() for name, value, unit in point["conditions"])
            place = [requirement[key] for key in ("document", "edition", "clause", "status")]
            writer.writerow([*(point[column] for column in COLUMNS), conditions, *place])
