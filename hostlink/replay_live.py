"""Which of many records certainly follow from the one before: for profiles with live conditions, tables or slots.

Never the last word. What is not certain here (an altered record, a product near 128 bits, a condition beyond a surface) goes to
`hostlink.replay.check_record`, in plain integers; what is certain here passes there, and a test holds the two together.
"""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hostlink.replay import activity_registers
from hostlink.replay_columns import Wide, Words, add, differ, halves, less, subtract, times
from protocol import image as layout
from protocol import registers as r
from protocol import status as flags

Flags = NDArray[np.bool_]
Numbers = NDArray[np.int64]
_LIMIT = 2.0**126
"""Products are taken modulo 2**128; what a float puts beyond this is not certain."""
_MARGIN = 2
"""Of a surface's value over an interval, as `check_record` allows."""


def certain(image: layout.Image, rows: NDArray[Any]) -> Flags:
    """For each row but the first: whether its registers follow from the row before, by its counts and conditions."""
    return _Check(image, rows).check()


class _Check:
    def __init__(self, image: layout.Image, rows: NDArray[Any]) -> None:
        self.image = image
        self.after = rows[1:]
        self.sure = (self.after["status"] & flags.SATURATED) == 0
        self.gains = []
        for n in range(len(image.registers)):
            whole, fraction = halves(rows, n)
            self.gains.append(subtract((whole[1:], fraction[1:]), (whole[:-1], fraction[:-1])))
        zero = np.zeros(len(self.after), "u8")
        self.expected: list[Wide] = [(zero, zero)] * len(image.registers)
        self.magnitude = [np.zeros(len(self.after))] * len(image.registers)

    def check(self) -> Flags:
        checked: set[int] = set()
        for channel, register, twin, shift, constant, *factors in self.image.terms:
            factors = [factor for factor in factors if factor != layout.NO_FACTOR]
            live = tuple(factor for factor in factors if self.is_live(factor))
            count = self.after[f"increment{channel}"].astype("u8")
            scale = [self.fixed(factor) for factor in factors if factor not in live]
            activity = activity_registers(self.image, channel, live) if live else (register, register)
            if activity is None or max(activity) >= len(self.gains):
                return np.zeros(len(self.after), bool)
            if not live:
                parts = {register: count}
            elif register != activity[0]:
                parts = {register: self.small_gain(activity[0])}
                error = self.small_gain(activity[1])
                self.expect(register if twin == r.NO_REGISTER else twin, constant, shift, [*scale, error])
                checked.add(register if twin == r.NO_REGISTER else twin)
            else:
                self.bounds(count, live, activity)
                continue
            for to, gain in parts.items():
                self.expect(to, constant, shift, [*scale, gain])
                checked.add(to)
        for n in checked:
            self.sure &= ~differ(self.gains[n], self.expected[n]) & (self.magnitude[n] < _LIMIT)
        return self.sure

    def expect(self, register: int, constant: int, shift: int, factors: list[Words]) -> None:
        """Add constant * 2**(32 * shift) * factors to what the register should gain."""
        value, magnitude = self.product(constant << 32 * shift, factors)
        self.expected[register] = add(self.expected[register], value)
        self.magnitude[register] = self.magnitude[register] + magnitude

    def product(self, constant: int, factors: list[Words]) -> tuple[Wide, NDArray[np.float64]]:
        size = len(self.after)
        value = np.full(size, constant >> 64, "u8"), np.full(size, constant & (1 << 64) - 1, "u8")
        magnitude = np.full(size, float(constant))
        for factor in factors:
            value, magnitude = times(value, factor), magnitude * factor
        return value, magnitude

    def small_gain(self, register: int) -> Words:
        """What an activity register gained: certain only below 2**64."""
        whole, fraction = self.gains[register]
        self.sure &= whole == 0
        return fraction

    def bounds(self, count: Words, live: tuple[int, ...], activity: tuple[int, int]) -> None:
        extremes = [self.extremes(factor) for factor in live]
        low, _ = self.product(1, [count, *(least for least, _ in extremes)])
        high, magnitude = self.product(1, [count, *(most for _, most in extremes)])
        gain, error = (self.small_gain(n) for n in activity)
        zero = np.zeros(len(gain), "u8")
        total = add((zero, gain), (zero, error))
        self.sure &= ~less(total, low) & ~less(high, total) & (magnitude < _LIMIT)
        self.sure &= (error == 0) | (self.after["status"] & flags.CONDITION_ERROR != 0)

    def is_live(self, factor: int) -> bool:
        if factor < layout.TABLE_BASE:
            return self.image.conditions[factor][0] != r.INTENSITY
        return self.image.tables[factor - layout.TABLE_BASE][0] == layout.SURFACE

    def fixed(self, factor: int) -> Words:
        """The value that a factor had throughout each interval."""
        if factor < layout.TABLE_BASE:
            low, high = (self.after[f"{end}{factor}"].astype("u8") for end in ("low", "high"))
            return np.where(low == high, low, np.uint64(0))
        _, data = self.image.tables[factor - layout.TABLE_BASE]
        fallback = np.uint64(layout.TIME_OF_USE_HEAD.unpack_from(data)[0])
        values = slot_values(data, self.after["start"].astype("i8"), self.image.header[16])
        return np.where(self.after["status"] & flags.CLOCK_INVALID != 0, fallback, values)

    def extremes(self, factor: int) -> tuple[Words, Words]:
        """Least and greatest value of a live factor; of a surface over the corners of the interval, which is no more than what
        it reached."""
        if factor < layout.TABLE_BASE:
            return self.after[f"low{factor}"].astype("u8"), self.after[f"high{factor}"].astype("u8")
        data = self.image.tables[factor - layout.TABLE_BASE][1]
        x, y = data[0], data[1]
        values = []
        for column in (f"low{x}", f"high{x}"):
            for row in (f"low{y}", f"high{y}"):
                value, inside = surface_values(data, self.after[column].astype("i8"), self.after[row].astype("i8"))
                self.sure &= inside
                values.append(value)
        least, most = np.minimum.reduce(values), np.maximum.reduce(values)
        return np.maximum(least - _MARGIN, 0).astype("u8"), (most + _MARGIN).astype("u8")


