"""Commands in the documents exist: each `tonne …` line parses with its options, each `make …` goal is one."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from hostlink.cli import app

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"^(?:\$ )?((?:tonne|make) .*)$")
INLINE = re.compile(r"`((?:tonne|make) [^`]+)`")
ELSEWHERE = re.compile(r"\s{2,}#|\s{2,}|#")
"""Where the command of a line ends and its explanation begins."""


def commands() -> Iterator[tuple[str, str]]:
    for document in DOCUMENTS:
        for line in document.read_text().splitlines():
            found = [COMMAND.match(line.strip())] if line.startswith(("    ", "$ ", "tonne ", "make ")) else []
            lines = [match[1] for match in found if match] or INLINE.findall(line)
            for text in lines:
                yield document.name, ELSEWHERE.split(text)[0].strip()


FOUND = sorted(set(commands()))


def check_tonne(words: list[str]) -> None:
    """Every subcommand on the way exists, and so does every option; placeholders stand for values."""
    command = typer.main.get_command(app())
    while (inner := getattr(command, "get_command", None)) and words and not words[0].startswith("-"):
        above, command = command, inner(None, words[0])
        assert command is not None, f"no command {words[0]!r} in {above.name!r}"
        words.pop(0)
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        if word.startswith("-") and word not in ("-", "--help"):
            assert word.split("=")[0] in options, f"{command.name!r} has no option {word}"


@pytest.mark.parametrize(("document", "text"), FOUND, ids=[f"{name}:{text}" for name, text in FOUND])
def test_a_documented_command_exists(document: str, text: str) -> None:
    if text.startswith("tonne "):
        for alternative in text.split(" ")[1].split("|"):
            words = [alternative, *shlex.split(text)[2:]]
            check_tonne([word.strip("[],.…") for word in words if word.strip("[],.…")])
    else:
        goals = [word for word in text.split()[1:] if "=" not in word]
        done = subprocess.run(["make", "-n", *goals], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_documents_name_commands() -> None:
    assert len(FOUND) >= 8
