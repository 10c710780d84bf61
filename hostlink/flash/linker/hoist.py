"""One namespace: every module-level name of the program becomes a name of its own, every use of it that name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from hostlink.errors import LinkingError
from hostlink.flash.linker.modules import Module, Name, Program, bound, imported

UNHEARD = ("protocol.", "firmware.store.")
"""Modules whose errors speak to hosts and programmers; what a board says of its board.json is read at its prompt."""

_BY_TEXT = ("globals", "locals", "vars", "eval", "exec", "__import__")


@dataclass
class File:
    """One file of the linked program. `foreign` says what each name of MicroPython's is, `there` which names are other files'."""

    path: str
    module: str
    body: list[ast.stmt] = field(default_factory=list)
    foreign: dict[str, Name] = field(default_factory=dict)
    there: dict[str, str] = field(default_factory=dict)
    free: set[str] = field(default_factory=set)
    """Names that nothing binds: built-in ones, and those that a compiler gives a meaning."""

    def tree(self, first: list[ast.stmt]) -> ast.Module:
        """The file's statements: `first`, imports, all else."""
        used = {node.id for stmt in self.body for node in ast.walk(stmt) if isinstance(node, ast.Name)}
        head: list[ast.stmt] = []
        for name, what in sorted(self.foreign.items()):
            if name in used:
                alias = ast.alias(what.symbol or what.module, name if name != (what.symbol or what.module) else None)
                head.append(ast.ImportFrom(what.module, [alias], 0) if what.symbol else ast.Import([alias]))
        for module in sorted(set(self.there.values())):
            names = [ast.alias(name) for name, where in sorted(self.there.items()) if where == module and name in used]
            if names:
                head.append(ast.ImportFrom(module, names, 0))
        return ast.fix_missing_locations(ast.Module(first + head + self.body, []))


def hoist(program: Program, kept: frozenset[str]) -> list[File]:
    """The program's files; names in `kept` stay what they are. Raises LinkingError."""
    entry = next(iter(program.parts))
    names = {
        Name(module.name, symbol): symbol
        if module.name == entry and symbol in kept
        else f"{module.name.replace('.', '_')}__{symbol}"
        for module in program.modules.values()
        for symbol in module.symbols
    }
    files = []
    for head, members in program.parts.items():
        file = File(program.modules[head].path, head)
        for member in members:
            module = program.modules[member]
            hoister = _Hoister(program, module, names, file)
            file.body += [node for stmt in module.body if (node := hoister.visit(stmt)) is not None]
        files.append(file)
    return files


