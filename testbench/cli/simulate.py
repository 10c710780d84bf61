"""`tonne simulate`: a meter to talk to, on a port of this computer."""

import itertools
import time
from pathlib import Path
from typing import Annotated

import typer

from hostlink.errors import UsageError
from testbench import series as measured
from testbench.demo import gas_profile
from testbench.rigs.unix import UnixRig

STEP = 0.1
SPEED = 60.0
RIGS = ("unix", "pico")


def simulate(
    speed: Annotated[
        float, typer.Option(help="seconds of the meter's time a second of ours", min=0.1, max=100_000)
    ] = SPEED,
    seconds: Annotated[float, typer.Option(help="end after so many seconds; 0 goes on until interrupted")] = 0.0,
    port_file: Annotated[Path | None, typer.Option(help="also write the port's name to this file")] = None,
    rig: Annotated[
        str,
        typer.Option(
            help="unix: a process; pico: the emulated Raspberry Pi Pico, as fast as it can be, a row of the series a second"
        ),
    ] = "unix",
) -> None:
    """Start the demo meter, print the port it serves, and feed it the measured furnace over and over."""
    if rig not in RIGS:
        raise UsageError(f"--rig: expected {' or '.join(RIGS)}, got {rig!r}")
    if rig == "pico" and speed != SPEED:
        raise UsageError("--rig pico has the Pico's own time, some 15 s of ours a second: leave out --speed")
    source = measured.furnace_gas()
    image, _ = gas_profile(measured.CUBIC_FOOT)
    if rig == "pico":
        _pico(image, source, seconds, port_file)
        return
    with UnixRig(image, time=int(time.time())) as meter:
        _serving(meter.url, "", port_file)
        _feed(meter, source, speed, seconds)


def _serving(url: str, more: str, port_file: Path | None) -> None:
    print(f"serving on {url}{more}  (tonne read --port {url}; Ctrl-C ends it)", flush=True)
    if port_file:
        port_file.write_text(url)


def _pico(image: bytes, source: measured.Series, seconds: float, port_file: Path | None) -> None:
    from testbench.emulators.edges import pulse_train
    from testbench.rigs.pico import PicoRig

    with PicoRig(image) as rig:
        _serving(rig.url, f" (UART) and {rig.usb_url} (USB)", port_file)
        ends = time.monotonic() + seconds
        for _, count in itertools.cycle(source):
            if count:
                rig.edges(0, pulse_train(count, float(count)))
            following = rig.now() + 1.0
            while rig.now() < following:
                time.sleep(STEP)
                if seconds and time.monotonic() >= ends:
                    return


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
