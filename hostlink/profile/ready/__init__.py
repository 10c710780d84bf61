"""Ready profiles, shipped: each a TOML file with a worked example in its first lines."""

from importlib import resources
from pathlib import Path

from hostlink.errors import UsageError
from hostlink.profile.document import Document, read
from hostlink.profile.language import interpret
from hostlink.profile.model import Profile


def names() -> list[str]:
    """Names of the ready profiles."""
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in resources.files(__name__).iterdir()
        if entry.name.endswith(".toml")
    )


def text(name: str) -> str:
    """The TOML of a ready profile."""
    return (resources.files(__name__) / f"{name}.toml").read_text("utf-8")


def headline(name: str) -> str:
    """The first sentence of a ready profile's comment."""
    return text(name).splitlines()[0].removeprefix("# ").split(". ")[0].rstrip(".")


def document(source: str) -> Document:
    """The document of a ready profile's name or a file. Raises UsageError."""
    if source in names():
        return Document(text(source), f"{source}.toml")
    if not Path(source).exists():
        raise UsageError(f"expected a file or a ready profile ({', '.join(names())}), got {source!r}")
    return read(Path(source))


def load(source: str, **quanta: str) -> Profile:
    """The profile of a ready profile's name or a file; `quanta` replace channels' quanta. Raises UsageError."""
    return interpret(document(source), quanta)
