"""`firmware.tables.Surface.at`: every step is a small integer on a 32-bit meter, no node outside the table is read, and no
interpolation leaves the values it is between.

Proved for every surface that `protocol.image` accepts and every pair of conditions within their limits. The method's own
statements are executed one by one; behind those named in `_KEPT`, what is kept of the variable is proved, and the rest of
what is known forgotten, as one does on paper: products of unknowns are decided a few at a time.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Callable, Mapping
from typing import Any

import z3

from protocol import image as layout
from testbench.proof.paths import Path, every_path
from testbench.proof.words import Refuted

SMALL = layout.SMALL
NODE_MAX = 0xFFFF


class Small:
    """An unknown integer that must stay in -2**30 … 2**30 - 1, what a 32-bit MicroPython keeps without the heap."""

    def __init__(self, path: Path, term: z3.ArithRef) -> None:
        path.require(z3.And(term >= -SMALL, term < SMALL), "a step is a small integer")
        self.path = path
        self.term = term

    def __add__(self, other: Small | int) -> Small:
        return Small(self.path, self.term + _term(other))

    __radd__ = __add__

    def __sub__(self, other: Small | int) -> Small:
        return Small(self.path, self.term - _term(other))

    def __mul__(self, other: Small | int) -> Small:
        return Small(self.path, self.term * _term(other))

    def __lshift__(self, bits: int) -> Small:
        return self * (1 << bits)

    def __rshift__(self, bits: int) -> Small:
        return self // (1 << bits)

    def __floordiv__(self, divisor: Small | int) -> Small:
        return Small(self.path, self.path.quotient(self.term, _term(divisor)))

    def __lt__(self, other: Small | int) -> bool:
        return self.path.decide(self.term < _term(other))


def _term(value: Small | int) -> z3.ArithRef:
    return value.term if isinstance(value, Small) else z3.IntVal(value)


class Nodes:
    """The table: each read gives some halfword, and must lie inside."""

    def __init__(self, path: Path, size: z3.ArithRef) -> None:
        self._path = path
        self._size = size
        self.read: list[z3.ArithRef] = []

    def __getitem__(self, index: Small) -> Small:
        self._path.require(z3.And(index.term >= 0, index.term < self._size), "a node read is one of the table")
        node = self._path.integer(f"node{len(self.read)}", 0, NODE_MAX)
        self.read.append(node)
        return Small(self._path, node)


Terms = Mapping[str, z3.ArithRef]


def _in_cell(cell: str, along: str, step: str, count: str) -> Callable[[Terms], z3.BoolRef]:
    def claim(v: Terms) -> z3.BoolRef:
        rest = v[along] - v[cell] * v[step]
        return z3.And(v[cell] >= 0, v[cell] <= v[count] - 2, rest >= 0, rest <= v[step])

    return claim


def _share(name: str) -> Callable[[Terms], z3.BoolRef]:
    return lambda v: z3.And(v[name] >= 0, v[name] <= 1 << layout.SURFACE_FRACTION_BITS)


def _between(name: str, first: int) -> Callable[[Terms], z3.BoolRef]:
    """Between the values of the two nodes read last, the lower of them number `first`."""

    def claim(v: Terms) -> z3.BoolRef:
        a, b = (v[f"node{n}"] * (1 << layout.SURFACE_EIGHTHS_BITS) for n in (first, first + 1))
        return z3.Or(z3.And(a <= v[name], v[name] <= b), z3.And(b <= v[name], v[name] <= a))

    return claim


_KEPT: dict[str, Callable[[Terms], z3.BoolRef]] = {
    "i": _in_cell("i", "x", "_dx", "_nx"),
    "x": _share("x"),
    "j": _in_cell("j", "y", "_dy", "_ny"),
    "y": _share("y"),
    "near": _between("near", 0),
    "far": _between("far", 2),
}
"""By the variable assigned: what is kept of it."""


def prove_surface(text: str) -> int:
    """text: the source of `firmware.tables`. Returns the number of paths. Raises Refuted."""
    statements = _method(text, "Surface", "at")

    def run(path: Path) -> None:
        surface, given = _inputs(path)
        variables: dict[str, Any] = {"self": surface, **given}
        kept = set()
        for statement in statements:
            if isinstance(statement, ast.Return) and statement.value:
                value = eval(compile(ast.Expression(statement.value), "<firmware>", "eval"), {}, variables)
                near, far, offset = variables["near"].term, variables["far"].term, surface._offset.term
                inside = value.term - offset
                claim = z3.Or(z3.And(near <= inside, inside <= far), z3.And(far <= inside, inside <= near))
                path.require(claim, "the value lies between its nodes")
                break
            exec(compile(ast.Module([statement], []), "<firmware>", "exec"), {}, variables)
            name = statement.targets[0].id if isinstance(statement, ast.Assign) else ""  # type: ignore[attr-defined]
            if name in _KEPT:
                kept.add(name)
                _keep(path, name, variables, surface)
        if kept != set(_KEPT):
            raise Refuted(f"expected assignments to {', '.join(_KEPT)}, found {', '.join(kept)}")

    return sum(1 for _ in every_path(run, "QF_NIA"))


def _method(text: str, class_name: str, name: str) -> list[ast.stmt]:
    (class_,) = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == class_name)
    (method,) = (node for node in class_.body if isinstance(node, ast.FunctionDef) and node.name == name)
    return method.body


def _inputs(path: Path) -> tuple[types.SimpleNamespace, dict[str, Small]]:
    """A surface as `protocol.image` accepts it, and conditions within its grid."""
    surface = types.SimpleNamespace()
    given = {}
    counts = []
    for axis in "xy":
        count = path.integer(f"n{axis}", 2, 0xFF)
        first = path.integer(f"{axis}0", 0, SMALL - 1)
        step = path.integer(f"d{axis}", 1, layout.SURFACE_STEP_MAX)
        value = path.integer(axis, 0, SMALL - 1)
        path.assume(value >= first, value <= first + (count - 1) * step)
        for name, term in ((f"_n{axis}", count), (f"_{axis}0", first), (f"_d{axis}", step)):
            setattr(surface, name, Small(path, term))
        given[axis] = Small(path, value)
        counts.append(count)
    highest = SMALL - (1 << 16 + layout.SURFACE_EIGHTHS_BITS) - 1
    surface._offset = Small(path, path.integer("offset", 0, highest))
    surface._nodes = Nodes(path, counts[0] * counts[1])
    path.keep()
    return surface, given


def _keep(path: Path, name: str, variables: dict[str, Any], surface: types.SimpleNamespace) -> None:
    """Prove what is to be kept of variable `name`, and let it stand for the variable from here on."""
    terms = {key: value.term for key, value in {**vars(surface), **variables}.items() if isinstance(value, Small)}
    terms.update({f"node{n}": node for n, node in enumerate(surface._nodes.read)})
    path.require(_KEPT[name](terms), f"{name} is what the next steps need")
    path.forget()
    terms[name] = path.integer(f"any_{name}", -SMALL, SMALL - 1)
    for node in surface._nodes.read:
        path.assume(node >= 0, node <= NODE_MAX)
    path.assume(_KEPT[name](terms))
    path.keep()
    variables[name] = Small(path, terms[name])
