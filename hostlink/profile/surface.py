"""Gas conversion as a surface: base volume a volume and pascal, over pressure and temperature, bilinear between nodes.

The device multiplies the count by the pressure and by the surface `s(p, T) = Zb Tb / (pb T Z(p, T))`, nearly flat in p. For
a bilinear interpolant on a cell of hp by hT, with I and J the interpolations along either axis, `s - IJs = (s - Is) +
I(s - Js)`, so `|error| <= hp²/8 max|s_pp| + hT²/8 max|s_TT|`. Both maxima are enclosed by interval arithmetic over the whole
cell: not sampled.
"""

import struct
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np

from hostlink.errors import ProofError, UsageError
from hostlink.profile.detail import CONTEXT, Gas, R, decimal, derivative, evaluate
from hostlink.profile.interval import Interval, enclose, exponential
from protocol import image as layout

LARGEST = 2048
"""Bytes that a surface may take on the device."""
TARGET = Fraction(50, 10**6)
"""Error that the grid is made for, relative."""
AGREEMENT = 1e-9
"""Relative difference from pyaga8 that a node may have: it stops its own iteration at 1e-11."""
_SPLIT = 2
"""Boxes along each axis of a cell in the proof."""


@dataclass(frozen=True)
class Axis:
    """A condition's raw range, `first` to `last` in steps of `step` (Pa or K) from `zero`, and the nodes on it."""

    condition: int
    first: int
    last: int
    step: Fraction

    def grid(self, cells: int) -> tuple[int, int]:
        """Number of nodes and raw distance between them that cover the range with `cells` cells."""
        return cells + 1, ceil(Fraction(self.last - self.first, cells))


@dataclass(frozen=True)
class Surface:
    """`data` as a table of the image; the device's value stands for `value * scale` in 1/Pa. Bounds are relative."""

    data: bytes
    scale: Fraction
    nodes: tuple[int, int]
    interpolation: Fraction
    rounding: Fraction
    gas: Gas
    base: tuple[Fraction, Fraction]
    pressure: Axis
    temperature: Axis

    @property
    def bound(self) -> Fraction:
        """Most that the device's value can differ from the exact one, relative to the latter."""
        return self.interpolation + self.rounding

    def exact(self, p: int, t: int) -> Fraction:
        """The exact value at raw conditions, 1/Pa."""
        return exact(self.gas, self.base, p * self.pressure.step, t * self.temperature.step)


def exact(gas: Gas, base: tuple[Fraction, Fraction], p: Fraction, t: Fraction) -> Fraction:
    """Base volume a volume and pascal at `p` Pa and `t` K for base conditions (Pa, K); a decimal, so that sums stay short."""
    pb, tb = base
    with localcontext(CONTEXT):
        return Fraction(decimal(gas.z(pb, tb) * tb / pb) / decimal(t * gas.z(p, t)))


def gas_conversion(
    gas: Gas, base: tuple[Fraction, Fraction], pressure: Axis, temperature: Axis, target: Fraction = TARGET
) -> Surface:
    """The smallest surface whose certified bound is at most `target`. Raises UsageError if none of LARGEST bytes is."""
    cells = _first_guess(gas, pressure, temperature, target)
    best = None
    for _ in range(12):
        if not _fits(cells):
            break
        bound = float(_interpolation(gas, pressure, temperature, cells).max())
        if bound <= 0.8 * float(target):
            best = cells
            break
        grow = (bound / (0.75 * float(target))) ** 0.5
        cells = (max(cells[0], ceil(cells[0] * grow)), max(cells[1], ceil(cells[1] * grow)))
    if best is None:
        raise UsageError(
            f"expected a surface of at most {LARGEST} bytes within {float(target) * 1e6:g} ppm, none is;"
            " narrow the ranges or allow more"
        )
    made = _make(gas, base, pressure, temperature, best)
    if made.bound > target:
        raise UsageError(
            f"expected a surface within {float(target) * 1e6:g} ppm, rounding alone takes {float(made.rounding) * 1e6:.1f};"
            " narrow the ranges or allow more"
        )
    return made


def _fits(cells: tuple[int, int]) -> bool:
    nodes = (cells[0] + 1) * (cells[1] + 1)
    return max(cells) < 255 and layout.SURFACE_HEAD.size + 2 * nodes <= LARGEST


