"""Identifiers that only our code knows become one or two characters: each the same everywhere.

No two variables are alike, and no two attributes of one object (`attributes`), so whatever the scopes are, the program does the
same. Attributes are one set of identifiers, variables with arguments the other: nothing is looked up in both. An attribute stays
if MicroPython knows it (`names.txt`), for then it may be one of an object of its own, and if a text has it as a word (`getattr`);
a variable if nothing of ours binds it, and an argument if a call of something of MicroPython's names it. The names used most come
first in a file: the first 128 of its table take a byte less at each use.
"""

from __future__ import annotations

import ast
import itertools
import keyword
import string
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib import resources

from hostlink.flash.linker.attributes import share
from hostlink.flash.linker.hoist import File
from hostlink.flash.linker.modules import bound
from hostlink.flash.linker.shake import words

ATTRIBUTE, VARIABLE = 0, 1
_LETTERS = string.ascii_lowercase + string.ascii_uppercase + "_"
_NEAR = 128
"""Names of a file's table whose number takes one byte."""

Site = tuple[int, ast.AST, str]
"""Where an identifier stands: what it is of, the node, and the node's field."""


def shorten(files: Iterable[File], kept: frozenset[str]) -> None:
    """Do so in place; `kept` stay."""
    files = list(files)
    sites = [site for file in files for node in file.body for site in _sites(node, False)]
    strange = _strange(files, kept)
    used: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    ours: tuple[set[str], set[str]] = (set(), set())
    for of, node, field in sites:
        name = getattr(node, field)
        used[of][name] += 1
        if _binds(node, field):
            ours[of].add(name)
    names = []
    for of in (ATTRIBUTE, VARIABLE):
        stay = strange[of] | set(used[of]) - ours[of]
        fresh = _fresh(stay)
        order = [name for name, _ in sorted(used[of].items(), key=lambda item: (-item[1], item[0])) if name not in stay]
        names.append(share(files, order, fresh) if of == ATTRIBUTE else {name: next(fresh) for name in order})
    for of, node, field in sites:
        setattr(node, field, names[of].get(getattr(node, field), getattr(node, field)))
    for file in files:
        file.there = {names[VARIABLE].get(name, name): home for name, home in file.there.items()}
    named = kept | {node.arg for _, node, _ in sites if isinstance(node, ast.keyword) and node.arg}
    for file in files:
        for node in file.body:
            for function in node.body if isinstance(node, ast.ClassDef) else [node]:
                if isinstance(function, ast.FunctionDef):
                    _shorten_arguments(function, named, strange[ATTRIBUTE])


def _shorten_arguments(function: ast.FunctionDef, named: frozenset[str], taken: set[str]) -> None:
    """Give a function's arguments, and those of the functions in it, the first names that nothing else in it has.

    Only an argument's name is in a file's table, a variable's is not; these are the names that attributes have, too.
    """
    sites = [(node, field) for of, node, field in _sites(function, False) if of == VARIABLE and node is not function]
    arguments = [node.arg for node, _ in sites if isinstance(node, ast.arg) and node.arg not in named]
    others = {getattr(node, field) for node, field in sites} - set(arguments)
    fresh = _fresh(taken | others)
    names = {name: next(fresh) for name in dict.fromkeys(arguments)}
    for node, field in sites:
        setattr(node, field, names.get(getattr(node, field), getattr(node, field)))


def known() -> set[str]:
    """The identifiers in the pool of MicroPython 1.25 for the Pico."""
    return set(resources.files(__package__).joinpath("names.txt").read_text(encoding="utf-8").split())


def mention(file: File) -> list[ast.stmt]:
    """A statement that does nothing and has the names that a file uses most, so that they come first in its table.

    None where the table is not much larger than what is near.
    """
    used: Counter[str] = Counter()
    top = {*file.free, *file.foreign, *file.there, *bound(file.body)}
    for node in (node for stmt in file.body for node in ast.walk(stmt)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            used[node.value] += 1
        elif isinstance(node, ast.Name):
            used[node.id] += node.id in top
        elif isinstance(node, ast.Attribute):
            used[node.attr] += 1
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            used[node.name] += 2
        elif isinstance(node, (ast.arg, ast.keyword)) and node.arg:
            used[node.arg] += 1
    names = [name for name, _ in sorted(used.items(), key=lambda item: (-item[1], item[0]))]
    if len(names) < 2 * _NEAR:
        return []
    chain: ast.expr = ast.Name("__name__", ast.Load())
    for name in [name for name in names if not keyword.iskeyword(name)][: _NEAR - 2]:
        chain = ast.Attribute(chain, name, ast.Load())
    return [ast.If(ast.UnaryOp(ast.Not(), ast.Name("__name__", ast.Load())), [ast.Expr(chain)], [])]


def _fresh(taken: set[str]) -> Iterator[str]:
    taken = taken | set(keyword.kwlist)
    second = _LETTERS + string.digits
    for name in itertools.chain(_LETTERS, (a + b for a in _LETTERS for b in second)):
        if name not in taken:
            yield name


def _sites(node: ast.AST, in_class: bool) -> Iterator[Site]:
    """Every identifier in `node`; `in_class` if it is a statement of a class's body."""
    of = ATTRIBUTE if in_class else VARIABLE
    if isinstance(node, ast.Attribute):
        yield ATTRIBUTE, node, "attr"
    elif isinstance(node, ast.Name):
        yield of, node, "id"
    elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        yield of, node, "name"
    elif isinstance(node, (ast.arg, ast.keyword)) and node.arg:
        yield VARIABLE, node, "arg"
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield VARIABLE, node, "name"
    elif isinstance(node, ast.alias):
        yield VARIABLE, node, "name"
        if node.asname:
            yield VARIABLE, node, "asname"
    for child in ast.iter_child_nodes(node):
        if isinstance(node, ast.ClassDef):
            inside = child in node.body
        elif isinstance(node, ast.Assign):
            inside = in_class and child in node.targets
        else:
            inside = in_class and isinstance(node, ast.Tuple)
        yield from _sites(child, inside)


def _binds(node: ast.AST, field: str) -> bool:
    """Whether an identifier is bound where it stands: as a variable, an attribute, an argument, a function or a class."""
    if isinstance(node, (ast.Name, ast.Attribute)):
        return isinstance(node.ctx, ast.Store)
    return not isinstance(node, ast.keyword) and not (isinstance(node, ast.alias) and field == "name")


def _strange(files: Iterable[File], kept: frozenset[str]) -> tuple[set[str], set[str]]:
    """Attributes and variables that others than our code know."""
    attributes, variables = set(kept) | known(), set(kept)
    called: set[str] = set()
    by_text = False
    for file in files:
        variables |= file.free | set(file.foreign)
        for node in (node for stmt in file.body for node in ast.walk(stmt)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                attributes.update(words(node.value))
            elif isinstance(node, ast.Attribute) and _foreign(node, file):
                attributes.add(node.attr)
            elif isinstance(node, ast.Call):
                names = {given.arg for given in node.keywords if given.arg}
                variables |= names if _foreign(node.func, file) else names & known()
                called |= names
                by_text |= any(given.arg is None for given in node.keywords)
            elif isinstance(node, ast.arguments):
                by_text |= node.kwarg is not None
    if by_text:  # arguments may be named by a text, or be read as one
        variables |= called | attributes
    return attributes, variables


def _foreign(node: ast.expr, file: File) -> bool:
    """Whether an expression begins with a name that MicroPython brings."""
    while isinstance(node, (ast.Attribute, ast.Call)):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return isinstance(node, ast.Name) and node.id in file.foreign
