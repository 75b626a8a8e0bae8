"""Names that the user gives to pens, in a file of the user's configuration folder."""

from __future__ import annotations

import json
import re

from needlepen import paths
from needlepen.errors import UsageError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_ID = re.compile(r"[0-9a-f]{16}")


def names() -> dict[str, str]:
    """Unique ID by name. Raises UsageError if the file cannot be read."""
    path = paths.config_dir() / "names.json"
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): str(unique_id) for name, unique_id in found.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(f"{path}: not a list of names ({error}); correct it or remove it.") from None


def name_of(unique_id: str | None) -> str | None:
    """The name of a pen, or None."""
    return next((name for name, known in names().items() if known == unique_id), None)


def give(unique_id: str, name: str) -> None:
    """Call a pen by a name; an older name of it is forgotten. Raises UsageError for an impossible name or ID."""
    unique_id = unique_id.lower()
    if not _ID.fullmatch(unique_id):
        raise UsageError(
            f"{unique_id!r} is no unique ID of a pen: 16 hex digits, as `needlepen devices` shows."
        )
    if not _NAME.fullmatch(name) or _looks_like_id(name):
        raise UsageError(f"{name!r} is no name: begin with a letter, use letters, digits, - and _, up to 32.")
    known = {other: pen for other, pen in names().items() if pen != unique_id}
    if name in known:
        raise UsageError(f"{name!r} is pen {known[name]} already; take another name, or remove that one.")
    _store(known | {name: unique_id})


def forget(name: str) -> None:
    """Remove a name. Raises UsageError if there is none such."""
    known = names()
    if known.pop(name, None) is None:
        raise UsageError(f"No pen is called {name!r}; `needlepen devices` shows the names.")
    _store(known)


def _looks_like_id(name: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{4,16}", name) is not None


def _store(known: dict[str, str]) -> None:
    path = paths.config_dir() / "names.json"
    temporary = path.with_name(".names.json.new")
    temporary.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    temporary.replace(path)
