"""Updates on the real firmware: the process restarts into the other slot, keeps what is healthy, and goes back from what is not."""

import contextlib
import hashlib
import time
from collections.abc import Iterator
from decimal import Decimal

import pytest

from hostlink import blobs, events, lms, update
from hostlink.errors import DataError, Refused, UsageError
from hostlink.meter import Meter, connect
from hostlink.session import Privileged
from protocol import events as kinds
from protocol import messages
from protocol import status as codes
from protocol.update import ENTRY, HEADER, SIGNATURE
from testbench.demo import gas_profile
from testbench.micropython import device_root
from testbench.rigs.unix import RigError, UnixRig
from tests.firmware.keys import INSTALLER, MANUFACTURER, SECRETS, START, refused

IMAGE, _ = gas_profile(Decimal(10))
FILES = update.gather(device_root())
KEY = lms.PrivateKey(b"m" * 32, height=5)
STRANGER = lms.PrivateKey(b"x" * 32, height=5)


def changed(version: str = "0, 1, 1", more: str = "") -> dict[str, bytes]:
    """The firmware with another version, and lines added to a module that every start imports."""
    text = (
        FILES["firmware/identity.py"]
        .decode()
        .replace("MAJOR, MINOR, PATCH = 0, 1, 0", f"MAJOR, MINOR, PATCH = {version}")
    )
    assert version in text
    return FILES | {"firmware/identity.py": (text + more).encode()}


def package(
    files: dict[str, bytes] | None = None, number: str = "0.1.1", least: str = "0.0.0", key=KEY, hardware="unix"
) -> bytes:
    return update.build(files or changed(), hardware, update.version(number), update.version(least), key)


@pytest.fixture
def rig() -> Iterator[UnixRig]:
    with UnixRig(IMAGE, time=START, slots=True) as rig:
        with connect(rig.url, address=1) as meter:
            meter.provision(*SECRETS.values(), KEY.public)
        rig.stimulus.pulses(0, 777)
        rig.clock.advance(900_000)
        rig.clock.settle()
        yield rig


@pytest.fixture
def meter(rig: UnixRig) -> Iterator[Meter]:
    with connect(rig.url, address=1) as meter:
        yield meter


def push(meter: Meter, data: bytes, key=MANUFACTURER) -> None:
    with Privileged(meter, key):
        blobs.push(meter, messages.UPDATE, data)


def start(rig: UnixRig) -> int:
    """Start the meter as a watchdog does, again and again until it serves; how many starts it took."""
    for starts in range(1, 10):
        with contextlib.suppress(RigError):
            rig.power.on()
            return starts
        rig.power.off()
    raise AssertionError("the meter does not start any more")


def said(meter: Meter, *wanted: int) -> list[str]:
    found = [*events.read(meter, kinds.LEGAL), *events.read(meter, kinds.ORDINARY)]
    return [e.name for e in sorted(found, key=lambda e: e.order) if e.kind in wanted]


def await_event(meter: Meter, name: str) -> None:
    limit = time.monotonic() + 20
    while name not in said(meter, *UPDATES):
        assert time.monotonic() < limit, said(meter, *UPDATES)
        time.sleep(0.02)


UPDATES = (kinds.UPDATE_ACCEPTED, kinds.UPDATE_COMMITTED, kinds.UPDATE_ROLLED_BACK, kinds.UPDATE_REFUSED)


def test_a_healthy_update_is_kept_and_nothing_is_lost(rig: UnixRig, meter: Meter) -> None:
    before, registers = meter.identify(), meter.registers().registers
    records = [r.raw for r in meter.records()]
    push(meter, package(least="0.1.1"))
    rig.await_restart()
    after = meter.identify()
    assert (before.firmware, after.firmware) == ("0.1.0", "0.1.1")
    assert after.software != before.software
    assert meter.registers().registers == registers
    assert [r.raw for r in meter.records()] == records
    assert said(meter, *UPDATES) == ["update accepted"]
    rig.clock.advance(61_000)
    rig.clock.settle()
    await_event(meter, "update committed")
    assert said(meter, *UPDATES) == ["update accepted", "update committed"]
    rig.power.off()
    rig.power.on()
    assert meter.identify().firmware == "0.1.1"
    with refused(codes.NOT_ALLOWED):
        push(meter, package(FILES, "0.1.0"))
    push(meter, package(changed("0, 1, 2"), "0.1.2"))
    rig.await_restart()
    assert meter.identify().firmware == "0.1.2"


