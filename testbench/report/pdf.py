"""The report as PDF, set by typst from the JSON itself: `report.typ` is the layout."""

import shutil
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

from hostlink.errors import UsageError
from testbench.report.dcc import identification


def write(result: dict[str, Any], path: Path) -> None:
    """The report in `path`; plots are taken from its folder. Raises UsageError if typst is not installed."""
    try:
        import typst
    except ImportError:
        raise UsageError("expected the typesetter typst: pip install 'tonne[lab]'") from None
    layout = resources.files(__package__) / "report.typ"
    with tempfile.TemporaryDirectory(prefix="tonne-report-") as folder:
        work = Path(folder)
        (work / "report.typ").write_text(layout.read_text(encoding="utf-8"), encoding="utf-8")
        shutil.copy(path.with_name("results.json"), work / "results.json")
        plots = sorted(path.parent.glob("*.svg"))
        for plot in plots:
            shutil.copy(plot, work)
        inputs = {"plots": ",".join(plot.name for plot in plots), "identification": identification(result)}
        typst.compile(
            str(work / "report.typ"), output=str(path), root=folder, sys_inputs=inputs, ignore_system_fonts=True
        )
