"""Software download: only what the manufacturer signed, for this hardware, not too old; kept if healthy, else taken back."""

import hashlib
import time as wall
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from hostlink import blobs, lms, update
from hostlink.errors import Refused
from hostlink.session import Key, Privileged
from protocol import events as kinds
from protocol import messages
from protocol import session as roles
from protocol import status as codes
from testbench.conformance.bench import Bench, Device
from testbench.conformance.suites import cases
from testbench.conformance.suites.blobs import begin, send
from testbench.conformance.suites.test_security import logged, provisioned
from testbench.micropython import device_root
from testbench.rigs.unix import RigError

DOWNLOAD, AUDIT = "tonne-update", "d31-audit"
KIND = messages.UPDATE
HARDWARE = "unix"
HEALTHY_S = 60
STARTS = 9
"""Of a meter whose update does not start: more than the trial has."""
PATIENCE = 500
"""Looks at the log until something must be in it."""
SMALL = {"firmware/identity.py": b"# never to run"}


class Updatable(NamedTuple):
    """A provisioned meter with slots for its firmware, its keys, and what signs its updates."""

    device: Device
    keys: dict[int, Key]
    signing: lms.PrivateKey
    files: dict[str, bytes]
    version: update.Version

    def package(self, files: dict[str, bytes], patch: int, least: int = 0) -> bytes:
        """Signed, `patch` versions above what runs; nothing below `least` above it is taken once it is kept."""
        return update.build(files, HARDWARE, self.above(patch), self.above(least), self.signing)

    def above(self, patch: int) -> update.Version:
        """The version so many patches above what runs."""
        major, minor, number = self.version
        return major, minor, number + patch

    def firmware(self, patch: int, more: str = "") -> dict[str, bytes]:
        """What runs with another version, and lines added to a module that every start imports."""
        text = self.files["firmware/identity.py"].decode()
        was, now = ("MAJOR, MINOR, PATCH = {}, {}, {}".format(*each) for each in (self.version, self.above(patch)))
        return self.files | {"firmware/identity.py": (text.replace(was, now) + more).encode()}

    def push(self, package: bytes, role: int = roles.MANUFACTURER) -> int:
        """The code with which a push is refused, 0 if it is taken."""
        try:
            with Privileged(self.device.meter, self.keys[role]):
                blobs.push(self.device.meter, KIND, package)
        except Refused as refused:
            return refused.code
        return 0

    def await_logged(self, kind: int) -> int:
        """How many events of a kind there are, as soon as there is one."""
        for _ in range(PATIENCE):
            if found := logged(self.device, kind):
                return len(found)
            wall.sleep(0.01)
        return 0


@contextmanager
def updatable(bench: Bench) -> Iterator[Updatable]:
    signing = lms.PrivateKey(bench.random.randbytes(32), height=5)
    files = update.gather(bench.root or device_root())
    with provisioned(bench, signing.public, slots=True) as (device, keys):
        device.pulses(0, 777)
        device.advance(900)
        device.settle()
        yield Updatable(device, keys, signing, files, update.version_of(files))


def _another_key(meter: Updatable, bench: Bench) -> bytes:
    stranger = lms.PrivateKey(bench.random.randbytes(32), height=5)
    return update.build(SMALL, HARDWARE, meter.above(1), meter.above(0), stranger)


def _altered(at: int) -> Callable[[Updatable, Bench], bytes]:
    def make(meter: Updatable, bench: Bench) -> bytes:
        data = bytearray(meter.package(SMALL, 1))
        data[at] ^= 1 << bench.random.randrange(8)
        return bytes(data)

    return make


FORGERIES: dict[str, tuple[Callable[[Updatable, Bench], bytes], int]] = {
    "signed with another key": (_another_key, codes.BAD_MAC),
    "a version altered": (_altered(20), codes.BAD_MAC),
    "a signature altered": (_altered(-len(SMALL["firmware/identity.py"]) - 200), codes.BAD_MAC),
    "a file altered": (_altered(-1), codes.BAD_DIGEST),
    "its end cut off": (lambda meter, _: meter.package(SMALL, 1)[:-9], codes.BAD_DIGEST),
    "of another format": (lambda meter, _: b"TNPF" + meter.package(SMALL, 1)[4:], codes.WRONG_VERSION),
    "for other hardware": (
        lambda meter, _: update.build(SMALL, "other", meter.above(1), meter.above(0), meter.signing),
        codes.BAD_VALUE,
    ),
}


