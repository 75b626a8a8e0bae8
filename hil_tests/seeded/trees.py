"""Copies of the tree to put a defect into. The tree that they are made from is only read."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from needlepen.errors import InfrastructureError
from seeded.defects import Defect

_LEFT_BY_TESTS = {".hypothesis", "reports"}


class DoesNotApply(InfrastructureError):
    """The code has moved on since the patch was made."""


def copy(repository: Path, into: Path) -> Path:
    """What git tracks, as it is in the working tree now, as a new folder. Raises InfrastructureError."""
    done = _git(["ls-files", "-z", "--cached"], repository)
    if done.returncode:
        raise InfrastructureError(
            f"{repository}: git does not list its files ({_last(done.stderr)}); "
            "defects are seeded in a copy of what git tracks: run this in a checkout"
        )
    for name in filter(None, done.stdout.split("\0")):
        source = repository / name
        if source.is_file():  # not one that was removed and is still in the index
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return into


def again(tree: Path, into: Path) -> Path:
    """A copy of a copy, with what Python compiled there, but not what tests left behind."""

    def left(folder: str, names: list[str]) -> set[str]:
        return _LEFT_BY_TESTS.intersection(names) if Path(folder) == tree else set()

    return Path(shutil.copytree(tree, into, ignore=left, symlinks=True))


def check(defect: Defect, tree: Path) -> None:
    """Raises DoesNotApply, in one line, if the patch does not fit this tree. Changes nothing."""
    done = _git(["apply", "--check", str(defect.patch)], tree)
    if done.returncode:
        raise DoesNotApply(
            f"{defect.patch.name} does not apply any more ({_last(done.stderr)}); seed the same mistake in "
            "the code of today and keep its `git diff` as the patch"
        )


def apply(defect: Defect, tree: Path) -> None:
    """Put the defect into a copy. Raises DoesNotApply."""
    check(defect, tree)
    done = _git(["apply", str(defect.patch)], tree)
    if done.returncode:
        raise InfrastructureError(f"{defect.patch.name}: {_last(done.stderr)}")
    for name in defect.files:  # a compiled file is known by time in s and size only
        path = tree / name
        for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            stale.unlink()


def _git(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """git on a folder that may be a checkout or none, but does not belong to one further up."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CEILING_DIRECTORIES": str(folder.resolve().parent), "LC_ALL": "C"}
    try:
        return subprocess.run(
            ["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise InfrastructureError(f"git cannot be run ({error.strerror}); install it") from None


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].removeprefix("error: ") if lines else "without a word"
