"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from needlepen.errors import InfrastructureError


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file beside its place, then rename it: whoever reads sees the old content or the new one.

    Raises InfrastructureError if it cannot be written; the old file is then untouched.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with temporary.open(
            "xb"
        ) as file:  # not by tempfile: others may read it as far as the user's umask allows
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise InfrastructureError(f"{path}: cannot be written ({reason}); give another place") from None


def replace_folder(fresh: Path, folder: Path, aside: Path) -> None:
    """Put a finished folder in the place of another, which goes `aside`; all on one file system.

    Two renames, as a folder that is not empty cannot be replaced by one. Raises OSError; the old folder is then back.
    """
    if folder.exists():
        folder.replace(aside)
    try:
        fresh.replace(folder)
    except OSError:
        if aside.exists():
            aside.replace(folder)
        raise
