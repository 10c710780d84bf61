"""What a point is measured against: document, edition, clause, and how far we have read it ourselves."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

VERIFIED, SECONDARY, MEMORY = "verified", "secondary", "memory"


@dataclass(frozen=True)
class Requirement:
    """One requirement. `status`: verified (read in the text), secondary (in a carrier of it), memory (not read: it only warns)."""

    id: str
    document: str
    edition: str
    clause: str
    status: str
    text: str
    source: str

    @property
    def certifies(self) -> bool:
        """Whether a statement of conformity may rest on it."""
        return self.status != MEMORY


@cache
def table() -> dict[str, Requirement]:
    """All requirements by id, as shipped in `requirements.toml`."""
    text = (resources.files("testbench.conformance") / "requirements.toml").read_text(encoding="utf-8")
    rows = tomllib.loads(text)
    return {key: Requirement(key, **row) for key, row in rows.items()}