def _first_guess(gas: Gas, pressure: Axis, temperature: Axis, target: Fraction) -> tuple[int, int]:
    """Cells a side that share the target evenly, from the curvature over the whole range at once."""
    along_p, along_t = _curvatures(gas, pressure, temperature, (16, 8))
    half = float(target) * 0.75 / 2
    spans = ((axis.last - axis.first) * float(axis.step) for axis in (pressure, temperature))
    counts = [
        max(2, ceil(span * (float(c.max()) / 8 / half) ** 0.5))
        for span, c in zip(spans, (along_p, along_t), strict=True)
    ]
    return counts[0], counts[1]


def _interpolation(gas: Gas, pressure: Axis, temperature: Axis, cells: tuple[int, int]) -> Any:
    """The relative interpolation bound of each cell, array of `cells`."""
    widths = [axis.grid(n)[1] * float(axis.step) for axis, n in zip((pressure, temperature), cells, strict=True)]
    along_p, along_t = _curvatures(gas, pressure, temperature, cells)
    return (widths[0] ** 2 / 8 * along_p + widths[1] ** 2 / 8 * along_t) * (1 + 1e-12)


def _curvatures(gas: Gas, pressure: Axis, temperature: Axis, cells: tuple[int, int]) -> tuple[Any, Any]:
    """Upper bounds of max |s_pp| / min s and max |s_TT| / min s on each cell."""
    p, t = _boxes(pressure, cells[0]), _boxes(temperature, cells[1])
    p = Interval(p.low[:, None], p.high[:, None])
    t = Interval(t.low[None, :], t.high[None, :])
    ones = np.ones((p.low.shape[0], t.low.shape[1]))

    def power(u: Decimal) -> Interval:
        return t.power(-float(u))

    z_sum = gas.isotherm(lambda u: power(u) * ones)
    z_t_sum = gas.isotherm(lambda u: power(u + 1) * ones, lambda u: -u)
    z_tt_sum = gas.isotherm(lambda u: power(u + 2) * ones, lambda u: u * (u + 1))
    z_d_sum = derivative(z_sum)

    def at(sums: Any, d: Interval) -> Interval:
        return enclose(evaluate(sums, d, lambda x: exponential(-x)))

    ideal = p * enclose(decimal(Fraction(gas.size) / (1000 * Fraction(R)))) / t
    d = Interval(ideal.low * 0.7, ideal.high * 1.5)
    z = 1 + at(z_sum, d)
    g_d = t * at(z_d_sum, d)
    slope = z * t + d * g_d
    if not (np.all(z.low > 1 / 1.5) and np.all(z.high < 1 / 0.7) and np.all(slope.low > 0)):
        raise UsageError("expected a gas far from its dew point over all conditions; narrow their ranges")
    for _ in range(6):
        d = d.meet(ideal / (1 + at(z_sum, d)))
    z, z_t, z_tt = 1 + at(z_sum, d), at(z_t_sum, d), at(z_tt_sum, d)
    g = t * z
    g_d, g_dd = t * at(z_d_sum, d), t * at(derivative(z_d_sum), d)
    g_t, g_tt, g_dt = z + t * z_t, 2 * z_t + t * z_tt, at(z_d_sum, d) + t * at(derivative(z_t_sum), d)
    f_d, f_t, f_dd = g + d * g_d, d * g_t, 2 * g_d + d * g_dd
    f_dt, f_tt = g_t + d * g_dt, d * g_tt
    d_p, d_t = 1 / f_d, -f_t / f_d
    d_pp = -f_dd / (f_d * f_d * f_d)
    d_tt = -(f_tt + 2 * f_dt * d_t + f_dd * d_t * d_t) / f_d
    # s is proportional to 1 / g: relative to s, first and second derivatives of 1 / g times g.
    w_d = -g_d / g
    w_dd = 2 * w_d * w_d - g_dd / g
    w_dt = 2 * g_d * g_t / (g * g) - g_dt / g
    w_tt = 2 * g_t * g_t / (g * g) - g_tt / g
    unit = enclose(decimal(Fraction(gas.size) / (1000 * Fraction(R))))
    s_pp = (w_dd * d_p * d_p + w_d * d_pp) * unit * unit
    s_tt = w_tt + 2 * w_dt * d_t + w_dd * d_t * d_t + w_d * d_tt
    spread = _cells(g.high, cells) / -_cells(-g.low, cells)
    return _cells(s_pp.magnitude(), cells) * spread, _cells(s_tt.magnitude(), cells) * spread


