"""Verification of a meter's records: order, gaps, chain, replay of every milligram, certificate. Pure: records in, result out.

`verify_shard` takes all records of one meter that belong together and opens nothing. Results of any shards merge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hostlink.columns import Shape
from hostlink.findings import NOTICE, Finding, Result
from hostlink.records import decode
from hostlink.replay import check_record
from hostlink.replay_columns import differ, expected_gains, halves, is_constant, less, subtract
from hostlink.values import utc
from protocol import registers as r
from protocol import status as flags
from protocol.image import Image
from protocol.records import CHAIN_START, LINK_SIZE, TAG_SIZE

_TIME_MAY_STEP = flags.CLOCK_CHANGED | flags.CLOCK_INVALID | flags.POWER_CUT
Rows = NDArray[Any]


@dataclass
class Shard:
    """All of one meter: `rows` by shape, in the order they came. `heads` are chain heads vouched for by signed statements,
    each the head behind the record of that number; `following` is the number the meter gave its next record when read."""

    meter: str
    rows: Mapping[Shape, Rows]
    images: Mapping[bytes, bytes]
    following: int = 0
    heads: Mapping[int, bytes] = field(default_factory=dict)


def verify_shard(shard: Shard, chain: bool = True) -> Result:
    """Everything that the records of one meter prove by themselves. `chain=False` leaves out the hash chain."""
    return _Meter(shard).verify(chain)


@dataclass
class _Run:
    """Records of one shape and profile that follow each other in number; `image` is None if nobody has it."""

    shape: Shape
    rows: Rows
    image: Image | None


class _Meter:
    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.result = Result(meters=1)
        self.images = {tag: Image(data) for tag, data in shard.images.items()}

    def verify(self, chain: bool) -> Result:
        runs = self.runs()
        if not runs:
            return self.result
        self.result.records = sum(len(run.rows) for run in runs)
        self.gaps(runs)
        if chain:
            self.chain(runs)
        before: _Run | None = None
        for run in runs:
            self.clock(before, run)
            self.profile(before, run)
            self.certificate(run)
            if run.image is not None:
                self.replay(before, run, run.image)
            before = run
        self.totals(runs[-1])
        return self.result

    def find(self, kind: str, first: int, text: str, last: int | None = None, severity: str = "fault") -> None:
        end = first if last is None else last
        self.result.findings.append(Finding(kind, self.shard.meter, int(first), int(end), text, severity))

    # -- order ------------------------------------------------------------------------------------------------------------

    def runs(self) -> list[_Run]:
        """The records in order, each once, cut where shape or profile changes."""
        found = []
        for shape, rows in self.shard.rows.items():
            tags = rows["profile"].view("<u8")
            edges = np.flatnonzero(tags[1:] != tags[:-1]) + 1
            if not len(edges) and self.in_order(rows):
                found.append(_Run(shape, rows, self.image(rows)))
                continue
            rows = self.put_in_order(rows)
            tags = rows["profile"].view("<u8")
            edges = np.flatnonzero(tags[1:] != tags[:-1]) + 1
            found += [_Run(shape, part, self.image(part)) for part in np.split(rows, edges) if len(part)]
        found.sort(key=lambda run: int(run.rows["sequence"][0]))
        return self.interleaved(found)

    def in_order(self, rows: Rows) -> bool:
        sequence = rows["sequence"]
        return bool((sequence[1:] > sequence[:-1]).all())

    def put_in_order(self, rows: Rows) -> Rows:
        """Sorted by number; the same record twice counts once, two different ones are a conflict and the first is kept."""
        sequence = rows["sequence"]
        if self.in_order(rows):
            return rows
        order = np.argsort(sequence, kind="stable")
        ordered = rows[order]
        again = np.flatnonzero(ordered["sequence"][1:] == ordered["sequence"][:-1]) + 1
        if not len(again):
            first = int(np.flatnonzero(sequence[1:] < sequence[:-1])[0]) + 1
            self.find(
                "order",
                sequence[first],
                f"record {sequence[first]} comes behind {sequence[first - 1]}",
                severity=NOTICE,
            )
        raw = ordered.view(f"V{rows.itemsize}")
        same = raw[again] == raw[again - 1]
        for first, last in _stretches(ordered["sequence"][again[same]]):
            self.find("duplicate", first, f"{_records(first, last)} came more than once", last, NOTICE)
        for at in again[~same].tolist():
            number = ordered["sequence"][at]
            self.find("conflict", number, f"record {number} came with two different contents")
        return np.delete(ordered, again)

    def interleaved(self, runs: list[_Run]) -> list[_Run]:
        """Runs of several shapes must not overlap; one that does is told as a conflict and left out."""
        kept: list[_Run] = []
        for run in runs:
            first = int(run.rows["sequence"][0])
            if kept and first <= int(kept[-1].rows["sequence"][-1]):
                last = int(run.rows["sequence"][-1])
                self.find("conflict", first, f"{_records(first, last)} came in another shape too", last)
            else:
                kept.append(run)
        return kept

    def image(self, rows: Rows) -> Image | None:
        return self.images.get(rows["profile"][:1].view(f"V{TAG_SIZE}")[0].tobytes())

    def gaps(self, runs: list[_Run]) -> None:
        sequence = np.concatenate([run.rows["sequence"] for run in runs]).astype("i8")
        for at in np.flatnonzero(np.diff(sequence) != 1).tolist():
            first, last = int(sequence[at]) + 1, int(sequence[at + 1]) - 1
            self.find("gap", first, f"{_records(first, last)} {_are(first, last)} missing", last)
        newest = int(sequence[-1])
        if self.shard.following > newest + 1:
            first, last = newest + 1, self.shard.following - 1
            text = f"the meter had written up to {last}, {_records(first, last)} {_are(first, last)} missing"
            self.find("tail", first, text, last)

    # -- chain ------------------------------------------------------------------------------------------------------------

    def chain(self, runs: list[_Run]) -> None:
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
                    head = self.shard.heads.get(first - 1)
                following = int(part["sequence"][-1]) + 1
                head = self.follow(part, head)

    def follow(self, rows: Rows, head: bytes | None) -> bytes | None:
        """The head behind `rows`, which follow each other; None if it is not known."""
        first = int(rows["sequence"][0])
        signed = sorted(n for n in self.shard.heads if first <= n < first + len(rows))
        begin = 0
        for number in [*signed, None]:
            end = len(rows) if number is None else number - first + 1
            if head is not None and end > begin:
                head = self.links(rows[begin:end], head)
            begin = end
            if number is not None:
                vouched = self.shard.heads[number]
                if head is not None and head != vouched:
                    self.find("chain", number, f"a signed statement has another chain head behind record {number}")
                self.result.anchored += 1
                head = vouched
        return head

    def links(self, rows: Rows, head: bytes) -> bytes | None:
        width = rows.itemsize - LINK_SIZE
        data = np.ascontiguousarray(np.ascontiguousarray(rows).view("u1").reshape(len(rows), -1)[:, :width])
        links = []
        for (record,) in Struct(f"{width}s").iter_unpack(data.data):
            head = sha256(head + record).digest()
            links.append(head[:LINK_SIZE])
        got = np.ascontiguousarray(rows["link"]).view("<u4")
        wrong = np.flatnonzero(np.frombuffer(b"".join(links), "<u4") != got)
        if not len(wrong):
            self.result.chained += len(rows)
            return head
        first = int(wrong[0])
        number = int(rows["sequence"][first])
        if len(wrong) < len(rows) - first:
            for at in wrong.tolist():
                n = int(rows["sequence"][at])
                self.find("chain", n, f"the link of record {n} was altered; the chain goes on behind it")
            self.result.chained += len(rows) - len(wrong)
            return head
        behind = len(rows) - first - 1
        text = f"the chain breaks at record {number}: it is not what the meter wrote"
        self.find(
            "chain", number, text + (f"; {behind} records behind it cannot be checked by the chain" if behind else "")
        )
        self.result.chained += first
        return None

    # -- time, profile, certificate ---------------------------------------------------------------------------------------

    def clock(self, before: _Run | None, run: _Run) -> None:
        rows = run.rows if before is None else _joined(before, run)
        start, sequence = rows["start"].astype("i8"), rows["sequence"].astype("i8")
        end = start + rows["duration"]
        adjacent = sequence[1:] == sequence[:-1] + 1
        off = np.where(adjacent, start[1:] != end[:-1], start[1:] < end[:-1])
        told = (rows["status"][1:] | rows["status"][:-1]) & _TIME_MAY_STEP != 0
        for at in (np.flatnonzero(off) + 1).tolist():
            number, old, new = int(sequence[at]), utc(int(end[at - 1])), utc(int(start[at]))
            step = f"record {number} begins {new:%Y-%m-%d %H:%M:%S}, the one before ended {old:%Y-%m-%d %H:%M:%S}"
            if told[at - 1]:
                said = _flags(rows["status"][at - 1] | rows["status"][at])
                self.find("clock", number, f"{step}; flagged: {said}", severity=NOTICE)
            else:
                self.find("clock", number, f"{step}, and no flag says why")

    def profile(self, before: _Run | None, run: _Run) -> None:
        number = int(run.rows["sequence"][0])
        tag = run.rows["profile"][:1].view(f"V{TAG_SIZE}")[0].tobytes().hex()
        if run.image is None:
            last = int(run.rows["sequence"][-1])
            self.find(
                "profile", number, f"no image at hand for profile {tag}; {_records(number, last)} not replayed", last
            )
        if before is None:
            return
        adjacent = number == int(before.rows["sequence"][-1]) + 1
        said = bool(before.rows["status"][-1] & flags.PROFILE_CHANGED)
        if adjacent and not said:
            self.find(
                "profile", number, f"profile {tag} takes over at record {number}, and the record before does not say so"
            )
        elif adjacent:
            self.find("profile", number, f"profile {tag} takes over at record {number}", severity=NOTICE)

    def certificate(self, run: _Run) -> None:
        """The certificate holds for the rates, ranges and dates that the profile declares: what lies outside is told."""
        if run.image is None:
            return
        for n, channel in enumerate(run.image.channels):
            for at in np.flatnonzero(run.rows[f"increment{n}"] > channel[5]).tolist():
                number, count = run.rows["sequence"][at], run.rows[f"increment{n}"][at]
                text = f"record {number} counted {count} quanta, the profile's certificate covers {channel[5]}"
                self.find("certificate", number, text, severity=NOTICE)
        start = run.rows["start"]
        outside = (start < run.image.header[14]) | (start >= run.image.header[15])
        for first, last in _stretches(run.rows["sequence"][outside]):
            text = f"{_records(first, last)} lie outside of the profile's validity"
            self.find("certificate", first, text, last, NOTICE)

    # -- replay -----------------------------------------------------------------------------------------------------------

    def replay(self, before: _Run | None, run: _Run, image: Image) -> None:
        expected_shape = (len(image.channels), len(image.conditions), len(image.registers))
        if expected_shape != run.shape:
            first, last = int(run.rows["sequence"][0]), int(run.rows["sequence"][-1])
            self.find(
                "profile", first, f"the profile makes records of shape {expected_shape}, these have {run.shape}", last
            )
            return
        rows = self.with_start(before, run, image)
        self.result.replayed += len(rows) - 1
        sequence = rows["sequence"].astype("i8")
        adjacent = sequence[1:] == sequence[:-1] + 1
        wrong: dict[int, list[tuple[str, str]]] = {}
        gains = []
        for n in range(len(image.channels)):
            index = rows[f"index{n}"]
            gain = index[1:] - index[:-1]
            gains.append(gain)
            counted = rows[f"increment{n}"][1:]
            off = np.where(adjacent, gain != counted, (index[1:] < index[:-1]) | (gain < counted))
            for at in (np.flatnonzero(off) + 1).tolist():
                text = f"index {n} goes from {index[at - 1]} to {index[at]}, the interval counted {counted[at - 1]}"
                wrong.setdefault(at, []).append(("index", text))
        if is_constant(image):
            self.replay_constant(rows, image, gains, wrong)
        else:
            self.replay_each(run.shape, rows, image, adjacent, wrong)
        self.blame(rows, image, wrong)

    def with_start(self, before: _Run | None, run: _Run, image: Image) -> Rows:
        """The rows, and in front of them what they go on from: the record before, zeros, or the first row itself."""
        start = run.rows[:1].copy()
        number = int(run.rows["sequence"][0])
        if before is not None and before.image is not None:
            last = before.rows[-1]
            for name in ("sequence", "start", "duration", "status"):
                start[name] = last[name]
            for n in range(run.shape[0]):
                start[f"index{n}"] = last[f"index{n}"] if n < before.shape[0] else 0
            free = list(before.image.registers)
            for n, register in enumerate(image.registers):
                value = (0, 0)
                if register in free:
                    source = free.index(register)
                    free[source] = (-1, 0, 0, 0)
                    value = last[f"register{source}"].item()
                start[f"register{n}"] = value
        elif number == 0:
            start.view("u1")[:] = 0
            start["sequence"] = 0xFFFFFFFF
        else:
            return run.rows
        return np.concatenate((start, run.rows))

    def replay_constant(
        self, rows: Rows, image: Image, gains: list[Any], wrong: dict[int, list[tuple[str, str]]]
    ) -> None:
        large = np.zeros(len(rows) - 1, bool)
        for gain in gains:
            large |= gain >= 1 << 32
        expected = expected_gains(image, [np.where(large, 0, gain) for gain in gains])
        full = (rows["status"][1:] & flags.SATURATED) != 0
        for n in range(len(image.registers)):
            values = halves(rows, n)
            new, old = (values[0][1:], values[1][1:]), (values[0][:-1], values[1][:-1])
            down = less(new, old)
            off = differ(subtract(new, old), expected[n]) & ~full & ~large
            for at in (np.flatnonzero(off | down) + 1).tolist():
                was, now = (int(values[0][k]) << 64 | int(values[1][k]) for k in (at - 1, at))
                makes = int(expected[n][0][at - 1]) << 64 | int(expected[n][1][at - 1])
                text = (
                    f"register {n} goes down"
                    if now < was
                    else f"register {n} gains {now - was}, the profile makes it {makes}"
                )
                wrong.setdefault(at, []).append(("register", f"{text} (2^-64)"))

    def replay_each(
        self,
        shape: Shape,
        rows: Rows,
        image: Image,
        adjacent: NDArray[np.bool_],
        wrong: dict[int, list[tuple[str, str]]],
    ) -> None:
        size = rows.itemsize
        raw = rows.tobytes()
        records = [decode(raw[at : at + size], *shape) for at in range(0, len(raw), size)]
        for at in range(1, len(records)):
            if adjacent[at - 1] or records[at].sequence == 0:
                told = [text.partition(": ")[2] for text in check_record(image, records[at - 1], records[at])]
                told = [text for text in told if not text.startswith("index")]
            else:
                pairs = zip(records[at - 1].registers, records[at].registers, strict=True)
                told = [f"register {n} goes down" for n, (old, new) in enumerate(pairs) if new < old]
            if told:
                wrong.setdefault(at, []).extend(("register", text) for text in told)

    def blame(self, rows: Rows, image: Image, wrong: dict[int, list[tuple[str, str]]]) -> None:
        """A record whose counts or registers were altered does not fit to the one behind it either: that one is not told
        again where, without the altered record between, it fits to the one before."""
        for at in sorted(wrong):
            texts = wrong[at]
            if at - 1 in wrong and at >= 2 and self.fits(rows[at - 2 : at + 1], image):
                continue
            number = int(rows["sequence"][at])
            kind = "index" if any(kind == "index" for kind, _ in texts) else "register"
            self.find(kind, number, f"record {number}: " + "; ".join(text for _, text in texts))

    def fits(self, three: Rows, image: Image) -> bool:
        """Whether the third row goes on from the first by what a profile of constants makes of its indices."""
        if not is_constant(image):
            return True
        first, third = three[0], three[2]
        counts = []
        for n in range(len(image.channels)):
            gain = int(third[f"index{n}"]) - int(first[f"index{n}"])
            if not int(third[f"increment{n}"]) <= gain < 1 << 32:
                return False
            counts.append(np.array([gain], "u8"))
        for n, (whole, fraction) in enumerate(expected_gains(image, counts)):
            gained = [
                int(row[f"register{n}"]["whole"]) << 64 | int(row[f"register{n}"]["fraction"]) for row in (first, third)
            ]
            if gained[1] - gained[0] != int(whole[0]) << 64 | int(fraction[0]):
                return False
        return True

    def totals(self, run: _Run) -> None:
        if run.image is None:
            return
        for n, (quantity, direction, unit, exponent) in enumerate(run.image.registers):
            if quantity != r.ACTIVITY and n < run.shape[2]:
                whole, fraction = halves(run.rows[-1:], n)
                self.result.totals[quantity, direction, unit, exponent] += int(whole[0]) << 64 | int(fraction[0])


def _joined(before: _Run, run: _Run) -> Rows:
    """Number, time and status of the record before and of the run's."""
    names = ["sequence", "start", "duration", "status"]
    return np.concatenate((before.rows[names][-1:], run.rows[names]))


def _stretches(numbers: NDArray[Any]) -> list[tuple[int, int]]:
    """First and last of each stretch of numbers that follow each other."""
    if not len(numbers):
        return []
    edges = np.flatnonzero(np.diff(numbers.astype("i8")) > 1)
    firsts = numbers[np.concatenate(([0], edges + 1))]
    lasts = numbers[np.concatenate((edges, [len(numbers) - 1]))]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def _records(first: int, last: int) -> str:
    return f"record {first}" if first == last else f"records {first} to {last}"


def _are(first: int, last: int) -> str:
    return "is" if first == last else "are"


def _flags(status: Any) -> str:
    return ", ".join(flags.names(int(status)))


def join(pieces: Sequence[tuple[Shape, Rows]]) -> dict[Shape, Rows]:
    """Rows by shape, in the order given."""
    found: dict[Shape, list[Rows]] = {}
    for shape, rows in pieces:
        found.setdefault(shape, []).append(rows)
    return {shape: np.concatenate(parts) if len(parts) > 1 else parts[0] for shape, parts in found.items()}
