"""Intervals over NumPy arrays: every result encloses every value that its operands allow.

IEEE 754 rounds `+ - * /` to the nearest number, so one step outward encloses them. Library powers and exponentials are within a
few units of the last place on every platform we know; they are widened by `LIBRARY` (16 such units).
"""

from decimal import Decimal
from typing import Any

import numpy as np

LIBRARY = 16 * 2.0**-52


class Interval:
    """`low <= value <= high`, elementwise, arrays of one shape or plain numbers."""

    __slots__ = ("high", "low")
    __array_ufunc__ = None

    def __init__(self, low: Any, high: Any) -> None:
        self.low = low
        self.high = high

    def __add__(self, other: Any) -> "Interval":
        o = enclose(other)
        return _out(self.low + o.low, self.high + o.high)

    __radd__ = __add__

    def __neg__(self) -> "Interval":
        return Interval(-self.high, -self.low)

    def __sub__(self, other: Any) -> "Interval":
        return self + -enclose(other)

    def __rsub__(self, other: Any) -> "Interval":
        return enclose(other) + -self

    def __mul__(self, other: Any) -> "Interval":
        o = enclose(other)
        products = [a * b for a in (self.low, self.high) for b in (o.low, o.high)]
        least = np.minimum(np.minimum(products[0], products[1]), np.minimum(products[2], products[3]))
        most = np.maximum(np.maximum(products[0], products[1]), np.maximum(products[2], products[3]))
        return _out(least, most)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Interval":
        o = enclose(other)
        if not np.all((o.low > 0) | (o.high < 0)):
            raise ZeroDivisionError("an interval with zero in it as divisor")
        return self * _out(1 / o.high, 1 / o.low)

    def __rtruediv__(self, other: Any) -> "Interval":
        return enclose(other) / self

    def power(self, exponent: float) -> "Interval":
        """To a real power; the interval is positive, the exponent a number that floats have exactly."""
        ends = self.low**exponent, self.high**exponent
        low, high = ends if exponent >= 0 else ends[::-1]
        return Interval(low * (1 - LIBRARY), high * (1 + LIBRARY))

    def magnitude(self) -> Any:
        """The greatest absolute value."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    def meet(self, other: "Interval") -> "Interval":
        """What both enclose."""
        return Interval(np.maximum(self.low, other.low), np.minimum(self.high, other.high))


def exponential(x: Interval) -> Interval:
    """e to the power of an interval."""
    return Interval(np.exp(x.low) * (1 - LIBRARY), np.exp(x.high) * (1 + LIBRARY))


def enclose(value: Any) -> Interval:
    """An interval around a number: of an integer that floats have exactly, itself; of a decimal, its neighbours."""
    if isinstance(value, Interval):
        return value
    if isinstance(value, Decimal):
        near = float(value)
        return Interval(np.nextafter(near, -np.inf), np.nextafter(near, np.inf))
    return Interval(value, value)


def _out(low: Any, high: Any) -> Interval:
    return Interval(np.nextafter(low, -np.inf), np.nextafter(high, np.inf))
