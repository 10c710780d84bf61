"""Modules of the firmware for symbolic execution: their own source with MicroPython's words put in place."""

from __future__ import annotations

import builtins
import types
from collections.abc import Mapping
from typing import Any

from testbench.micropython import device_root


def text(name: str) -> str:
    """The source of module `firmware/<name>.py`."""
    return (device_root() / "firmware" / f"{name}.py").read_text()


def load(source: str, given: Mapping[str, Any] | None = None) -> types.SimpleNamespace:
    """What the module `source` defines, with MicroPython's own words in place: `const` and `viper` change nothing.

    A viper cast keeps the value too: a word stays one, a pointer and the `uint` made of it are one `words.Address`.
    given: modules that it may import by name.
    """
    modules = {"micropython": types.SimpleNamespace(const=_same, viper=_same), **(given or {})}

    def import_(name: str, *_: object) -> Any:
        return modules[name]

    words = {"ptr8": _same, "ptr16": _same, "uint": _same, "int": _same}
    namespace = {"__builtins__": {**vars(builtins), "__import__": import_}, "__name__": "firmware", **words}
    exec(compile(source, "<firmware>", "exec"), namespace)
    return types.SimpleNamespace(**namespace)


def _same(value: Any) -> Any:
    return value
