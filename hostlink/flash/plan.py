"""What boards shall become: everything that one run of a station has for all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hostlink.calibrate.plan import Plan as CalibrationPlan
from hostlink.calibrate.run import Bench
from hostlink.flash.compile import software_digest
from hostlink.flash.ledger import Unit
from hostlink.keys import KeyFile

Progress = Callable[[str, int, int], None]
"""Told the step, what of it is done, and its total."""
Reference = Callable[[Unit], Sequence[int | Sequence[int]]]
"""Feeds a known number of quanta to each channel of a unit and returns them, or the fewest and the most that may be counted."""


@dataclass(frozen=True)
class Plan:
    """What a board shall become. `config` is board.json without the serial number, `pattern` as for `Ledger.begin`.

    erase: clear a filesystem that holds foreign files. reference: for the test of what is counted. keys: the manufacturer's, of
    which each unit's are made; without them a unit stays factory-new. calibration: the bench's steps, which `bench(port)` carries
    out. captures: folder for every byte of the meters' lines, SERIAL.tonne for each. clock: of time-outs. timeout: seconds for a
    reply, where the board is slower than its line. image: digest of what an image of this release has frozen in.
    """

    application: Mapping[str, bytes]
    boot: bytes
    profile: bytes
    config: Mapping[str, Any]
    pattern: str
    erase: bool = False
    reference: Reference | None = None
    keys: KeyFile | None = None
    calibration: CalibrationPlan | None = None
    bench: Callable[[str], Bench] | None = None
    captures: Path | None = None
    clock: Callable[[], float] = time.monotonic
    timeout: float | None = None
    image: bytes = b""
    softwares: tuple[str, ...] = field(init=False)
    """The digests that the meter may name as its software: of `application`, and of an image of the same release."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "softwares", (software_digest(self.application).hex(), self.image.hex()))