def slot_values(data: bytes | memoryview, time: Numbers, utc_offset: int) -> Words:
    """A time-of-use table's values at UNIX seconds `time`: `hostlink.replay.slot_value` for many."""
    _, slots, rows, _ = layout.TIME_OF_USE_HEAD.unpack_from(data)
    at = layout.TIME_OF_USE_HEAD.size
    table = np.frombuffer(data, "u1")
    local = time + 60 * utc_offset
    day, hour = local // 86400, local % 86400 // 3600
    month = day.astype("datetime64[D]").astype("datetime64[M]").astype("i8") % 12
    weekday = (day + 3) % 7
    holidays = table[at + 4 * slots + 48 + 24 * rows :].view("<u2")
    kind = np.where(np.isin(day, holidays), 3, np.maximum(weekday - 4, 0))
    row = table[at + 4 * slots + 4 * month + kind].astype("i8")
    slot = table[at + 4 * slots + 48 + 24 * row + hour]
    return table[at : at + 4 * slots].view("<u4")[slot].astype("u8")


def surface_values(data: bytes | memoryview, x: Numbers, y: Numbers) -> tuple[Numbers, Flags]:
    """A surface's values at raw conditions, and which of these lie on it: `hostlink.replay.surface_value` for many."""
    _, _, nx, ny, x0, dx, y0, dy, offset = layout.SURFACE_HEAD.unpack_from(data)
    nodes = np.array(struct.unpack_from(f"<{nx * ny}H", data, layout.SURFACE_HEAD.size), "i8").reshape(nx, ny)
    inside = (x >= x0) & (x - x0 <= dx * (nx - 1)) & (y >= y0) & (y - y0 <= dy * (ny - 1))
    i, fx = _cells(np.where(inside, x - x0, 0), dx, nx)
    j, fy = _cells(np.where(inside, y - y0, 0), dy, ny)
    low, high = (8 * nodes[i, k] + ((nodes[i + 1, k] - nodes[i, k]) * fx + 64) // 128 for k in (j, j + 1))
    return offset + low + ((high - low) * fy + 512) // 1024, inside


def _cells(along: Numbers, step: int, count: int) -> tuple[Numbers, Numbers]:
    cell = np.minimum(along // step, count - 2)
    return cell, (1024 * (along - cell * step) + step // 2) // step
