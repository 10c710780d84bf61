"""Evidence: signed statements, what they prove of records and events, and that no alteration passes."""

import time as wall
from collections.abc import Sequence

from hostlink import events, statements
from hostlink.errors import TonneError
from hostlink.records import IntervalRecord, decode
from hostlink.session import Privileged
from hostlink.statements import Statement
from protocol import events as kinds
from protocol import records as layout
from protocol import session as roles
from testbench.conformance.bench import Bench, Device
from testbench.conformance.suites.test_security import provisioned

TRUST, STORED = "tonne-trust", "welmec-l"
DAYS = 3
PATIENCE = 60.0
"""Seconds of ours that a meter may take for its key and a day's signature."""


def wait_for(device: Device, count: int) -> list[bytes]:
    """So many statements, as they are signed in the meter's idle time."""
    deadline = wall.monotonic() + PATIENCE
    found: list[bytes] = []
    while len(found) < count and wall.monotonic() < deadline:
        found = list(statements.read(device.meter))
        if len(found) < count:
            device.settle()
            wall.sleep(0.2)
    return found


def alterations(
    bench: Bench, records: Sequence[IntervalRecord], shape: tuple[int, int, int]
) -> dict[str, list[IntervalRecord]]:
    """Archives that somebody has worked on, with links made anew where a forger would."""

    def altered(at: int, relink: bool) -> list[IntervalRecord]:
        changed = list(records)
        raw = bytearray(changed[at].raw)
        raw[layout.HEAD.size] ^= 1
        changed[at] = decode(bytes(raw), *shape)
        if not relink:
            return changed
        head = layout.CHAIN_START
        for n, record in enumerate(changed):
            head = layout.chain(head, record.raw)
            changed[n] = decode(record.raw[: -layout.LINK_SIZE] + head[: layout.LINK_SIZE], *shape)
        return changed

    middle = len(records) // 2
    return {
        "a count changed": altered(middle, False),
        "a count changed, chain made anew": altered(middle, True),
        "a record left out": [*records[:middle], *records[middle + 1 :]],
        "two records swapped": [*records[:middle], records[middle + 1], records[middle], *records[middle + 2 :]],
        "the tail cut off below a signed head": list(records[:middle]),
    }


def test_statements(bench: Bench) -> None:
    """A statement a day, power cut after the first; verified with the public key alone, and what they prove of the records."""
    with provisioned(bench) as (device, keys):
        with Privileged(device.meter, keys[roles.INSTALLER]):
            device.meter.close_seal()
        for day in range(1, DAYS + 1):
            for _ in range(25 if day == 1 else 24):
                device.pulses(0, bench.random.randrange(500))
                device.advance(3600)
            raw = wait_for(device, day)
            if day == 1:
                device.rig.power.off()
                device.rig.power.on()
        trust = device.meter.trust()
        records = list(device.meter.records())
        logs = {log: list(events.read(device.meter, log)) for log in kinds.LOGS}
        identity = device.meter.identify()
    bench.point("evidence.daily", STORED, len(raw), low=DAYS, high=DAYS, what=f"statements in {DAYS} days")
    held, wrong = verified(raw, trust.public)
    bench.none("evidence.signature", TRUST, wrong, f"of {len(raw)} statements, not verified by the public key")
    leaves = [s.leaf for s in held]
    bench.point(
        "evidence.leaf", TRUST, len(leaves) - len(set(leaves)), high=0, what="leaves of the signing key used twice"
    )
    other = [s.sequence for s in held if (s.serial, s.software) != (identity.serial, identity.software)]
    bench.none("evidence.identity", "d31-identification", other, "statements that name another meter or software")
    proof = statements.prove(held, records, logs)
    bench.none("evidence.proof", STORED, proof.wrong, f"findings over {len(records)} records and the logs")
    bench.point("evidence.covered", STORED, proof.signed_below, low=96 * DAYS, what="records under a signature")
    shape = (identity.channels, identity.conditions, identity.registers)
    for name, forged in alterations(bench, records, shape).items():
        found = statements.prove(held, forged, logs).wrong
        bench.point(
            "evidence.alteration", TRUST, len(found), low=1, what="findings", conditions=[("archive", name, "")]
        )
    spoilt = []
    for _ in range(64):
        at = bench.random.randrange(8 * len(raw[0]))
        data = bytearray(raw[0])
        data[at // 8] ^= 1 << at % 8
        if not verified([bytes(data)], trust.public)[1]:
            spoilt.append(f"bit {at}")
    bench.none("evidence.forgery", TRUST, spoilt, "of 64 statements with one wrong bit, verified")


def verified(raw: Sequence[bytes], public: bytes) -> tuple[list[Statement], list[str]]:
    """The statements that hold, and what is wrong with the others."""
    held, wrong = [], []
    for data in raw:
        try:
            held.append(statements.verify(data, public))
        except TonneError as error:
            wrong.append(str(error))
    return held, wrong
