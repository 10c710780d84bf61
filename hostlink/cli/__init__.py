"""The command `tonne`. Subcommands come by entry point, so that nothing here knows the test bench.

A subcommand's module is imported when it is asked for: `tonne read` starts without what a laboratory needs, and works
where that is not installed.
"""

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperGroup

from hostlink.errors import TonneError, UsageError

GROUP = "tonne.commands"


class Commands(TyperGroup):
    """All installed subcommands, in alphabetical order."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(entry.name for entry in entry_points(group=GROUP))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        for entry in entry_points(group=GROUP, name=cmd_name):
            return _command(entry)
        return None


def _command(entry: EntryPoint) -> Any:
    try:
        found = entry.load()
    except ModuleNotFoundError as error:
        found = _not_installed(entry.name, error.name)
    if not isinstance(found, typer.Typer):
        found = _single(entry.name, found)
    command = typer.main.get_command(found)
    command.name = entry.name
    return command


def _single(name: str, function: Callable[..., Any], **settings: Any) -> typer.Typer:
    alone = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    alone.command(name, **settings)(function)
    return alone


def _not_installed(name: str, package: str | None) -> typer.Typer:
    def missing() -> None:
        raise ModuleNotFoundError(name=package)

    return _single(
        name,
        missing,
        help=f"Not installed: needs the package {package}.",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )


def app() -> typer.Typer:
    """The command, its subcommands not yet imported."""
    root = typer.Typer(
        name="tonne", cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False
    )

    @root.callback(help="Emissions meters: configure, read, prove, test.")
    def tonne() -> None:
        pass

    return root


def main() -> None:
    """Run the command. A TonneError, or a package of an extra that is not there, ends it with one line and an exit code."""
    try:
        app()()
    except TonneError as error:
        print(f"tonne: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        print(
            f"tonne: expected the package {error.name}: pip install 'tonne[lab]' brings what a laboratory needs",
            file=sys.stderr,
        )
        sys.exit(UsageError.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
