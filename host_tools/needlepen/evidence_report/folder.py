"""The evidence folder: filled beside its place, with a checksum for every file, and put there when it is whole."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from needlepen.errors import InfrastructureError, UsageError
from needlepen.evidence_report import junit
from needlepen.evidence_report.model import (
    ATTACHMENTS,
    EVIDENCE,
    FORMAT,
    JUNIT,
    MANIFEST,
    PAGE,
    Attachment,
    Evidence,
)
from needlepen.files import replace_folder

_OWN = {EVIDENCE, JUNIT, PAGE, MANIFEST, ATTACHMENTS}
_ABOUT = ".about"
"""Ending of the file beside an attachment that says what it is, until the folder is finished."""


@dataclass(frozen=True)
class Staging:
    """A folder that is being filled, and its place. Several processes may attach to it at once."""

    path: Path
    place: Path

    def attach(self, source: Path, name: str, test: str, board: str = "") -> None:
        """Keep a copy of a file, which is about a board. Raises InfrastructureError if it cannot be read or kept."""
        ending = "".join(re.findall(r"[\w.+-]", name))[-60:]
        copy = self.path / ATTACHMENTS / f"{secrets.token_hex(4)}-{ending}"
        try:
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(source, copy)
            copy.with_name(copy.name + _ABOUT).write_text(
                json.dumps({"name": name, "test": test, "board": board})
            )
        except OSError as error:
            raise InfrastructureError(
                f"{source}: cannot be attached ({error.strerror or error}); evidence would be missing"
            ) from None

    def finish(self, evidence: Evidence) -> None:
        """Write what is missing, then put the folder in its place.

        Raises InfrastructureError if it cannot be written; an older folder is then untouched.
        """
        from needlepen.evidence_report import page  # plots: not for a run that is only tested here

        try:
            evidence.attachments = list(self._attached())
            if (self.path / JUNIT).exists():
                junit.mark_infrastructure(self.path / JUNIT)
            text = json.dumps(evidence.as_dict(), indent=1, allow_nan=False, ensure_ascii=False)
            (self.path / EVIDENCE).write_text(text + "\n", encoding="utf-8")
            files = [self.path / name for name in (EVIDENCE, JUNIT) if (self.path / name).exists()]
            html = page.render(evidence, self.path, {path.name: sha256(path) for path in files})
            (self.path / PAGE).write_text(html, encoding="utf-8")
            self.write_manifest()
            with tempfile.TemporaryDirectory(prefix=f".{self.place.name}.", dir=self.path.parent) as aside:
                self.path.chmod(0o755)
                replace_folder(self.path, self.place, Path(aside) / "old")
        except OSError as error:
            raise _unwritable(self.place, error) from None

    def remove(self) -> None:
        """Nothing is to be left of a folder that was never finished."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _attached(self) -> Iterator[Attachment]:
        for about in sorted((self.path / ATTACHMENTS).glob(f"*{_ABOUT}")):
            file = about.with_name(about.name.removesuffix(_ABOUT))
            told = json.loads(about.read_text())
            about.unlink()
            relative = f"{ATTACHMENTS}/{file.name}"
            size = file.stat().st_size
            yield Attachment(told["name"], relative, told["test"], sha256(file), size, told["board"])

    def write_manifest(self) -> None:
        """The checksum of every file that lies there now."""
        files = {
            str(path.relative_to(self.path)): {"sha256": sha256(path), "bytes": path.stat().st_size}
            for path in sorted(self.path.rglob("*"))
            if path.is_file()
        }
        (self.path / MANIFEST).write_text(json.dumps({"format": FORMAT, "files": files}, indent=1) + "\n")


def begin(place: Path) -> Staging:
    """A place to fill, on the same file system as the folder.

    Raises UsageError if something else lies there, InfrastructureError if nothing can be written there.
    """
    place = place.absolute()
    if place.exists() and not place.is_dir():
        raise UsageError(f"{place}: is a file, so no evidence can be put there; give a folder")
    foreign = sorted(path.name for path in place.iterdir() if path.name not in _OWN) if place.is_dir() else []
    if foreign:
        raise UsageError(
            f"{place}: holds {foreign[0]!r}, which is no evidence; give an empty or a new folder"
        )
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        return Staging(Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent)), place)
    except OSError as error:
        raise _unwritable(place, error) from None


def differences(folder: Path) -> list[str]:
    """What is not as the manifest says it: files that were changed, are missing or were added.

    Raises UsageError if there is no manifest that can be read.
    """
    try:
        files = json.loads((folder / MANIFEST).read_text())["files"]
        told = {name: str(entry["sha256"]) for name, entry in files.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise UsageError(f"{folder}: has no {MANIFEST} that can be read, so nothing can be checked") from None
    there = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    found = [f"{name}: is missing" for name in sorted(told.keys() - there.keys())]
    found += [f"{name}: is not in the manifest" for name in sorted(there.keys() - told.keys() - {MANIFEST})]
    both = sorted(told.keys() & there.keys())
    return found + [f"{name}: was changed" for name in both if sha256(there[name]) != told[name]]


def sha256(path: Path) -> str:
    """Of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unwritable(place: Path, error: OSError) -> InfrastructureError:
    reason = error.strerror or str(error)
    return InfrastructureError(f"{place}: the evidence cannot be written ({reason}); give another folder")
