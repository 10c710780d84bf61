"""The linker: modules of ours become a few, of which each holds only what a meter runs; what they do stays the same.

    link(root, "firmware.boards.pico", ["main", "closed"]) -> {"firmware/boards/pico.py": "…", "firmware/drivers/bl0942.py": "…"}

A `.mpy` file brings a table of the names it uses, so seventy small ones carry most names twice, and a name costs the device's
heap as well. What is done, in this order (docs/decisions.md has what each step saves):

    modules   the modules that the entry reaches, all into the entry's file; but a driver that is imported within a function gets
              a file of its own, under its own path, and is loaded when it is asked for
    hoist     every module-level name gets one name for the whole program, and every use of it is that name
    fold      a name that stands for a number or a short text for ever becomes that
    shake     what nothing reaches is left out
    shorten   identifiers that only our code knows become one or two characters

A linked file replaces the packages: `from firmware.boards import pico` is still what starts a board. Sources stay as they are.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

from hostlink.flash.linker.fold import fold
from hostlink.flash.linker.hoist import hoist
from hostlink.flash.linker.modules import load
from hostlink.flash.linker.shake import shake
from hostlink.flash.linker.shorten import mention, shorten

__all__ = ("link",)


def link(root: Path, entry: str, keep: Iterable[str]) -> dict[str, str]:
    """Source text by path of the program that begins with module `entry` of the packages in folder `root`.

    keep: identifiers that code outside uses: names of the entry's module, keywords of its calls, attributes of what it gives out.
    Raises LinkingError for what it cannot follow: a module used as a value, a star import, a name bound again.
    """
    kept = frozenset(keep)
    program = load(root, entry)
    files = hoist(program, kept)
    fold(files)
    shake(files, kept)
    shorten(files, kept)
    return {file.path: ast.unparse(file.tree(mention(file))) + "\n" for file in files}
