"""How a command comes by a key file and its passphrase, which never stands on a command line."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from hostlink.errors import UsageError
from hostlink.keys import KeyFile

VARIABLE = "TONNE_PASSPHRASE"

Keys = Annotated[Path | None, typer.Option("--keys", help="key file (`tonne keys new`)")]
PassphraseFile = Annotated[
    Path | None, typer.Option(help=f"file whose first line is the passphrase; else ${VARIABLE}, else you are asked")
]


def passphrase(file: Path | None, *, confirm: bool = False) -> str:
    """The passphrase of a key file. Raises UsageError."""
    if file is not None:
        try:
            return file.read_text().splitlines()[0]
        except (OSError, IndexError):
            raise UsageError(f"expected a passphrase in the first line of {file}") from None
    if VARIABLE in os.environ:
        return os.environ[VARIABLE]
    if not sys.stdin.isatty():
        raise UsageError(f"expected a passphrase: set {VARIABLE}, name a --passphrase-file, or use a terminal")
    return typer.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm)


def open_keys(path: Path | None, file: Path | None) -> KeyFile:
    """The key file at `path`, opened. Raises UsageError."""
    if path is None:
        raise UsageError("expected --keys FILE; `tonne keys new FILE` makes one")
    return KeyFile.open(path, passphrase(file))
