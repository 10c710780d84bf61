"""Replay: a meter's arithmetic again, in plain integers, from counts and conditions or from its records alone.

Shares nothing with the firmware but the profile image's format; what the device does in limbs is one line here.
"""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hostlink.records import IntervalRecord
from protocol import image as layout
from protocol import registers as r
from protocol import status as flags
from protocol.intensities import Intensities

FULL = (1 << 128) - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def surface_value(data: bytes | memoryview, x: int, y: int) -> int:
    """A surface's value at raw conditions `x`, `y`: each of the three interpolations rounded to nearest, halves up."""
    _, _, nx, ny, x0, dx, y0, dy, offset = layout.SURFACE_HEAD.unpack_from(data)
    nodes = struct.unpack_from(f"<{nx * ny}H", data, layout.SURFACE_HEAD.size)
    i, fx = _cell(x - x0, dx, nx)
    j, fy = _cell(y - y0, dy, ny)
    low, high = (
        8 * nodes[i * ny + column] + (((nodes[(i + 1) * ny + column] - nodes[i * ny + column]) * fx + 64) // 128)
        for column in (j, j + 1)
    )
    return offset + low + ((high - low) * fy + 512) // 1024


def _cell(along: int, step: int, count: int) -> tuple[int, int]:
    cell = min(along // step, count - 2)
    return cell, (1024 * (along - cell * step) + step // 2) // step


def slot_value(data: bytes | memoryview, time: int, utc_offset: int) -> int:
    """A time-of-use table's value at UNIX second `time`; `utc_offset` in minutes."""
    _, slots, rows, _ = layout.TIME_OF_USE_HEAD.unpack_from(data)
    at = layout.TIME_OF_USE_HEAD.size
    local = _EPOCH + timedelta(seconds=time + 60 * utc_offset)
    holidays = data[at + 4 * slots + 48 + 24 * rows :]
    kind = (
        3
        if (local - _EPOCH).days in struct.unpack(f"<{len(holidays) // 2}H", holidays)
        else max(local.weekday() - 4, 0)
    )
    row = data[at + 4 * slots + 4 * (local.month - 1) + kind]
    slot = data[at + 4 * slots + 48 + 24 * row + local.hour]
    return struct.unpack_from("<I", data, at + 4 * slot)[0]


class Replay:
    """A meter's registers, step by step. `indices` and `registers` are raw integers as a record has them."""

    def __init__(self, image: layout.Image) -> None:
        self.image = image
        self.indices = [0] * len(image.channels)
        self.registers = [0] * len(image.registers)
        self.status = 0
        self.used: list[int] = []
        self._slots: dict[int, int] = {}
        self._dated: dict[int, int] = {}
        self._surfaces: dict[tuple[int, int, int], int] = {}

    def begin(self, time: int, valid: bool = True, intensities: dict[int, Intensities] | None = None) -> None:
        """An interval begins at UNIX second `time`; `intensities` as pushed, by condition number."""
        image = self.image
        in_force = valid and image.header[14] <= time < image.header[15]
        self._raised = 0 if in_force else flags.FALLBACK_FACTOR
        self.status = 0
        for n, spec in enumerate(image.conditions):
            if spec[0] == r.INTENSITY:
                table = (intensities or {}).get(n)
                value = table.at(time) if table and valid else -1
                if not spec[4] <= value <= spec[5]:
                    value = spec[6]
                    self._raised |= flags.FALLBACK_FACTOR
                self._dated[n] = value
        for n, (kind, data) in enumerate(image.tables):
            if kind == layout.TIME_OF_USE:
                fallback = layout.TIME_OF_USE_HEAD.unpack_from(data)[0]
                self._slots[n] = slot_value(data, time, image.header[16]) if valid else fallback

    def step(self, counts: Sequence[int], inputs: Sequence[int | None] = ()) -> None:
        """`counts[n]` quanta on channel n while input n of the conditions measured `inputs[n]`, None if missing."""
        if not any(counts):
            return
        image = self.image
        used: list[int] = []
        wrong: list[bool] = []
        for n, (quantity, _, _, source, low, high, fallback) in enumerate(image.conditions):
            if quantity == r.INTENSITY:
                used.append(self._dated[n])
                wrong.append(False)
            else:
                value = inputs[source]
                used.append(fallback if value is None else min(max(value, low), high))
                wrong.append(used[-1] != value)
        self.used = used
        self.status |= self._raised | (flags.CONDITION_ERROR if any(wrong) else 0)
        for n, count in enumerate(counts):
            self.indices[n] += count
        for channel, register, twin, shift, constant, *factors in image.terms:
            product = constant * counts[channel]
            error = False
            for factor in factors:
                if factor == layout.NO_FACTOR:
                    continue
                value, bad = self._factor(factor, used, wrong)
                product *= value
                error |= bad
            self._add(twin if error and twin != r.NO_REGISTER else register, product, shift)

    def _factor(self, factor: int, used: list[int], wrong: list[bool]) -> tuple[int, bool]:
        if factor < layout.TABLE_BASE:
            return used[factor], wrong[factor]
        n = factor - layout.TABLE_BASE
        kind, data = self.image.tables[n]
        if kind == layout.TIME_OF_USE:
            return self._slots[n], False
        x, y = data[0], data[1]
        key = (n, used[x], used[y])
        value = self._surfaces.get(key)
        if value is None:
            value = self._surfaces[key] = surface_value(data, used[x], used[y])
        return value, wrong[x] or wrong[y]

    def _add(self, register: int, product: int, shift: int) -> None:
        total = self.registers[register] + (product << 32 * shift)
        if total > FULL:
            self.status |= flags.SATURATED
            total = FULL - (1 << 32 * shift) + 1 | total & (1 << 32 * shift) - 1
        self.registers[register] = total


def check_record(image: layout.Image, before: IntervalRecord | None, record: IntervalRecord) -> list[str]:
    """What in `record` does not follow from the record `before` it (None: from zero) and the profile, one line each.

    Every register's gain is recomputed bit for bit: a term without live conditions from the increment, any other from the
    gain of its activity register, which in turn must lie between count × the conditions' extremes.
    """
    return _Check(image, before, record).findings()


class _Check:
    def __init__(self, image: layout.Image, before: IntervalRecord | None, record: IntervalRecord) -> None:
        self.image = image
        self.record = record
        zero = [0] * len(image.registers)
        self.gains = [
            new - old for new, old in zip(record.registers, before.registers if before else zero, strict=True)
        ]
        indices = before.indices if before else [0] * len(image.channels)
        self.index_gains = [new - old for new, old in zip(record.indices, indices, strict=True)]

    def findings(self) -> list[str]:
        record = self.record
        name = f"record {record.sequence}"
        found = [
            f"{name}: index {n} went on by {gain}, the increment is {record.increments[n]}"
            for n, gain in enumerate(self.index_gains)
            if gain != record.increments[n]
        ]
        if record.status & flags.SATURATED:
            return [*found, f"{name}: a register is full; its gain cannot be recomputed"]
        expected = [0] * len(self.gains)
        checked = [False] * len(self.gains)
        for channel, register, twin, shift, constant, *factors in self.image.terms:
            factors = [factor for factor in factors if factor != layout.NO_FACTOR]
            twin = register if twin == r.NO_REGISTER else twin
            live = tuple(factor for factor in factors if self.is_live(factor))
            scaled = constant << 32 * shift
            for factor in factors:
                if factor not in live:
                    scaled *= self.fixed(factor)
            activity = activity_registers(self.image, channel, live)
            if not live:
                expected[register] += scaled * record.increments[channel]
                checked[register] = True
            elif activity is None:
                found.append(f"{name}: register {register} has a live term without an activity register")
            elif register != activity[0]:
                expected[register] += scaled * self.gains[activity[0]]
                checked[register] = checked[twin] = True
                expected[twin] += scaled * self.gains[activity[1]]
            else:
                found += self.bounds(name, channel, live, activity)
        found += [
            f"{name}: register {n} gained {gain}, the profile makes it {expected[n]}"
            for n, gain in enumerate(self.gains)
            if checked[n] and gain != expected[n]
        ]
        return found

    def is_live(self, factor: int) -> bool:
        """Whether the factor may change within an interval."""
        if factor < layout.TABLE_BASE:
            return self.image.conditions[factor][0] != r.INTENSITY
        return self.image.tables[factor - layout.TABLE_BASE][0] == layout.SURFACE

    def fixed(self, factor: int) -> int:
        """The value that a factor had throughout the interval."""
        if factor < layout.TABLE_BASE:
            low, high = self.record.conditions[factor]
            return low if low == high else 0
        _, data = self.image.tables[factor - layout.TABLE_BASE]
        if self.record.status & flags.CLOCK_INVALID:
            return layout.TIME_OF_USE_HEAD.unpack_from(data)[0]
        return slot_value(data, int(self.record.start.timestamp()), self.image.header[16])

    def bounds(self, name: str, channel: int, live: tuple[int, ...], activity: tuple[int, int]) -> list[str]:
        """An activity's gain must lie within what the conditions' extremes allow, and be in error only if flagged."""
        low = high = self.record.increments[channel]
        for factor in live:
            smallest, largest = self.extremes(factor)
            low *= smallest
            high *= largest
        gain, error = (self.gains[n] for n in activity)
        found = []
        if not low <= gain + error <= high:
            found.append(f"{name}: activity {activity[0]} gained {gain + error}, its conditions allow {low} to {high}")
        if error and not self.record.status & flags.CONDITION_ERROR:
            found.append(f"{name}: activity {activity[1]} counted in error, the record is not flagged")
        return found

    def extremes(self, factor: int) -> tuple[int, int]:
        """Least and greatest value of a live factor over the record's conditions: of a surface, over all its corners."""
        if factor < layout.TABLE_BASE:
            return self.record.conditions[factor]
        data = self.image.tables[factor - layout.TABLE_BASE][1]
        _, _, nx, ny, x0, dx, y0, dy, _ = layout.SURFACE_HEAD.unpack_from(data)
        xs = _knots(self.record.conditions[data[0]], x0, dx, nx)
        ys = _knots(self.record.conditions[data[1]], y0, dy, ny)
        values = [surface_value(data, x, y) for x in xs for y in ys]
        return min(values) - 2, max(values) + 2


def _knots(between: tuple[int, int], first: int, step: int, count: int) -> list[int]:
    """Where a bilinear surface can have its extremes on an interval: its ends, and the nodes inside."""
    low, high = between
    return [low, high, *(at for at in range(first, first + count * step, step) if low < at < high)]


def activity_registers(image: layout.Image, channel: int, live: tuple[int, ...]) -> tuple[int, int] | None:
    """The numbers of the accumulator (and its twin in error) that sums count × live factors of a channel."""
    for term_channel, register, twin, shift, constant, *factors in image.terms:
        used = tuple(factor for factor in factors if factor != layout.NO_FACTOR)
        is_activity = image.registers[register][0] == r.ACTIVITY
        if is_activity and term_channel == channel and used == live and (constant, shift) == (1, 0):
            return register, twin
    return None
