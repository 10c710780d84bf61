"""Daily statements of the real firmware: verified with the public key alone, held against records and events, after every cut."""

import struct
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import hsslms
import pytest

from firmware.store.journal import Journal
from firmware.store.layout import regions
from firmware.store.nor import FileNor
from firmware.trust.kept import Keys
from hostlink import events, statements
from hostlink.errors import DataError, ProofError
from hostlink.meter import Meter, connect
from hostlink.records import IntervalRecord, decode
from hostlink.session import Privileged
from protocol import events as kinds
from protocol import lms, parameters
from protocol import records as layout
from testbench.demo import gas_profile
from testbench.micropython import run
from testbench.rigs.unix import UnixRig
from tests.firmware.keys import INSTALLER, SECRETS, START

IMAGE, _ = gas_profile(Decimal(10))
DAY = 86_400_000


def await_statement(meter: Meter, count: int, seconds: float = 20.0) -> list[bytes]:
    """The meter's statements, once there are `count`."""
    limit = time.monotonic() + seconds
    while len(found := list(statements.read(meter))) < count:
        assert time.monotonic() < limit, f"{len(found)} statements after {seconds} s"
        time.sleep(0.05)
    return found


def await_public(meter: Meter, seconds: float = 20.0) -> bytes:
    """The meter's public key, once it is made."""
    limit = time.monotonic() + seconds
    while not any(public := meter.trust().public):
        assert time.monotonic() < limit
        time.sleep(0.05)
    return public


