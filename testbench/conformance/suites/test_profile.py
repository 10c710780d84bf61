"""Changing the profile: resumable, checked, from an interval's boundary on, and no register lost."""

import hashlib
from dataclasses import replace
from fractions import Fraction

from hostlink.errors import Refused
from hostlink.profile.image import ProfileImage, Register, Term
from protocol import messages
from protocol import records as layout
from protocol import registers as r
from protocol import status as codes
from protocol import status as flags
from protocol.image import MAX_SIZE, Image
from protocol.intensities import pack
from testbench.conformance import profiles
from testbench.conformance.bench import START, Bench, Device
from testbench.conformance.suites.blobs import begin, commit, refused, send, upload
from testbench.conformance.suites.test_records import chain_faults

PROFILE, DOWNLOAD = "tonne-profile", "welmec-d"
KIND = messages.PROFILE


def other_factor(base: ProfileImage) -> bytes:
    """The profile with one and a half times the factor."""
    term = base.terms[0]
    return replace(base, name="other factor", terms=[replace(term, constant=term.constant * 3 // 2)]).pack()


def readable(device: Device, fingerprint: bytes) -> bytes:
    """The image that the meter still has under a fingerprint; empty if it has it no more."""
    try:
        return bytes(device.meter.profile(fingerprint[: layout.TAG_SIZE]).data)
    except Refused:
        return b""


def test_switch(bench: Bench) -> None:
    """Old intervals keep the old factor, new ones have the new; registers go on."""
    old, new = Image(bench.profile.image), Image(other_factor(bench.profile.parts))
    with bench.device(old.data) as device:
        device.pulses(0, 100)
        device.advance(1000)
        device.pulses(0, 50)
        device.settle()
        effective = upload(device, KIND, new.data)
        device.pulses(0, 7)
        device.settle()
        before = device.meter.identify().fingerprint
        device.advance(800)
        device.pulses(0, 11)
        device.advance(900)
        device.settle()
        records = list(device.meter.records())
        after = device.meter.identify().fingerprint
        indices, registers = device.raw()
        kept = readable(device, old.fingerprint)
        active = bytes(device.meter.profile().data)
    bench.point(
        "profile.effective",
        PROFILE,
        effective - (START + 1800),
        low=0,
        high=0,
        unit="s",
        what="takes effect at the interval's end",
    )
    bench.point("profile.fingerprint", "d31-identification", int(before == old.fingerprint and after == new.fingerprint), low=1,
                what="fingerprint old until then, new after")  # fmt: skip
    bench.point("profile.registers", PROFILE, indices[0] - 168, low=0, high=0, what="quanta lost or doubled")
    constants = [image.terms[0][4] << 32 * image.terms[0][3] for image in (old, new)]
    expected = 157 * constants[0] + 11 * constants[1]
    bench.point(
        "profile.factors",
        PROFILE,
        Fraction(registers[0] - expected, 1 << 64),
        low=0,
        high=0,
        unit="mg",
        what="register less exact: 157 old, 11 new",
    )
    tags = [record.profile for record in records]
    right = [old.fingerprint[:8], old.fingerprint[:8], new.fingerprint[:8]]
    bench.point("profile.tags", "tonne-records", int(tags != right), high=0, what="records with another profile's tag")
    flagged = [bool(record.status & flags.PROFILE_CHANGED) for record in records]
    bench.point(
        "profile.flag",
        PROFILE,
        int(flagged != [False, True, False]),
        high=0,
        what="change flagged elsewhere than in its interval",
    )
    bench.none("profile.chain", "tonne-records", chain_faults(records), "records where the chain breaks")
    bench.point(
        "profile.kept",
        PROFILE,
        int(kept == old.data and active == new.data),
        low=1,
        what="both images can be read back",
    )


def test_download(bench: Bench) -> None:
    """Blocks in any order, interrupted and resumed; and every way a download can be wrong."""
    image = other_factor(bench.profile.parts)
    half = len(image) // 2
    with bench.device(bench.profile.image) as device:
        device.pulses(0, 1)
        device.settle()
        first = begin(device, KIND, image)
        reached = send(device, KIND, image, 0, half)
        again = begin(device, KIND, image)
        ahead = send(device, KIND, image, half + 1, half + 9)
        finished = send(device, KIND, image, again)
        resumed = (first, reached, again, ahead, finished) == (0, half, half, half, len(image))
        bench.point("profile.resume", DOWNLOAD, int(resumed), low=1, what="resumes where it was interrupted")
        commit(device, KIND, image)
        wrong = {
            "another digest": (refused(device, KIND, image, bytes(32)), codes.BAD_DIGEST),
            "a bit flipped": (
                refused(device, KIND, image[:-1] + bytes([image[-1] ^ 1]), hashlib.sha256(image).digest()),
                codes.BAD_DIGEST,
            ),
            "no profile": (refused(device, KIND, b"nonsense"), codes.WRONG_VERSION),
            "too large": (refused(device, KIND, bytes(MAX_SIZE + 1)), codes.BAD_VALUE),
            "cut short": (refused(device, KIND, image[:-3]), codes.WRONG_VERSION),
            "another channel": (refused(device, KIND, other_channel(bench.profile.parts)), codes.NOT_ALLOWED),
            "a register less": (lost_register(device, bench.profile.parts), codes.NOT_ALLOWED),
        }
    for name, (code, expected) in wrong.items():
        bench.point("profile.refused", DOWNLOAD, int(code != expected), high=0, what="not refused as it should be",
                    conditions=[("download", name, "")], note=f"code {code} for {expected}")  # fmt: skip


def other_channel(base: ProfileImage) -> bytes:
    """A profile whose channel counts another quantum."""
    (channel,) = base.channels
    return replace(base, channels=[replace(channel, mantissa=channel.mantissa + 1)]).pack()


def lost_register(device: Device, base: ProfileImage) -> int:
    """A profile without the register that has counted already."""
    image = replace(base, registers=[Register(r.CH4, r.EMITTED, r.GRAM, -3)]).pack()
    device.pulses(0, 5)
    device.settle()
    return refused(device, KIND, image)


def test_more_registers(bench: Bench) -> None:
    """A profile with one register more takes over; what is common goes on, and old records stay readable."""
    base = bench.profile.parts
    more = replace(
        base,
        name="CH4 too",
        registers=[Register(r.CH4, r.EMITTED, r.GRAM, -3), *base.registers],
        terms=[replace(base.terms[0], register=1), Term(0, 0, 1 << 40, 0)],
        emissions=2,
    ).pack()
    with bench.device(bench.profile.image) as device:
        device.pulses(0, 1000)
        device.settle()
        upload(device, KIND, more)
        device.advance(900)
        device.pulses(0, 10)
        device.advance(900)
        indices, registers = device.raw()
        records = list(device.meter.records())
    bench.point("profile.more", PROFILE, int(indices == [1010] and registers == [10 << 40, 1010 * bench.profile.constant]), low=1,
                what="common registers went on, the new one began")  # fmt: skip
    shapes = [len(record.registers) for record in records]
    bench.point(
        "profile.archives", "tonne-records", int(shapes != [1, 2]), high=0, what="records of the old shape lost"
    )


def test_stale_intensities(bench: Bench) -> None:
    """Before and behind its dated intensities an interval uses the profile's fallback and says so."""
    made = profiles.ready("electricity-hourly")
    _, unit, exponent, _, low, high, fallback = made.image.conditions[0]
    other = low if fallback != low else high
    with bench.device(made.data) as device:
        upload(device, messages.INTENSITIES, pack(0, unit, exponent, START + 900, 900, [other]))
        for _ in range(4):
            device.pulses(0, 1000)
            device.advance(900)
        device.settle()
        records = list(device.meter.records())
    used = [record.conditions[0] for record in records]
    right = [(value, value) for value in (fallback, other, fallback, fallback)]
    bench.point("profile.fallback", PROFILE, int(used != right), high=0, what="intervals weighed with another value")
    flagged = [bool(record.status & flags.FALLBACK_FACTOR) for record in records]
    bench.point(
        "profile.fallback_flag", PROFILE, int(flagged != [True, False, True, True]), high=0, what="flagged wrongly"
    )
