"""Verified images kept by content: `BOARD-vVERSION-SHA.uf2` and, beside it, a small JSON record.

The record is written last, so an image without one is not used; each is written aside and then renamed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from needlepen import paths
from needlepen.errors import InfrastructureError
from needlepen.runtime.model import Runtime, Wanted
from needlepen.runtime.progress import ProgressLike

GIVEN = "given: "


class RuntimeCache:
    """The folder with the images, the lock for whoever makes a new one, and the log of the last build."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder if folder is not None else paths.cache_dir() / "runtime"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def find(self, wanted: Wanted) -> Runtime | None:
        """The newest verified image that was downloaded or built; not one given by hand."""
        records = sorted(
            self.folder.glob(f"{wanted.board}-v{wanted.version}-*.json"), key=_modified_ns, reverse=True
        )
        for record in records:
            runtime = self._load(record, wanted)
            if runtime is not None and not runtime.origin.startswith(GIVEN):
                return runtime
        return None

    def find_content(self, content: bytes, wanted: Wanted) -> Runtime | None:
        """The verified image with exactly this content."""
        return self._load(self._image_path(content, wanted).with_suffix(".json"), wanted)

    def store(self, content: bytes, wanted: Wanted, origin: str, booted: dict[str, Any]) -> Runtime:
        """Keep a verified image. `booted`: what the image told of itself when it was verified.

        Raises InfrastructureError if the cache cannot be written.
        """
        image = self._image_path(content, wanted)
        sha256 = hashlib.sha256(content).hexdigest()
        record = {
            "sha256": sha256,
            "version": wanted.version,
            "board": wanted.board,
            "origin": origin,
            "booted": booted,
        }
        try:
            _replace(image, content)
            _replace(image.with_suffix(".json"), json.dumps(record, indent=2).encode() + b"\n")
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        return Runtime(image, wanted.version, wanted.board, sha256, origin)

    @contextlib.contextmanager
    def lock(self, progress: ProgressLike) -> Iterator[None]:
        """Only one process at a time gets a new image; the others wait and then find it in the cache."""
        with (self.folder / "lock").open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress.step("waiting for another needlepen that is preparing the runtime")
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _image_path(self, content: bytes, wanted: Wanted) -> Path:
        return (
            self.folder / f"{wanted.board}-v{wanted.version}-{hashlib.sha256(content).hexdigest()[:16]}.uf2"
        )

    def _load(self, record_path: Path, wanted: Wanted) -> Runtime | None:
        image = record_path.with_suffix(".uf2")
        try:
            record = json.loads(record_path.read_text())
            sha256 = hashlib.sha256(image.read_bytes()).hexdigest()
            intact = (record["sha256"], record["version"], record["board"]) == (
                sha256,
                wanted.version,
                wanted.board,
            )
            return Runtime(image, wanted.version, wanted.board, sha256, record["origin"]) if intact else None
        except (OSError, ValueError, KeyError, TypeError):
            return None  # no record, or a damaged one: the image counts as absent and is made again


def _replace(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _modified_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0  # removed meanwhile by another process


def _unwritable(folder: Path, error: OSError) -> InfrastructureError:
    return InfrastructureError(
        f"{folder}: the cache cannot be written ({error.strerror}); make room, or name another folder in "
        "NEEDLEPEN_CACHE"
    )