class _Hoister(ast.NodeTransformer):
    def __init__(self, program: Program, module: Module, names: dict[Name, str], file: File) -> None:
        self._program, self._module, self._names, self._file = program, module, names, file
        self._scopes: list[tuple[bool, set[str]]] = []
        """Whether a scope is a class's, and what it binds; innermost last."""

    # Names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        if not self._local(node.id):
            found = self._program.resolve(self._module.name, node.id)
            if found is not None:
                if found.ours and not found.symbol:
                    raise self._error(node, f"module {found.module} used as a value")
                node.id = self._known(found, node.id)
            elif node.id in _BY_TEXT:
                raise self._error(node, f"{node.id}, which finds names by their text")
            elif isinstance(node.ctx, ast.Load):
                self._file.free.add(node.id)
        elif self._scopes[-1][0] and isinstance(node.ctx, ast.Load):
            raise self._error(node, f"a class's own name {node.id} used in its body")
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.value, ast.Name) and not self._local(node.value.id):
            owner = self._program.resolve(self._module.name, node.value.id)
            if owner is not None and owner.ours and not owner.symbol:
                found = self._program.resolve(owner.module, node.attr)
                if found is None:
                    raise self._error(node, f"{owner.module} has no {node.attr}")
                if not isinstance(node.ctx, ast.Load):
                    raise self._error(node, f"{owner.module}.{node.attr} is bound from outside")
                return ast.copy_location(ast.Name(self._known(found, node.attr), node.ctx), node)
        return self.generic_visit(node)  # type: ignore[return-value]

    def _known(self, found: Name, name: str) -> str:
        if not found.ours:
            if name != (found.symbol or found.module):
                name = f"{found.module.replace('.', '_')}__{found.symbol}"
            if self._file.foreign.setdefault(name, found) != found:
                raise LinkingError(f"{self._module.path}: {name} is imported from two modules")
            return name
        home = self._program.file_of(found.module)
        name = self._names[found]
        if home != self._file.module:
            self._file.there[name] = home
        return name

    def _local(self, name: str) -> bool:
        inner = True
        for is_class, names in reversed(self._scopes):
            if name in names and (inner or not is_class):
                return True
            inner = False
        return False

    def _error(self, node: ast.AST, what: str) -> LinkingError:
        return LinkingError(f"{self._module.path}:{getattr(node, 'lineno', 0)}: the linker cannot follow {what}")

    def visit_Call(self, node: ast.Call) -> ast.Call:
        named = isinstance(node.func, ast.Name) and node.func.id in ("getattr", "setattr", "hasattr")
        if named and isinstance(node.args[1], (ast.BinOp, ast.Call, ast.JoinedStr)):
            raise self._error(node, "getattr or the like by a name that is put together")
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_Raise(self, node: ast.Raise) -> ast.Raise:
        if self._module.name.startswith(UNHEARD) and isinstance(node.exc, ast.Call):
            node.exc.args = [given for given in node.exc.args if not _is_text(given)]
        return self.generic_visit(node)  # type: ignore[return-value]

    # Scopes

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.decorator_list = [self.visit(one) for one in node.decorator_list]
        self._outside(node.args)
        if node.returns:
            node.returns = self.visit(node.returns)
        self._bind(node)
        names = bound(node.body) | _arguments(node.args)
        if any(isinstance(inner, (ast.Global, ast.Nonlocal)) for inner in ast.walk(node)):
            raise self._error(node, "global or nonlocal")
        self._scopes.append((False, names))
        node.body = list(self._statements(_without_text(node.body)))
        self._scopes.pop()
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        node.bases = [self.visit(base) for base in node.bases]
        self._bind(node)
        body = _without_text(node.body)
        self._scopes.append((True, bound(body)))
        node.body = list(self._statements(body))
        self._scopes.pop()
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        self._outside(node.args)
        self._scopes.append((False, _arguments(node.args)))
        node.body = self.visit(node.body)
        self._scopes.pop()
        return node

    def _comprehension(self, node: ast.AST) -> ast.AST:
        """The first iterable is of the scope around; all else has the targets."""
        parts = [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.comprehension)]
        first, parts[0].iter = self.visit(parts[0].iter), ast.Constant(None)
        targets = {name.id for part in parts for name in ast.walk(part.target) if isinstance(name, ast.Name)}
        self._scopes.append((False, targets))
        node = self.generic_visit(node)
        self._scopes.pop()
        parts[0].iter = first
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def _outside(self, arguments: ast.arguments) -> None:
        arguments.defaults = [self.visit(one) for one in arguments.defaults]
        arguments.kw_defaults = [one and self.visit(one) for one in arguments.kw_defaults]
        for argument in ast.walk(arguments):
            if isinstance(argument, ast.arg) and argument.annotation:
                argument.annotation = self.visit(argument.annotation)

    def _bind(self, node: ast.FunctionDef | ast.ClassDef) -> None:
        if not self._scopes:
            node.name = self._names[Name(self._module.name, node.name)]

    # Imports within functions

    def _statements(self, body: list[ast.stmt]) -> Iterator[ast.stmt]:
        for node in body:
            if isinstance(node, ast.ImportFrom):
                yield from self._import(node)
            else:
                yield self.visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt | list[ast.stmt]:
        return list(self._import(node))

    def _import(self, node: ast.ImportFrom) -> Iterator[ast.stmt]:
        for name, found in imported(self._program.root, self._module.name, self._module.path, node).items():
            if not found.ours:
                yield node
                return
            resolved = self._program.resolve(found.module, found.symbol)
            if resolved is None or not resolved.symbol:
                raise self._error(node, f"import of {found.module}.{found.symbol}")
            home, known = self._program.file_of(resolved.module), self._names[resolved]
            if home == self._file.module:
                yield ast.Assign([ast.Name(name, ast.Store())], ast.Name(known, ast.Load()))
            else:
                yield ast.ImportFrom(home, [ast.alias(known, name)], 0)


def _is_text(node: ast.expr) -> bool:
    """Whether an argument is a text, or one with values put into it."""
    whole = node.left if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) else node
    return isinstance(whole, ast.Constant) and isinstance(whole.value, str)


def _arguments(arguments: ast.arguments) -> set[str]:
    return {argument.arg for argument in ast.walk(arguments) if isinstance(argument, ast.arg)}


def _without_text(body: list[ast.stmt]) -> list[ast.stmt]:
    """A body without its docstrings."""
    kept = [node for node in body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
    return kept or [ast.Pass()]
