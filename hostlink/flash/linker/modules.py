"""The modules of a program: which there are, what each binds and imports, and which file each goes into."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path

from hostlink.errors import LinkingError

PACKAGES = ("firmware", "protocol")
APART = "firmware.drivers."
"""What is imported from here within a function gets a file of its own, and so does what several of these share."""


@dataclass(frozen=True)
class Name:
    """A module-level name; `symbol` "" is the module itself. `ours` unless MicroPython brings the module."""

    module: str
    symbol: str
    ours: bool = True


@dataclass
class Module:
    """One of ours. `body` is without imports and docstring; `imports` says what the names that it imports at its top are."""

    name: str
    path: str
    body: list[ast.stmt] = field(default_factory=list)
    symbols: set[str] = field(default_factory=set)
    imports: dict[str, Name] = field(default_factory=dict)
    top: list[str] = field(default_factory=list)
    """Modules of ours that it imports."""
    within: list[str] = field(default_factory=list)
    """Modules that it imports when it needs them: drivers."""


@dataclass
class Program:
    """`modules` by name; `parts` the modules of each file, in the order in which they run, the entry's file first."""

    root: Path
    modules: dict[str, Module]
    parts: dict[str, list[str]]
    replaced: dict[Name, Name] = field(default_factory=dict)
    """Names of a module that another one puts something else into (`firmware.native`)."""

    def resolve(self, module: str, symbol: str) -> Name | None:
        """What `symbol` is at the top of `module`, followed to where it is defined; None if nothing binds it there."""
        found: Name | None = Name(module, symbol)
        while found is not None and found.ours and found.symbol:
            if found in self.replaced:
                found = self.replaced[found]
            elif found.symbol in self.modules[found.module].symbols:
                return found
            else:
                found = self.modules[found.module].imports.get(found.symbol)
        return found

    def file_of(self, module: str) -> str:
        """The module under whose path the file with `module` in it lies."""
        return next(head for head, members in self.parts.items() if module in members)


def load(root: Path, entry: str) -> Program:
    """Read what `entry` reaches. Raises LinkingError."""
    modules: dict[str, Module] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name not in modules:
            modules[name] = _read(root, name)
            waiting += modules[name].top + modules[name].within
    program = Program(root, modules, _divide(modules, entry))
    for module in modules.values():
        _replace(program, module)
    return program


def imported(root: Path, module: str, path: str, node: ast.Import | ast.ImportFrom) -> dict[str, Name]:
    """What an import statement in `module` binds."""
    if isinstance(node, ast.Import):
        if any(alias.name.split(".")[0] in PACKAGES for alias in node.names):
            raise LinkingError(f"{path}:{node.lineno}: expected `from … import …` of a module of ours")
        return {alias.asname or alias.name: Name(alias.name, "", False) for alias in node.names}
    package = module.split(".")[: -node.level] if node.level else []
    source = ".".join([*package, *(node.module.split(".") if node.module else [])])
    found = {}
    for alias in node.names:
        if alias.name == "*":
            raise LinkingError(f"{path}:{node.lineno}: a star import hides what is imported")
        ours = source.split(".")[0] in PACKAGES
        whole = f"{source}.{alias.name}"
        is_module = ours and (root / (whole.replace(".", "/") + ".py")).exists()
        found[alias.asname or alias.name] = Name(whole, "") if is_module else Name(source, alias.name, ours)
    return found


def _read(root: Path, name: str) -> Module:
    path = name.replace(".", "/") + ".py"
    try:
        tree = ast.parse((root / path).read_text(encoding="utf-8"))
    except (OSError, SyntaxError) as error:
        raise LinkingError(f"cannot read module {name} at {path}: {error}") from None
    module = Module(name, path)
    for node in _flat(tree.body):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = imported(root, name, path, node)
            module.imports |= names
            module.top += [found.module for found in names.values() if found.ours]
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) and not _binds(node, "__all__"):
            module.body.append(node)
    for node in module.body:
        module.symbols |= bound([node])
        for inner in ast.walk(node):
            if isinstance(inner, (ast.Import, ast.ImportFrom)):
                for found in imported(root, name, path, inner).values():
                    if found.ours:
                        (module.within if found.module.startswith(APART) else module.top).append(found.module)
    return module


def _flat(body: list[ast.stmt]) -> list[ast.stmt]:
    """A module's statements; of a `try` around imports, what is tried: the compiler has what the board's processor takes."""
    flat: list[ast.stmt] = []
    for node in body:
        tried = isinstance(node, ast.Try) and isinstance(node.body[0], ast.ImportFrom) and node.body[0].level
        flat += node.body if tried else [node]  # type: ignore[attr-defined]
    return flat


def _binds(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name


def bound(body: list[ast.stmt]) -> set[str]:
    """The names that statements bind in their own scope."""
    found: set[str] = set()
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            pass
        else:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif isinstance(node, ast.ExceptHandler) and node.name:
                found.add(node.name)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                found |= {alias.asname or alias.name for alias in node.names}
            waiting += ast.iter_child_nodes(node)
    return found


def _closure(modules: dict[str, Module], name: str, order: list[str]) -> list[str]:
    """`name` behind what it imports at its top, in the order in which Python would run them, appended to `order`."""
    if name not in order:
        order.append(name)
        for needed in modules[name].top:
            _closure(modules, needed, order)
        order.remove(name)
        order.append(name)
    return order


def _divide(modules: dict[str, Module], entry: str) -> dict[str, list[str]]:
    core = _closure(modules, entry, [])
    later = {name for module in modules.values() for name in module.within} - set(core)
    reached = {name: set(_closure(modules, name, [])) - set(core) for name in later}
    for shared in sorted(
        {one for name in later for other in later if other != name for one in reached[name] & reached[other]}
    ):
        if shared.startswith(APART):
            later.add(shared)
        else:
            core = _closure(modules, shared, core)
    parts = {entry: core}
    for name in sorted(later - set(core)):
        parts[name] = [
            one for one in _closure(modules, name, []) if one == name or (one not in core and one not in later)
        ]
    return parts


def _replace(program: Program, module: Module) -> None:
    """Take `other.name = name` out of a module's body: from here on other's name is that."""
    for node in list(module.body):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            target = node.targets[0]
            owner = program.resolve(module.name, target.value.id) if isinstance(target.value, ast.Name) else None
            value = program.resolve(module.name, node.value.id) if isinstance(node.value, ast.Name) else None
            if owner is None or owner.symbol or not owner.ours or value is None:
                raise LinkingError(f"{module.path}:{node.lineno}: expected a name of a module to be set to a name")
            program.replaced[Name(owner.module, target.attr)] = value
            module.body.remove(node)
