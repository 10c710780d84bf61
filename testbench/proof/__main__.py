"""`python -m testbench.proof`: proves the device's arithmetic for all inputs and prints what was proved, with the time it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from rich.console import Console
from rich.table import Table

from testbench.proof import kernel, lemmas, source, surface
from testbench.proof.words import Refuted

Claim = tuple[str, Callable[[], object]]
"""What is claimed, and the call that proves it; it returns the number of paths through the code, if there are any."""


def claims() -> Iterator[Claim]:
    """Everything that is proved, each about the firmware's own source."""
    for what, formula in lemmas.lemmas():
        yield f"32-bit words: {what}", partial(lemmas.prove, formula, what)
    for twin in kernel.twins(source.text):
        yield f"{twin.name}.accumulate: rows add one after another", partial(kernel.prove_plan, twin)
        for width, limbs in twin.shapes():
            what = f"{twin.name}.accumulate: exact or full, {16 * limbs}-bit factor, {16 * width}-bit accumulator"
            yield what, partial(kernel.prove_row, twin, width, limbs)
        yield f"{twin.name}.load: the row has the factor", partial(kernel.prove_load, twin)
        yield f"{twin.name}.scale: exact, or said to be lost", partial(kernel.prove_scale, twin)
    yield (
        "Surface.at: small integers, inside its table, between its nodes",
        partial(surface.prove_surface, source.text("tables")),
    )


def main() -> int:
    console = Console()
    table = Table("proved for all inputs", "paths", "s", box=None, min_width=100)
    for what, prove in claims():
        begin = time.perf_counter()
        try:
            paths = prove()
        except Refuted as error:
            console.print(table)
            console.print(f"REFUTED {what}: {error}", style="red", markup=False, soft_wrap=True)
            return 1
        table.add_row(what, str(paths or ""), f"{time.perf_counter() - begin:.2f}")
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
