"""Choosing and loading the engine: compiled where possible, plain Python otherwise, with identical results.

NEEDLEPEN_ENGINE = auto (default) | compiled | python. One process uses one set of compiled modules, so the
choice is made once, when the first of them is imported; what has to be compiled is compiled then.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from needlepen.emulator import native_build
from needlepen.errors import InfrastructureError, UsageError

CHOICES = ("auto", "compiled", "python")
# Modules of rp2040py that are compiled against its limited-API ones; ours replace them, so they must not
# load.
_UNUSED_UPSTREAM = tuple(f"rp2040py.native.{name}" for name in ("_simulator", "_pio", "_state_machine"))


class _EngineFinder(importlib.abc.MetaPathFinder):
    """Finds the modules of the compiled engine in the cache, ahead of the installed ones of the same name."""

    def __init__(self) -> None:
        self._names = {module.name for module in native_build.modules()}
        self._files: dict[str, Path] | None = None

    @property
    def files(self) -> dict[str, Path]:
        """The compiled modules, made now if they are not in the cache; empty if they cannot be made."""
        if self._files is None:
            self._files = {}  # while compiling, and for good if that fails
            self._files = native_build.built() or _build_with_note()
        return self._files

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname in _UNUSED_UPSTREAM and self.files:
            raise ModuleNotFoundError(f"{fullname} is replaced by a module of needlepen", name=fullname)
        if fullname not in self._names or fullname not in self.files:
            return None
        return importlib.util.spec_from_file_location(fullname, self.files[fullname])


def _build_with_note() -> dict[str, Path]:
    if native_build.compiler() is None and wanted() != "compiled":
        print("needlepen: no C compiler, so the emulation is exact but slow", file=sys.stderr)
        return {}
    print("needlepen: compiling the fast engine, once (up to a minute)", file=sys.stderr)
    # In a process of its own: this one is in the middle of an import, and its threads could not import
    # anything.
    command = [sys.executable, "-m", "needlepen.emulator.native_build"]
    environment = {**os.environ, "NEEDLEPEN_ENGINE": "python"}
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    files = native_build.built()
    if files is None:
        reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "it ended without a word"
        if wanted() == "compiled":
            raise InfrastructureError(reason)
        print(f"needlepen: {reason}", file=sys.stderr)
    return files or {}


def wanted() -> str:
    """The choice in NEEDLEPEN_ENGINE. Raises UsageError for an unknown one."""
    choice = os.environ.get("NEEDLEPEN_ENGINE", "auto")
    if choice not in CHOICES:
        raise UsageError(f"NEEDLEPEN_ENGINE is {choice!r}, but must be one of {', '.join(CHOICES)}.")
    return choice


def _finder() -> _EngineFinder | None:
    return next((finder for finder in sys.meta_path if isinstance(finder, _EngineFinder)), None)


def activate() -> None:
    """Make later imports find the compiled engine, unless NEEDLEPEN_ENGINE is python. Builds nothing yet."""
    is_too_late = "rp2040py.native" in sys.modules
    if os.environ.get("NEEDLEPEN_ENGINE", "auto") != "python" and not is_too_late and _finder() is None:
        sys.meta_path.insert(0, _EngineFinder())


def load(choice: str | None = None) -> Any:
    """The engine module (`Clock`, `Lockstep`) for `choice`, by default the one in NEEDLEPEN_ENGINE.

    Raises UsageError for an unknown choice and InfrastructureError if `compiled` is asked for and not
    possible.
    """
    choice = wanted() if choice in (None, "auto") else choice
    if choice not in CHOICES:
        raise UsageError(f"Engine {choice!r} is unknown; use one of {', '.join(CHOICES)}.")
    finder = _finder()
    if choice != "python" and finder is not None and finder.files:
        return importlib.import_module("needlepen.emulator.lockstep")
    if choice == "compiled":
        raise InfrastructureError(
            "The compiled engine cannot be used: there is no C compiler, or rp2040py was imported before "
            "needlepen.emulator. Install gcc and Python's headers, or set NEEDLEPEN_ENGINE=python."
        )
    return importlib.import_module("needlepen.emulator.engine_python")
