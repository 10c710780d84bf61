"""`tonne simulate`: a meter to talk to, on a port of this computer."""

import time
from pathlib import Path
from typing import Annotated

import typer

from testbench import series as measured
from testbench.demo import gas_profile
from testbench.rigs.unix import UnixRig

STEP = 0.1


def simulate(
    speed: Annotated[
        float, typer.Option(help="seconds of the meter's time a second of ours", min=0.1, max=100_000)
    ] = 60.0,
    seconds: Annotated[float, typer.Option(help="end after so many seconds; 0 goes on until interrupted")] = 0.0,
    port_file: Annotated[Path | None, typer.Option(help="also write the port's name to this file")] = None,
) -> None:
    """Start the demo meter, print the port it serves, and feed it the measured furnace over and over."""
    source = measured.furnace_gas()
    image, _ = gas_profile(measured.CUBIC_FOOT)
    with UnixRig(image, time=int(time.time())) as rig:
        print(f"serving on {rig.url}  (tonne read --port {rig.url}; Ctrl-C ends it)", flush=True)
        if port_file:
            port_file.write_text(rig.url)
        _feed(rig, source, speed, seconds)


def _feed(rig: UnixRig, source: measured.Series, speed: float, seconds: float) -> None:
    started = last = time.monotonic()
    start = source.times[0]
    rows = iter(source)
    row = next(rows)
    played = 0
    while not seconds or time.monotonic() - started < seconds:
        time.sleep(STEP)
        now = time.monotonic()
        step = int(1000 * speed * (now - last))
        last += step / 1000 / speed
        played += step
        rig.clock.advance(step)
        while row[0] - start <= played / 1000:
            if row[1]:
                rig.stimulus.pulses(0, row[1])
            following = next(rows, None)
            if following is None:
                rows, played = iter(source), 0
                following = next(rows)
            row = following
        rig.clock.settle()