def a_day(rig: UnixRig, pulses: int) -> None:
    for _ in range(4):
        rig.stimulus.pulses(0, pulses)
        rig.clock.advance(DAY // 4)
    rig.clock.settle()


class Visit(NamedTuple):
    """What a verifier takes away."""

    public: bytes
    raw: list[bytes]
    statements: list[statements.Statement]
    records: list[IntervalRecord]
    logs: dict[int, list[events.Event]]
    seen: bytes


@pytest.fixture(scope="module")
def visit() -> Iterator[Visit]:
    with UnixRig(IMAGE, time=START) as rig, connect(rig.url, address=1) as meter:
        meter.provision(*SECRETS.values())
        with Privileged(meter, INSTALLER):
            meter.set_parameter(parameters.BASE_PRESSURE, 101_325)
            meter.close_seal()
        for day in range(3):
            a_day(rig, 100 + day)
            await_statement(meter, day + 1)
        rig.power.off()
        rig.power.on()
        a_day(rig, 7)
        raw = await_statement(meter, 4)
        public = meter.trust().public
        rig.clock.advance(DAY // 4)
        rig.clock.settle()
        records = list(meter.records())
        logs = {log: list(events.read(meter, log)) for log in kinds.LOGS}
        software = meter.identify().software
    yield Visit(public, raw, [statements.verify(data, public) for data in raw], records, logs, software)


def test_all_that_was_signed_holds(visit: Visit) -> None:
    proof = statements.prove(visit.statements, visit.records, visit.logs)
    assert proof.wrong == []
    assert (proof.signed_below, proof.chained_below) == (4 * 96, 4 * 96 + 24)
    assert proof.evidence == (
        "4 signed statement(s) cover the records below 384; 24 later record(s) are chained only:"
        " whether more followed cannot be told"
    )


def test_a_statement_says_what_the_meter_says_elsewhere(visit: Visit) -> None:
    last = visit.statements[-1]
    assert last.software == visit.seen
    assert (last.sealed, last.seal_counter) == (True, 0)
    assert [s.sequence for s in visit.statements] == [0, 1, 2, 3]
    assert [s.record.indices[0] for s in visit.statements] == [400, 804, 1212, 1240]
    assert [(s.end - s.start).days for s in visit.statements[1:]] == [1, 1, 1]
    values = {n: bytes(parameters.TABLE[n][0].size) for n in parameters.CHANGEABLE}
    assert last.parameters != parameters.digest(values)
    values[parameters.BASE_PRESSURE] = struct.pack("<I", 101_325)
    assert last.parameters == parameters.digest(values)


def test_another_implementation_verifies_them_too(visit: Visit) -> None:
    for statement in visit.statements:
        hsslms.HSS_Pub(visit.public).verify(statement.signed, statement.signature)


def test_no_leaf_signs_twice_over_a_power_cut(visit: Visit) -> None:
    leaves = [s.leaf for s in visit.statements]
    assert leaves == sorted(set(leaves))
    bottom = [s.signature[-lms.signature_size(3, 5) :][:4] for s in visit.statements]
    assert len(set(bottom)) == 4


def test_one_byte_anywhere_and_it_does_not_hold(visit: Visit) -> None:
    for at in range(0, len(visit.raw[0]), 61):
        data = bytearray(visit.raw[0])
        data[at] ^= 0x10
        with pytest.raises((ProofError, DataError)):
            statements.verify(bytes(data), visit.public)
    with pytest.raises(ProofError, match="statement 1 does not hold under key"):
        statements.verify(visit.raw[1], visit.public[:-1] + bytes((visit.public[-1] ^ 1,)))
    with pytest.raises(DataError, match="that are none"):
        statements.parse(b"TN")


def test_what_is_missing_or_changed_is_named(visit: Visit) -> None:
    def wrong(records: list[IntervalRecord] | None = None, held: list[statements.Statement] | None = None) -> list[str]:
        return statements.prove(held or visit.statements, visit.records if records is None else records).wrong

    records = visit.records
    assert wrong(records[:380]) == ["the records 380 to 383 were signed and are not here: the tail was cut off"]
    assert wrong(records[:400]) == []
    assert wrong(records[96:]) == []
    assert wrong(records[50:]) == []
    assert wrong(records[:7] + records[8:]) == ["expected record 7, got 8: 1 record(s) missing or out of order"]
    raw = bytearray(records[100].raw)
    raw[20] ^= 1
    altered = decode(bytes(raw), 1, 0, 1)
    assert "record 100: the chain breaks here" in wrong([*records[:100], altered, *records[101:]])
    assert wrong(held=[visit.statements[0], visit.statements[2]]) == []
    assert "out of order" in wrong(held=[visit.statements[1], visit.statements[0]])[0]


def test_a_chain_made_anew_does_not_lead_to_the_signed_head(visit: Visit) -> None:
    head = layout.CHAIN_START
    forged = []
    for record in visit.records:
        raw = bytearray(record.raw)
        if record.sequence == 40:
            raw[22] ^= 1
        head = layout.chain(head, raw)
        raw[-4:] = head[:4]
        forged.append(decode(bytes(raw), 1, 0, 1))
    assert statements.prove([], forged).wrong == []
    assert "no signed statement" in statements.prove([], forged).evidence
    assert "the records 0 to 95 are not those that were signed: the chain ends elsewhere" in (
        statements.prove(visit.statements, forged).wrong
    )


def test_an_event_log_that_was_cut_or_made_anew_is_named(visit: Visit) -> None:
    legal = visit.logs[kinds.LEGAL]
    cut = statements.prove(visit.statements, (), {kinds.LEGAL: legal[:1]}).wrong
    assert cut[0] == "the legal log had 3 events when statement 0 was signed, here it ends earlier"
    other = [*legal[:-1], events.decode(legal[-1].raw[:-1] + b"?", kinds.LEGAL)]
    assert statements.prove(visit.statements, (), {kinds.LEGAL: other}).wrong == [
        f"the legal log is not the one that statement {n} was signed over" for n in range(4)
    ]


def use_up(rig: UnixRig, left: int) -> None:
    """Leave so many signatures to the meter's key, in its flash, as years of statements would."""
    nor = FileNor(str(rig.flash.path))
    first, sectors = regions(nor)["keys"]
    keys = Keys(Journal(nor, first, sectors, Keys.layout.size))
    assert keys.provisioned
    keys.leaf = 32**3 - left
    assert keys.save()


def test_a_key_that_is_used_up_signs_no_more_says_so_and_the_meter_goes_on() -> None:
    with UnixRig(IMAGE, time=START) as rig:
        with connect(rig.url, address=1) as meter:
            meter.provision(*SECRETS.values())
            public = await_public(meter)
        rig.power.off()
        use_up(rig, 1)
        rig.power.on()
        with connect(rig.url, address=1) as meter:
            assert meter.trust().signatures_left == 1
            a_day(rig, 10)
            (last,) = await_statement(meter, 1)
            assert statements.verify(last, public).leaf == 32**3 - 1
            assert meter.trust().signatures_left == 0
            for _ in range(3):
                a_day(rig, 10)
            limit = time.monotonic() + 20
            while not (said := [e for e in events.read(meter, kinds.ORDINARY) if e.kind == kinds.EXHAUSTED]):
                assert time.monotonic() < limit
            assert [e.details for e in said] == ["signatures 32768"]
            assert list(statements.read(meter)) == [last]
            assert meter.trust().signatures_left == 0
            assert meter.registers().registers[0].amount.whole == 160
            assert sum(1 for _ in meter.records()) == 4 * 96


LEAVES = """
from firmware.store.journal import Journal
from firmware.store.nor import RamNor
from firmware.trust.kept import Keys
from firmware.trust.signer import Signer

SECTOR, PAGE = 512, 256

class Cut(Exception):
    pass

class CutNor(RamNor):
    left = -1
    def _write(self, at, data):
        for n in range(len(data)):
            if not self.left:
                raise Cut()
            self.left -= 1
            super()._write(at + n, data[n : n + 1])
    def erase(self, sector):
        if not self.left:
            raise Cut()
        self.left -= 1
        super().erase(sector)

def open_signer(nor):
    keys = Keys(Journal(nor, 0, 2, Keys.layout.size))
    def burn(leaf):
        keys.leaf = leaf
        return keys.save()
    return Signer(bytes(32), keys.leaf, burn, levels=1)

nor = CutNor(2 * SECTOR, SECTOR, PAGE)
used = []
cuts = 0
for cut in range(0, 2600):
    nor.left = cut % 650
    try:
        signer = open_signer(nor)
        for _ in range(2):
            if signer.remaining < 4:
                nor.data[:] = b"\\xff" * len(nor.data)
                used = []
                signer = open_signer(nor)
            leaf = signer.begin(b"message")
            assert leaf >= 0
            assert leaf not in used, (cut, leaf)
            used.append(leaf)
    except Cut:
        cuts += 1
    nor.left = -1
print(cuts)
"""


def test_no_leaf_is_given_out_twice_with_power_cut_at_every_byte() -> None:
    assert int(run(LEAVES)) > 600
