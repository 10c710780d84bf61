"""Which attributes may have one name: those that no object has two of.

An attribute is asked for on an object that has it, so two of them can share a name unless some class, with its bases and what
derives from it, has both. One that is set on anything but `self` may be on an object of any class: it shares with none.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from hostlink.errors import LinkingError
from hostlink.flash.linker.hoist import File


def share(files: Iterable[File], order: Iterable[str], names: Iterator[str]) -> dict[str, str]:
    """A name for each attribute in `order`, the most used first, out of `names`.

    Raises LinkingError where AttributeError is caught.
    """
    classes, alone = _classes([node for file in files for node in file.body])
    shared: list[str] = []
    given: dict[str, str] = {}
    for attribute in order:
        having = [family for family in classes if attribute in family]
        if attribute in alone or not having:
            given[attribute] = next(names)
            continue
        taken = {given.get(other) for family in having for other in family}
        free = [name for name in shared if name not in taken]
        if not free:
            free = [next(names)]
            shared += free
        given[attribute] = free[0]
    return given


def _classes(body: list[ast.stmt]) -> tuple[list[set[str]], set[str]]:
    """The attributes of each family of classes, and those set from outside."""
    families: dict[str, set[str]] = {}
    alone: set[str] = set()
    for node in body:
        for one in (one for one in ast.walk(node) if isinstance(one, ast.ClassDef)):
            related = [one.name, *(base.id for base in one.bases if isinstance(base, ast.Name))]
            joined = [families[name] for name in related if name in families]
            found = {name for member in one.body for name in _members(member)}.union(*joined)
            families |= {name: found for name, family in families.items() if any(family is old for old in joined)}
            families[one.name] = found
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and inner.id == "AttributeError":
                raise LinkingError("AttributeError is caught: the linker takes every attribute asked for to be there")
        alone |= set(_outside(node, None))
    return list({id(family): family for family in families.values()}.values()), alone


def _members(member: ast.stmt) -> Iterator[str]:
    """What a statement of a class's body says that its objects have."""
    if isinstance(member, ast.Assign):
        for target in member.targets:
            yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))
    if isinstance(member, ast.FunctionDef):
        yield member.name
        owner = member.args.args[0].arg if member.args.args else None
        for node in ast.walk(member):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == owner:
                yield node.attr


def _outside(node: ast.AST, owner: str | None) -> Iterator[str]:
    """The attributes set on anything but `owner`, the first argument of the method around."""
    if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
        own = isinstance(node.value, ast.Name) and node.value.id == owner
        if not own:
            yield node.attr
    for child in ast.iter_child_nodes(node):
        method = isinstance(node, ast.ClassDef) and isinstance(child, ast.FunctionDef) and child.args.args
        yield from _outside(child, child.args.args[0].arg if method else owner)  # type: ignore[attr-defined]
