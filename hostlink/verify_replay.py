"""Replay of a run of records: every index and register from the counts and the profile, in integers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hostlink.columns import Shape
from hostlink.records import decode
from hostlink.replay import check_record
from hostlink.replay_columns import differ, expected_gains, halves, is_constant, less, subtract
from hostlink.replay_live import certain
from hostlink.verify_run import Rows, Run, Verification
from protocol import status as flags
from protocol.image import Image


def replay_run(verification: Verification, before: Run | None, run: Run, image: Image) -> None:
    expected_shape = (len(image.channels), len(image.conditions), len(image.registers))
    if expected_shape != run.shape:
        first, last = int(run.rows["sequence"][0]), int(run.rows["sequence"][-1])
        verification.find(
            "profile", first, f"the profile makes records of shape {expected_shape}, these have {run.shape}", last
        )
        return
    rows = _with_start(verification, before, run, image)
    verification.result.replayed += len(rows) - 1
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
        _replay_constant(verification, rows, image, gains, wrong)
    else:
        _replay_each(verification, run.shape, rows, image, adjacent, wrong)
    _blame(verification, rows, image, wrong)


def _with_start(verification: Verification, before: Run | None, run: Run, image: Image) -> Rows:
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


def _replay_constant(
    verification: Verification, rows: Rows, image: Image, gains: list[Any], wrong: dict[int, list[tuple[str, str]]]
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


def _replay_each(
    self,
    shape: Shape,
    rows: Rows,
    image: Image,
    adjacent: NDArray[np.bool_],
    wrong: dict[int, list[tuple[str, str]]],
) -> None:
    follows = adjacent | (rows["sequence"][1:] == 0)
    for at in (np.flatnonzero(~(follows & certain(image, rows))) + 1).tolist():
        before, record = (decode(rows[n].tobytes(), *shape) for n in (at - 1, at))
        if follows[at - 1]:
            told = [text.partition(": ")[2] for text in check_record(image, before, record)]
            told = [text for text in told if not text.startswith("index")]
        else:
            pairs = zip(before.registers, record.registers, strict=True)
            told = [f"register {n} goes down" for n, (old, new) in enumerate(pairs) if new < old]
        if told:
            wrong.setdefault(at, []).extend(("register", text) for text in told)


def _blame(verification: Verification, rows: Rows, image: Image, wrong: dict[int, list[tuple[str, str]]]) -> None:
    """A record whose counts or registers were altered does not fit to the one behind it either: that one is not told
    again where, without the altered record between, it fits to the one before."""
    for at in sorted(wrong):
        texts = wrong[at]
        if at - 1 in wrong and at >= 2 and _fits(verification, rows[at - 2 : at + 1], image):
            continue
        number = int(rows["sequence"][at])
        kind = "index" if any(kind == "index" for kind, _ in texts) else "register"
        verification.find(kind, number, f"record {number}: " + "; ".join(text for _, text in texts))


def _fits(verification: Verification, three: Rows, image: Image) -> bool:
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
