"""Renderings of a conformance run's one result, `results.json`: PDF, Digital Calibration Certificate, JUnit XML, CSV, plots.

No rendering computes a number: each prints the text that the JSON holds. A test compares them digit by digit.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testbench.report import dcc, junit, pdf, plots, table

Result = dict[str, Any]

RENDERINGS: dict[str, Callable[[Result, Path], None]] = {
    "report.pdf": pdf.write,
    "certificate.xml": dcc.write,
    "junit.xml": junit.write,
    "points.csv": table.write,
}


def write(folder: Path) -> list[Path]:
    """Render the `results.json` in `folder` into it; the paths of what was written, plots included.

    A result without a measured value has no certificate: there would be nothing in it.
    """
    result = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    written = plots.write(result, folder)
    for name, render in RENDERINGS.items():
        path = folder / name
        path.unlink(missing_ok=True)
        render(result, path)
        if path.exists():
            written.append(path)
    return written