def _boxes(axis: Axis, cells: int) -> Interval:
    width = axis.grid(cells)[1] * float(axis.step) / _SPLIT
    edges = axis.first * float(axis.step) + width * np.arange(cells * _SPLIT + 1)
    return Interval(edges[:-1] * (1 - 1e-15), edges[1:] * (1 + 1e-15))


def _cells(boxes: Any, cells: tuple[int, int]) -> Any:
    return boxes.reshape(cells[0], _SPLIT, cells[1], _SPLIT).max(axis=(1, 3))


def _make(
    gas: Gas, base: tuple[Fraction, Fraction], pressure: Axis, temperature: Axis, cells: tuple[int, int]
) -> Surface:
    (nx, dx), (ny, dy) = pressure.grid(cells[0]), temperature.grid(cells[1])
    ps = [pressure.first + i * dx for i in range(nx)]
    ts = [temperature.first + j * dy for j in range(ny)]
    values = _node_values(gas, base, [p * pressure.step for p in ps], [t * temperature.step for t in ts])
    least, most = min(map(min, values)), max(map(max, values))
    # The scale is cut to 12 digits: a number that a reader can type, with nodes that fill 16 bits.
    span = Fraction(most - least) / (65_000 << layout.SURFACE_EIGHTHS_BITS)
    digits = Fraction(10) ** (len(str(int(1 / span))) + 11)
    scale = Fraction(ceil(span * digits), digits)
    offset = int(Fraction(least) / scale)
    with localcontext(CONTEXT):
        step = decimal(scale) * (1 << layout.SURFACE_EIGHTHS_BITS)
        nodes = [[int(((v - decimal(offset * scale)) / step).to_integral_value()) for v in row] for row in values]
    head = layout.SURFACE_HEAD.pack(pressure.condition, temperature.condition, nx, ny, ps[0], dx, ts[0], dy, offset)
    data = head + struct.pack(f"<{nx * ny}H", *(node for row in nodes for node in row))
    bounds = _interpolation(gas, pressure, temperature, cells)
    return Surface(
        data, scale, (nx, ny), Fraction(float(bounds.max())), _rounding(nodes, offset), gas, base, pressure, temperature
    )


def _node_values(
    gas: Gas, base: tuple[Fraction, Fraction], ps: list[Fraction], ts: list[Fraction]
) -> list[list[Decimal]]:
    pb, tb = base
    constant = decimal(gas.z(pb, tb) * tb / pb)
    columns = []
    for t in ts:
        temperature = decimal(t)
        isotherm = gas.at(temperature)
        with localcontext(CONTEXT):
            column = []
            for p in ps:
                pressure = decimal(p)
                density = gas.density(pressure, temperature, isotherm)
                column.append(constant * density * R * 1000 / (pressure * gas.size))
        columns.append(column)
    values = [list(row) for row in zip(*columns, strict=True)]
    _check(gas, base, ps, ts, values)
    return values


def _check(
    gas: Gas, base: tuple[Fraction, Fraction], ps: list[Fraction], ts: list[Fraction], values: list[list[Decimal]]
) -> None:
    """Every node against pyaga8. Raises ProofError where they differ."""
    from hostlink.profile.aga8 import Detail

    detail = Detail(gas.fractions)
    pb, tb = map(float, base)
    constant = detail.z(pb, tb) * tb / pb
    for p, row in zip(ps, values, strict=True):
        for t, value in zip(ts, row, strict=True):
            other = constant / (float(t) * detail.z(float(p), float(t)))
            if abs(float(value) / other - 1) > AGREEMENT:
                raise ProofError(f"node at {float(p)} Pa, {float(t)} K: {float(value)!r} here, {other!r} by pyaga8")


def _rounding(nodes: list[list[int]], offset: int) -> Fraction:
    """Most that integer arithmetic on the device costs, relative to the least value.

    In units of the value: 4 for a node (half of eight); 1 for the three roundings of the interpolation; half a 1024th of the
    widest step along each axis for the rounded position, and both at once for its cross term.
    """
    along_x = max(abs(b - a) for near, far in pairwise(nodes) for a, b in zip(near, far, strict=True))
    along_y = max(abs(b - a) for row in nodes for a, b in pairwise(row))
    units = 4 + 1 + Fraction(8 * (along_x + along_y), 2048) + Fraction(along_x + along_y, 1 << 18)
    least = offset + 8 * min(map(min, nodes))
    return units / (least - ceil(units))
