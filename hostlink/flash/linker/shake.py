"""What nothing reaches is left out: module-level names, and methods whose name is nowhere asked for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from hostlink.flash.linker.hoist import File

_WORD = re.compile(r"[A-Za-z_]\w*")


def shake(files: Iterable[File], kept: frozenset[str]) -> None:
    """Do so in place. `kept` names are reached from outside.

    An assignment at the top of a module is taken to have no other effect than to bind its names.
    """
    files = list(files)
    units = [unit for file in files for node in file.body for unit in _units(node)]
    wanted = set(kept)
    live: set[int] = set()
    grown = True
    while grown:
        grown = False
        for owner, names, node in units:
            if id(node) not in live and (owner is None or id(owner) in live) and (not names or names & wanted):
                live.add(id(node))
                wanted |= set(_uses(node))
                grown = True
    for file in files:
        file.body = [node for node in file.body if id(node) in live]
        for node in file.body:
            if isinstance(node, ast.ClassDef):
                node.body = [member for member in node.body if id(member) in live] or [ast.Pass()]


def words(text: str) -> list[str]:
    """The identifiers in a text: `getattr` may be given one."""
    return _WORD.findall(text)


def _units(node: ast.stmt) -> Iterator[tuple[ast.ClassDef | None, set[str], ast.stmt]]:
    """What can be left out by itself: the class it is in, the names any of which it must be asked for by, its statement."""
    yield None, _asked_by(node), node
    if isinstance(node, ast.ClassDef):
        for member in node.body:
            names = _asked_by(member)
            yield node, set() if any(name.startswith("__") for name in names) else names, member


def _asked_by(node: ast.stmt) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, ast.Assign):
        return {inner.id for target in node.targets for inner in ast.walk(target) if isinstance(inner, ast.Name)}
    return set()


def _uses(node: ast.AST) -> Iterator[str]:
    """The names and attributes that a statement asks for, and the words of its texts; of a class, not those of its members."""
    waiting: list[ast.AST] = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load):
            yield one.id
        elif isinstance(one, ast.Attribute):
            yield one.attr
        elif isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield from words(one.value)
        elif isinstance(one, ast.ImportFrom):
            yield from (alias.name for alias in one.names)
        if isinstance(one, ast.ClassDef):
            waiting += one.bases + one.decorator_list
        else:
            waiting += ast.iter_child_nodes(one)