@cases(lambda plan: list(FORGERIES))
def test_forgery(bench: Bench, case: str) -> None:
    """What the manufacturer did not sign for this meter is refused for that reason, logged, and changes nothing."""
    make, expected = FORGERIES[case]
    where = [("package", case, "")]
    with updatable(bench) as meter:
        before = meter.device.meter.identify()
        code = meter.push(make(meter, bench))
        came = codes.REFUSALS.get(code, "taken")
        bench.none("download.forgery", DOWNLOAD, [came] * (code != expected), "not refused as it should be", where)
        if not code:
            return
        entries = logged(meter.device, kinds.UPDATE_REFUSED)
        meter.device.rig.power.off()
        meter.device.rig.power.on()
        after = meter.device.meter.identify()
    bench.point("download.refusal_logged", AUDIT, len(entries), low=1, high=1, what="refusals logged", conditions=where)
    bench.point(
        "download.forgery_effect", DOWNLOAD, int(after.software != before.software), high=0,
        what="other software runs", conditions=where,
    )  # fmt: skip


def test_sealed(bench: Bench) -> None:
    """Behind a closed seal the installer changes no software."""
    with updatable(bench) as meter:
        with Privileged(meter.device.meter, meter.keys[roles.INSTALLER]):
            meter.device.meter.close_seal()
        code = meter.push(meter.package(SMALL, 1), roles.INSTALLER)
    bench.point("download.sealed", DOWNLOAD, int(code != codes.SEALED), high=0, what="installer's update not refused behind a seal")


def test_update(bench: Bench) -> None:
    """A healthy update runs, is kept after its minute, loses nothing, is logged; nothing below its least version comes after it."""
    with updatable(bench) as meter:
        device = meter.device
        before, registers = device.meter.identify(), device.raw()
        code = meter.push(meter.package(meter.firmware(2), 2, least=1))
        if code:
            bench.none("download.taken", DOWNLOAD, [codes.REFUSALS.get(code, str(code))], "a good update refused")
            return
        device.rig.await_restart()
        after = device.meter.identify()
        wanted = "{}.{}.{}".format(*meter.above(2))
        wrong = [after.firmware] * (after.firmware != wanted) + ["the digest"] * (after.software == before.software)
        bench.none("download.taken", DOWNLOAD, wrong, "not as the update has it")
        parted = [f"{was} became {now}" for was, now in zip(registers, device.raw(), strict=True) if was != now]
        bench.none("download.registers", DOWNLOAD, parted, "lists of registers that the update changed")
        wall.sleep(0.2)
        early = len(logged(device, kinds.UPDATE_COMMITTED))
        bench.point("download.trial", DOWNLOAD, early, high=0, what="updates kept before they have metered for a minute")
        device.advance(HEALTHY_S + 1)
        device.settle()
        kept = meter.await_logged(kinds.UPDATE_COMMITTED)
        entries = (kept, len(logged(device, kinds.UPDATE_ACCEPTED)))
        bench.point("download.logged", AUDIT, min(entries), low=1, high=1, what="update accepted and kept, logged")
        device.rig.power.off()
        device.rig.power.on()
        stays = device.meter.identify().firmware
        bench.none("download.kept", DOWNLOAD, [stays] * (stays != wanted), "another version after the next power-up")
        code = meter.push(meter.package(SMALL, 0))
        what = "version below the least not refused"
        bench.point("download.downgrade", DOWNLOAD, int(code != codes.NOT_ALLOWED), high=0, what=what)


def test_rollback(bench: Bench) -> None:
    """An update that does not start is taken back, and nothing is lost."""
    with updatable(bench) as meter:
        device = meter.device
        before, registers = device.meter.identify(), device.raw()
        meter.push(meter.package(meter.firmware(1, "\nraise ValueError('does not start')\n"), 1))
        with suppress(RigError):
            device.rig.await_restart()
        for _ in range(STARTS):
            device.rig.power.off()
            with suppress(RigError):
                device.rig.power.on()
                break
        else:
            bench.point("download.rolled_back", DOWNLOAD, 1, high=0, what=f"does not serve after {STARTS} starts")
            return
        after = device.meter.identify()
        bench.point("download.rolled_back", DOWNLOAD, int(after.software != before.software), high=0, what="other software runs")
        parted = [f"{was} became {now}" for was, now in zip(registers, device.raw(), strict=True) if was != now]
        bench.none("download.registers", DOWNLOAD, parted, "lists of registers that the update changed", [("update", "broken", "")])
        bench.point(
            "download.rollback_logged", AUDIT, meter.await_logged(kinds.UPDATE_ROLLED_BACK), low=1, high=1, what="roll-backs logged"
        )


def test_resumed(bench: Bench) -> None:
    """A transfer that power cut off goes on where it was."""
    with updatable(bench) as meter:
        device = meter.device
        data = meter.package(SMALL | {"firmware/more.py": bench.random.randbytes(3000)}, 1)
        sent = 2000
        with Privileged(device.meter, meter.keys[roles.MANUFACTURER]):
            begin(device, KIND, data)
            send(device, KIND, data, 0, sent)
        device.rig.power.off()
        device.rig.power.on()
        with Privileged(device.meter, meter.keys[roles.MANUFACTURER]):
            wanted = begin(device, KIND, data, hashlib.sha256(data).digest())
    bench.point("download.resumed", DOWNLOAD, wanted - sent, low=0, high=0, what="bytes between what was sent and what is wanted")
