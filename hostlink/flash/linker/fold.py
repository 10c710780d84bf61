"""Names that stand for a number, a text or bytes for ever become that; a field table keeps only what the device reads."""

from __future__ import annotations

import ast
import operator
import struct
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeGuard

from hostlink.errors import LinkingError
from hostlink.flash.linker.hoist import File
from protocol.layout import field_names, struct_code

Value = int | str | bytes | None
_LAYOUT = "protocol_layout__Layout"
_NAMES = "protocol_layout__field_names"
_PARSES = "protocol_layout__PARSES"
_LONGEST = 128
"""Bytes and texts up to this length are put where they are used: a constant costs its file once however often it is named."""
_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
}


class _Unknown(Exception):
    """Not a value that is known before the program runs."""


def fold(files: Iterable[File]) -> None:
    """Do so in place."""
    files = list(files)
    times = Counter(name for file in files for node in file.body for name in _bound(node))
    values: dict[str, Value] = {}
    for file in files:
        for node in file.body:
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                for name, value in _pairs(node, values):
                    if times[name] == 1:
                        values[name] = value
    values[_PARSES] = False
    sizes = {
        node.targets[0].id: struct.calcsize(struct_code(_text(node.value))[0])
        for file in files
        for node in file.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and _is_layout(node.value)
    }
    folder = _Folder(values, sizes)
    for file in files:
        file.body = [folder.visit(node) for node in file.body]


def _bound(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    return [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)]


def _pairs(node: ast.Assign, known: dict[str, Value]) -> Iterable[tuple[str, Value]]:
    target = node.targets[0]
    try:
        if isinstance(target, ast.Name):
            value = _value(node.value, known)
            if not isinstance(value, (str, bytes)) or len(value) <= _LONGEST:
                yield target.id, value
        elif isinstance(target, ast.Tuple):
            if isinstance(node.value, ast.Tuple):
                given = [_value(one, known) for one in node.value.elts]
            else:
                whole = _value(node.value, known)
                given = list(whole) if isinstance(whole, bytes) else []
            if len(given) == len(target.elts):
                yield from ((name.id, one) for name, one in zip(target.elts, given, strict=True))  # type: ignore[attr-defined]
    except _Unknown:
        pass


def _value(node: ast.expr, known: dict[str, Value]) -> Value:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, str, bytes, type(None))):
        return node.value
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "const":
        return _value(node.args[0], known)
    if isinstance(node, ast.UnaryOp):
        return _negated(node.op, _number(node.operand, known))
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_number(node.left, known), _number(node.right, known))
    raise _Unknown


def _number(node: ast.expr, known: dict[str, Value]) -> int:
    value = _value(node, known)
    if type(value) is not int:
        raise _Unknown
    return value


def _negated(op: ast.unaryop, value: int) -> int:
    if isinstance(op, ast.USub):
        return -value
    if isinstance(op, ast.Invert):
        return ~value
    raise _Unknown


def _is_layout(node: ast.AST) -> TypeGuard[ast.Call]:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == _LAYOUT
        and isinstance(node.args[0], ast.Constant)
    )


def _text(call: ast.Call) -> str:
    text = call.args[0]
    if not isinstance(text, ast.Constant):
        raise LinkingError(f"expected a table of fields as text, got {ast.unparse(call)}")
    return text.value  # type: ignore[return-value]


class _Folder(ast.NodeTransformer):
    def __init__(self, values: dict[str, Value], sizes: dict[str, int]) -> None:
        self._values, self._sizes = values, sizes

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if node.attr == "size" and isinstance(node.value, ast.Name) and node.value.id in self._sizes:
            return ast.Constant(self._sizes[node.value.id])
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if isinstance(node.ctx, ast.Load) and node.id in self._values:
            value = self._values[node.id]
            if type(value) is int and value < 0:
                return ast.UnaryOp(ast.USub(), ast.Constant(-value))
            return ast.Constant(value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name):
            if node.func.id == "const":
                return node.args[0]
            if node.func.id == _LAYOUT:
                code, wide = struct_code(_text(node))
                node.args = [ast.Constant(code)] + ([_tuple(wide)] if wide else [])
            if node.func.id == _NAMES:
                return _tuple(field_names(_text(node)))
        return node

    def visit_If(self, node: ast.If) -> ast.stmt | list[ast.stmt]:
        self.generic_visit(node)
        if isinstance(node.test, ast.Constant) and not node.test.value:
            return node.orelse or ast.Pass()
        return node


def _tuple(values: Iterable[str | int]) -> ast.Tuple:
    return ast.Tuple([ast.Constant(value) for value in values], ast.Load())
