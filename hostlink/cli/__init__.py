"""The command `tonne`. Subcommands come by entry point, so that nothing here knows the test bench."""

import sys
from importlib.metadata import entry_points

import typer

from hostlink.errors import TonneError

GROUP = "tonne.commands"


def app() -> typer.Typer:
    """The command with all installed subcommands, in alphabetical order."""
    root = typer.Typer(
        name="tonne",
        help="Emissions meters: configure, read, prove, test.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    for entry in sorted(entry_points(group=GROUP), key=lambda found: found.name):
        command = entry.load()
        if isinstance(command, typer.Typer):
            root.add_typer(command, name=entry.name)
        else:
            root.command(entry.name)(command)
    return root


def main() -> None:
    """Run the command. A TonneError ends it with one line and the error's exit code."""
    try:
        app()()
    except TonneError as error:
        print(f"tonne: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
