"""The hash chain of a meter's records: where it breaks, and which signed heads it leads to."""

from hashlib import sha256
from struct import Struct

import numpy as np

from hostlink.verify_run import Rows, Run, Verification
from protocol.records import CHAIN_START, LINK_SIZE


def follow_chain(verification: Verification, runs: list[Run]) -> None:
    """Follow the chain from its start, or from a signed head, as far as records are whole; find where it breaks."""
    head: bytes | None = None
    following = 0
    for run in runs:
        sequence = run.rows["sequence"]
        cuts = np.flatnonzero(np.diff(sequence.astype("i8")) != 1) + 1
        for part in np.split(run.rows, cuts):
            first = int(part["sequence"][0])
            if first == 0:
                head = CHAIN_START
            elif first != following:
                head = verification.shard.heads.get(first - 1)
            following = int(part["sequence"][-1]) + 1
            head = _follow(verification, part, head)


def _follow(verification: Verification, rows: Rows, head: bytes | None) -> bytes | None:
    """The head behind `rows`, which follow each other; None if it is not known."""
    first = int(rows["sequence"][0])
    signed = sorted(n for n in verification.shard.heads if first <= n < first + len(rows))
    begin = 0
    for number in [*signed, None]:
        end = len(rows) if number is None else number - first + 1
        if head is not None and end > begin:
            head = _links(verification, rows[begin:end], head)
        begin = end
        if number is not None:
            vouched = verification.shard.heads[number]
            if head is not None and head != vouched:
                verification.find("chain", number, f"a signed statement has another chain head behind record {number}")
            verification.result.anchored += 1
            head = vouched
    return head


def _links(verification: Verification, rows: Rows, head: bytes) -> bytes | None:
    width = rows.itemsize - LINK_SIZE
    data = np.ascontiguousarray(np.ascontiguousarray(rows).view("u1").reshape(len(rows), -1)[:, :width])
    links = []
    for (record,) in Struct(f"{width}s").iter_unpack(data.data):
        head = sha256(head + record).digest()
        links.append(head[:LINK_SIZE])
    got = np.ascontiguousarray(rows["link"]).view("<u4")
    wrong = np.flatnonzero(np.frombuffer(b"".join(links), "<u4") != got)
    if not len(wrong):
        verification.result.chained += len(rows)
        return head
    first = int(wrong[0])
    number = int(rows["sequence"][first])
    if len(wrong) < len(rows) - first:
        for at in wrong.tolist():
            n = int(rows["sequence"][at])
            verification.find("chain", n, f"the link of record {n} was altered; the chain goes on behind it")
        verification.result.chained += len(rows) - len(wrong)
        return head
    behind = len(rows) - first - 1
    text = f"the chain breaks at record {number}: it is not what the meter wrote"
    verification.find(
        "chain", number, text + (f"; {behind} records behind it cannot be checked by the chain" if behind else "")
    )
    verification.result.chained += first
    return None
