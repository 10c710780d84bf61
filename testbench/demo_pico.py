"""The main job on the real silicon, emulated: a slice of the measured train through the Pico's pin, link and flash.

The Pico's time is dear, so the silence between the series' rows is left out: a row's pulses come at 1 kHz, jittered, and the
power is cut in between. The clock is set so that an interval ends within the slice.
"""

import time as wall
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from hostlink.meter import Identity, connect
from protocol import records as record_layout
from testbench import reference
from testbench.demo import gas_profile
from testbench.rigs.pico import PicoRig
from testbench.series import Series

INTERVAL = 900
LEAD = 4
"""Seconds of the meter's clock from the first pulse to the end of its interval."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Slice:
    """What the meter said of a slice, and what does not hold."""

    identity: Identity
    pulses: int
    measured: Fraction
    """CO2 register, mg."""
    exact: Fraction
    records: int
    boot_s: float
    pico_s: float
    seconds: float
    findings: list[str]


def run(series: Series, pulse: Decimal, pulses: int, progress: Progress) -> Slice:
    """Play rows of `series` until `pulses` have come, with a power cut half-way, and prove registers and records."""
    image, factor = gas_profile(pulse)
    started = wall.monotonic()
    end = (series.times[0] // INTERVAL + 1) * INTERVAL
    findings: list[str] = []
    with PicoRig(image) as rig:
        boot_s = rig.boot_s
        with connect(rig.url, address=1, clock=rig.now) as meter:
            identity = meter.identify()
            meter.set_clock(end - LEAD)
            total = 0
            for _, count in series:
                if count:
                    rig.stimulus.pulses(0, count)
                    total += count
                    progress("pulses", min(total, pulses), pulses)
                if total >= pulses:
                    break
            rig.settle()
            kept = meter.registers().registers
            while meter.clock().utc.timestamp() < end:
                rig.advance(200)
            rig.settle()
            stored = list(meter.records())
            active = meter.profile()
        progress("power cut", 0, 1)
        rig.power.off()
        rig.power.on()
        with connect(rig.url, address=1, clock=rig.now) as meter:
            after = meter.registers().registers
        progress("power cut", 1, 1)
        pico_s = rig.now()
    (_, _, _, shift, constant, *_) = active.terms[0]
    if active.fingerprint != identity.fingerprint:
        findings.append("the profile read back is not the one the meter names")
    if abs(reference.constant(constant, shift) - factor) > Fraction(1, 1 << 33):
        findings.append("the profile's constant is not the factor, rounded")
    if kept[0].amount.whole != total:
        findings.append(f"the index is {kept[0].amount.whole}, {total} pulses were fed")
    if [register.amount.raw for register in after] != [register.amount.raw for register in kept]:
        findings.append("the registers changed over the power cut")
    head = record_layout.CHAIN_START
    index = 0
    for number, record in enumerate(stored):
        head = record_layout.chain(head, record.raw)
        index += record.increments[0]
        if record.sequence != number or record.link != head[: record_layout.LINK_SIZE]:
            findings.append(f"record {number}: the hash chain breaks here")
        if record.indices[0] != index or record.registers[0] != index * constant << (32 * shift):
            findings.append(f"record {number}: the registers are not those of its increments")
    if not stored or stored[-1].indices[0] != total:
        findings.append("the interval's record does not hold every pulse")
    measured = after[1].amount.fraction * 1000
    exact = factor * total
    seconds = wall.monotonic() - started
    return Slice(identity, total, measured, exact, len(stored), boot_s, pico_s, seconds, findings)
