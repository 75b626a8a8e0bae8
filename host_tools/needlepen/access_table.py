"""Which request needs which role (SR-25), as data: firmware/access.toml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from needlepen import toml_tables
from needlepen.documents import table
from needlepen.errors import UsageError

FILE = "access.toml"
ROLES = ("none", "operator", "technician", "engineer")
"""Each may do what those before it may; their numbers are their places."""
NOBODY = 255


def load(folder: Path | None = None) -> Mapping[str, str]:
    """The role that each request needs, by the name of the request; of a firmware folder, or of the project.

    Raises UsageError, one line, if the file cannot be used.
    """
    text, where = toml_tables.read(FILE, folder, "no request could be allowed without it")
    table = toml_tables.parse(text, where)
    if tuple(table) != ROLES or not all(isinstance(names, list) for names in table.values()):
        raise UsageError(
            f"{where}: has to hold a list of requests for each of {', '.join(ROLES)}, in this order"
        )
    needed: dict[str, str] = {}
    for role, names in table.items():
        for name in names:
            if name in needed:
                raise UsageError(f"{where}: {name} needs both {needed[name]} and {role}; leave one")
            needed[name] = role
    return needed


def document(needed: Mapping[str, str]) -> str:
    """The table for a document, in Markdown: what each role adds."""
    rows = [
        (role, ", ".join(f"`{name}`" for name, needs in needed.items() if needs == role)) for role in ROLES
    ]
    return table(("role", "may ask for, besides what the roles before it may"), rows)
