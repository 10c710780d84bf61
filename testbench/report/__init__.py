"""Renderings of a conformance run's one result, `results.json`: PDF, Digital Calibration Certificate, JUnit XML, CSV, plots.

No rendering computes a number: each prints the text that the JSON holds. A test compares them digit by digit.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testbench.conformance.results import RESULTS
from testbench.report import dcc, junit, pdf, plots, table

Result = dict[str, Any]

RENDERINGS: dict[str, Callable[[Result, Path], None]] = {
    "report.pdf": pdf.write,
    "certificate.xml": dcc.write,
    "junit.xml": junit.write,
    "points.csv": table.write,
}


def write(folder: Path) -> list[Path]:
    """Render the `results.json` in `folder` into it, all or nothing; the paths of what was written, plots included.

    A result without a measured value has no certificate: there would be nothing in it. Raises OSError if the disk does not
    take them; renderings of an earlier result are gone then, too.
    """
    for path in (*folder.glob("*.svg"), *(folder / name for name in RENDERINGS)):
        path.unlink(missing_ok=True)
    text = (folder / RESULTS).read_text(encoding="utf-8")
    result = json.loads(text)
    with tempfile.TemporaryDirectory(prefix=".reports-", dir=folder) as work:
        (Path(work) / RESULTS).write_text(text, encoding="utf-8")
        written = plots.write(result, Path(work))
        for name, render in RENDERINGS.items():
            render(result, Path(work) / name)
            written += [Path(work) / name] if (Path(work) / name).exists() else []
        return [path.replace(folder / path.name) for path in written]