def test_an_update_that_does_not_start_is_rolled_back(rig: UnixRig, meter: Meter) -> None:
    registers = meter.registers().registers
    push(meter, package(changed(more="\nraise ValueError('broken')\n")))
    with pytest.raises(RigError, match="broken"):
        rig.await_restart()
    rig.power.off()
    assert start(rig) == 3
    assert meter.identify().firmware == "0.1.0"
    assert meter.registers().registers == registers
    assert said(meter, *UPDATES) == ["update accepted", "update rolled back"]
    push(meter, package())
    rig.await_restart()
    assert meter.identify().firmware == "0.1.1"


def test_power_cuts_within_the_trial_end_it_only_after_three(rig: UnixRig, meter: Meter) -> None:
    push(meter, package())
    rig.await_restart()
    for version in ("0.1.1", "0.1.1", "0.1.0"):
        rig.power.off()
        rig.power.on()
        assert meter.identify().firmware == version
    assert said(meter, *UPDATES)[-1] == "update rolled back"


def test_a_push_cut_off_by_power_goes_on_where_it_was(rig: UnixRig, meter: Meter) -> None:
    data = package()
    digest = hashlib.sha256(data).digest()
    with Privileged(meter, MANUFACTURER):
        meter.ask(messages.BLOB_BEGIN, messages.BLOB_BEGIN_REQUEST.pack(messages.UPDATE, len(data), digest))
        for at in range(0, 9000, 900):
            meter.ask(messages.BLOB_BLOCK, messages.BLOB_BLOCK_REQUEST.pack(messages.UPDATE, at) + data[at : at + 900])
    rig.power.off()
    rig.power.on()
    with Privileged(meter, MANUFACTURER):
        assert blobs.push(meter, messages.UPDATE, data).resumed == 9000
    rig.await_restart()
    assert meter.identify().firmware == "0.1.1"


def test_what_is_not_the_manufacturers_is_refused_and_logged(rig: UnixRig, meter: Meter) -> None:
    good = package()
    bad = bytearray(good)
    bad[-1] ^= 1
    header = bytearray(good)
    header[20] ^= 1
    trials = [
        (package(key=STRANGER), codes.BAD_MAC),
        (bytes(bad), codes.BAD_DIGEST),
        (bytes(header), codes.BAD_MAC),
        (b"TNPF" + good[4:], codes.WRONG_VERSION),
        (package(hardware="pico"), codes.BAD_VALUE),
        (good[:-9], codes.BAD_DIGEST),
    ]
    for data, code in trials:
        with refused(code):
            push(meter, data)
    assert said(meter, *UPDATES) == ["update refused"] * len(trials)
    with Privileged(meter, MANUFACTURER), refused(codes.BAD_VALUE):
        meter.ask(messages.BLOB_BEGIN, messages.BLOB_BEGIN_REQUEST.pack(messages.UPDATE, 1 << 21, bytes(32)))
    assert meter.identify().firmware == "0.1.0"


def test_a_file_outside_its_slot_is_not_written(rig: UnixRig, meter: Meter) -> None:
    content = ENTRY.pack(3, 9) + b"../evil.py"[:9] + b"bad"
    header = HEADER.pack(b"TNUP", 1, b"unix", 0, 1, 1, 0, 0, 0, 1, hashlib.sha256(content).digest())
    signature = KEY.sign(header)
    push(meter, header + SIGNATURE.pack(len(signature)) + signature + content)
    await_event(meter, "update refused")
    assert not (rig.slots / "evil.p").exists()
    assert meter.identify().firmware == "0.1.0"
    with pytest.raises(UsageError, match="plain relative paths"):
        package({"../evil.py": b""})


def test_a_sealed_meter_takes_no_update_from_an_installer(meter: Meter) -> None:
    with Privileged(meter, INSTALLER):
        meter.close_seal()
    with refused(codes.SEALED):
        push(meter, package(), INSTALLER)
    with pytest.raises(Refused):
        meter.ask(messages.BLOB_BEGIN, messages.BLOB_BEGIN_REQUEST.pack(messages.UPDATE, 5000, bytes(32)))


def test_a_package_reads_back_as_it_was_built() -> None:
    data = package(least="0.1.0")
    found = update.read(data, KEY.public)
    assert (found.hardware, found.version, found.least, found.files) == ("unix", (0, 1, 1), (0, 1, 0), changed())
    with pytest.raises(DataError, match="was altered"):
        update.read(data[:-1] + b"?", KEY.public)
    with pytest.raises(DataError, match="something else"):
        update.read(b"hello", KEY.public)
    assert update.version_of(FILES) == (0, 1, 0)
    with pytest.raises(UsageError, match=r"such as 1\.2\.3"):
        update.version("1.2.300")
    with pytest.raises(UsageError, match="least version up to"):
        package(least="9.0.0")
