"""Verification of a meter's records: order, gaps, chain, replay of every milligram, certificate. Pure: records in, result out.

`verify_shard` takes all records of one meter that belong together and opens nothing. Results of any shards merge.
"""

from collections.abc import Sequence

import numpy as np

from hostlink.columns import Shape
from hostlink.findings import NOTICE, Result
from hostlink.replay_columns import halves
from hostlink.values import utc
from hostlink.verify_chain import follow_chain
from hostlink.verify_replay import replay_run
from hostlink.verify_run import Rows, Run, Shard, Verification, are, flag_names, in_words, stretches
from protocol import registers as r
from protocol import status as flags
from protocol.image import Image
from protocol.records import TAG_SIZE

_TIME_MAY_STEP = flags.CLOCK_CHANGED | flags.CLOCK_INVALID | flags.POWER_CUT


def verify_shard(shard: Shard, chain: bool = True) -> Result:
    """Everything that the records of one meter prove by themselves. `chain=False` leaves out the hash chain."""
    return _Meter(shard).verify(chain)


class _Meter(Verification):
    def __init__(self, shard: Shard) -> None:
        super().__init__(shard, Result(meters=1))
        self.images = {tag: Image(data) for tag, data in shard.images.items()}

    def verify(self, chain: bool) -> Result:
        runs = self.runs()
        if not runs:
            return self.result
        self.result.records = sum(len(run.rows) for run in runs)
        self.gaps(runs)
        if chain:
            follow_chain(self, runs)
        before: Run | None = None
        for run in runs:
            self.clock(before, run)
            self.profile(before, run)
            self.certificate(run)
            if run.image is not None:
                replay_run(self, before, run, run.image)
            before = run
        self.totals(runs[-1])
        return self.result

    # -- order ------------------------------------------------------------------------------------------------------------

    def runs(self) -> list[Run]:
        """The records in order, each once, cut where shape or profile changes."""
        found = []
        for shape, rows in self.shard.rows.items():
            tags = rows["profile"].view("<u8")
            edges = np.flatnonzero(tags[1:] != tags[:-1]) + 1
            if not len(edges) and self.in_order(rows):
                found.append(Run(shape, rows, self.image(rows)))
                continue
            rows = self.put_in_order(rows)
            tags = rows["profile"].view("<u8")
            edges = np.flatnonzero(tags[1:] != tags[:-1]) + 1
            found += [Run(shape, part, self.image(part)) for part in np.split(rows, edges) if len(part)]
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
        for first, last in stretches(ordered["sequence"][again[same]]):
            self.find("duplicate", first, f"{in_words(first, last)} came more than once", last, NOTICE)
        for at in again[~same].tolist():
            number = ordered["sequence"][at]
            self.find("conflict", number, f"record {number} came with two different contents")
        return np.delete(ordered, again)

    def interleaved(self, runs: list[Run]) -> list[Run]:
        """Runs of several shapes must not overlap; one that does is told as a conflict and left out."""
        kept: list[Run] = []
        for run in runs:
            first = int(run.rows["sequence"][0])
            if kept and first <= int(kept[-1].rows["sequence"][-1]):
                last = int(run.rows["sequence"][-1])
                self.find("conflict", first, f"{in_words(first, last)} came in another shape too", last)
            else:
                kept.append(run)
        return kept

    def image(self, rows: Rows) -> Image | None:
        return self.images.get(rows["profile"][:1].view(f"V{TAG_SIZE}")[0].tobytes())

    def gaps(self, runs: list[Run]) -> None:
        sequence = np.concatenate([run.rows["sequence"] for run in runs]).astype("i8")
        for at in np.flatnonzero(np.diff(sequence) != 1).tolist():
            first, last = int(sequence[at]) + 1, int(sequence[at + 1]) - 1
            self.find("gap", first, f"{in_words(first, last)} {are(first, last)} missing", last)
        newest = int(sequence[-1])
        if self.shard.following > newest + 1:
            first, last = newest + 1, self.shard.following - 1
            text = f"the meter had written up to {last}, {in_words(first, last)} {are(first, last)} missing"
            self.find("tail", first, text, last)

    # -- time, profile, certificate ---------------------------------------------------------------------------------------

    def clock(self, before: Run | None, run: Run) -> None:
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
                said = flag_names(rows["status"][at - 1] | rows["status"][at])
                self.find("clock", number, f"{step}; flagged: {said}", severity=NOTICE)
            else:
                self.find("clock", number, f"{step}, and no flag says why")

    def profile(self, before: Run | None, run: Run) -> None:
        number = int(run.rows["sequence"][0])
        tag = run.rows["profile"][:1].view(f"V{TAG_SIZE}")[0].tobytes().hex()
        if run.image is None:
            last = int(run.rows["sequence"][-1])
            self.find(
                "profile", number, f"no image at hand for profile {tag}; {in_words(number, last)} not replayed", last
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

    def certificate(self, run: Run) -> None:
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
        for first, last in stretches(run.rows["sequence"][outside]):
            text = f"{in_words(first, last)} lie outside of the profile's validity"
            self.find("certificate", first, text, last, NOTICE)

    def totals(self, run: Run) -> None:
        if run.image is None:
            return
        for n, (quantity, direction, unit, exponent) in enumerate(run.image.registers):
            if quantity != r.ACTIVITY and n < run.shape[2]:
                whole, fraction = halves(run.rows[-1:], n)
                self.result.totals[quantity, direction, unit, exponent] += int(whole[0]) << 64 | int(fraction[0])


def _joined(before: Run, run: Run) -> Rows:
    """Number, time and status of the record before and of the run's."""
    names = ["sequence", "start", "duration", "status"]
    return np.concatenate((before.rows[names][-1:], run.rows[names]))


def join(pieces: Sequence[tuple[Shape, Rows]]) -> dict[Shape, Rows]:
    """Rows by shape, in the order given."""
    found: dict[Shape, list[Rows]] = {}
    for shape, rows in pieces:
        found.setdefault(shape, []).append(rows)
    return {shape: np.concatenate(parts) if len(parts) > 1 else parts[0] for shape, parts in found.items()}
