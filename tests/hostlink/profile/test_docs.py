"""docs/profiles.md: its examples compile, its reference names every key that the language takes, and every ready profile."""

import re
from pathlib import Path

import pytest

from hostlink.profile import ready
from hostlink.profile.certificate import certificate
from hostlink.profile.compiler import compile_profile
from hostlink.profile.document import Table
from hostlink.profile.language import parse

PAGE = (Path(__file__).parents[3] / "docs/profiles.md").read_text("utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_examples_compile() -> None:
    assert EXAMPLES
    for text in EXAMPLES:
        (made,) = compile_profile(parse(text))
        assert certificate(made)["registers"]


def test_the_reference_names_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    keys: set[str] = set()
    done = Table.done

    def noting(table: Table) -> None:
        keys.update(table._taken)
        done(table)

    monkeypatch.setattr(Table, "done", noting)
    for name in ready.names():
        ready.load(name)
    parse(EXAMPLES[0])
    reference = PAGE.split("## The language")[1].split("## What the compiler does")[0]
    named = set(re.findall(r"`(\w+)`", reference))
    assert {"name", "quantum", "library", "hours"} <= keys
    assert keys - {"days"} <= named


def test_every_ready_profile_has_its_worked_example() -> None:
    for name in ready.names():
        assert f"**{name}**" in PAGE
        comment = " ".join(
            line.removeprefix("#").strip() for line in ready.text(name).split("\n\n[profile]")[0].splitlines()
        )
        assert comment.split("Worked example: ")[1] in PAGE
