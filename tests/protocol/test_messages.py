"""The catalogue: complete, unambiguous, documented; every reply fits a frame."""

import re
from pathlib import Path

import pytest

from protocol import frame, messages, status
from protocol.layout import Layout

DOCUMENT = Path(__file__).parents[2] / "docs/protocol.md"


def test_codes_and_names_are_unique() -> None:
    names = [entry[0] for entry in messages.CATALOGUE.values()]
    assert len(set(names)) == len(names)
    assert all(0 < code < 256 for code in messages.CATALOGUE)


@pytest.mark.parametrize("code", sorted(messages.CATALOGUE))
def test_bodies_fit_a_frame(code: int) -> None:
    _, request, reply, entry = messages.CATALOGUE[code]
    for layout in (request, reply, entry):
        assert layout is None or (isinstance(layout, Layout) and layout.size <= frame.MAX_BODY)


def test_every_message_is_in_the_document() -> None:
    """By the name of its constant; `BLOB_*` and the like stand for a family."""
    text = DOCUMENT.read_text()
    families = tuple(re.findall(r"\b([A-Z]+_)\*", text))
    named = set(re.findall(r"\b[A-Z][A-Z_]+\b", text))
    for code in messages.CATALOGUE:
        names = [n for n, v in vars(messages).items() if n.isupper() and type(v) is int and v == code]
        assert any(n in named or n.startswith(families or ("-",)) for n in names), f"0x{code:02x} {names}"


def test_flags_and_refusals_are_named_once() -> None:
    assert len(set(status.FLAGS.values())) == len(status.FLAGS)
    assert all(flag & flag - 1 == 0 and flag < 1 << 16 for flag in status.FLAGS)
    assert len(set(status.REFUSALS.values())) == len(status.REFUSALS)
    assert sorted(status.REFUSALS) == list(range(1, len(status.REFUSALS) + 1))
