"""Choosing and loading the engine: compiled where possible, plain Python otherwise, with identical results.

NEEDLEPEN_ENGINE = auto (default) | compiled | python. One process uses one set of compiled modules, so the
choice is made once, before rp2040py is imported.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
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

    def __init__(self, files: dict[str, Path]) -> None:
        self.files = files

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname in _UNUSED_UPSTREAM:
            raise ModuleNotFoundError(f"{fullname} is replaced by a module of needlepen", name=fullname)
        file = self.files.get(fullname)
        return None if file is None else importlib.util.spec_from_file_location(fullname, file)


def wanted() -> str:
    """The choice in NEEDLEPEN_ENGINE. Raises UsageError for an unknown one."""
    choice = os.environ.get("NEEDLEPEN_ENGINE", "auto")
    if choice not in CHOICES:
        raise UsageError(f"NEEDLEPEN_ENGINE is {choice!r}, but must be one of {', '.join(CHOICES)}.")
    return choice


def _installed_finder() -> _EngineFinder | None:
    return next((finder for finder in sys.meta_path if isinstance(finder, _EngineFinder)), None)


def activate(files: dict[str, Path]) -> None:
    """Make these modules the ones that later imports find."""
    if _installed_finder() is not None:
        return
    if "rp2040py.native" in sys.modules:
        raise InfrastructureError(
            "rp2040py was imported before the compiled engine was chosen, so its slow modules are in use. "
            "Import needlepen.emulator first, or set NEEDLEPEN_ENGINE=python."
        )
    sys.meta_path.insert(0, _EngineFinder(files))


def activate_if_built() -> None:
    """Called when the package is imported: use a ready compiled engine, but never build one here."""
    if (
        os.environ.get("NEEDLEPEN_ENGINE", "auto") in ("auto", "compiled")
        and "rp2040py.native" not in sys.modules
    ):
        files = native_build.built()
        if files is not None:
            activate(files)


def _compiled(required: bool) -> Any | None:
    if _installed_finder() is None:
        if not required and ("rp2040py.native" in sys.modules or native_build.compiler() is None):
            return None
        try:
            activate(native_build.build())
        except InfrastructureError as error:
            if required:
                raise
            print(f"needlepen: {error}", file=sys.stderr)
            return None
    return importlib.import_module("needlepen.emulator.lockstep")


def load(choice: str | None = None) -> Any:
    """The engine module (`Clock`, `Lockstep`) for `choice`, by default the one in NEEDLEPEN_ENGINE.

    Raises UsageError for an unknown choice and InfrastructureError if `compiled` is asked for and not
    possible.
    """
    choice = wanted() if choice in (None, "auto") else choice
    if choice not in CHOICES:
        raise UsageError(f"Engine {choice!r} is unknown; use one of {', '.join(CHOICES)}.")
    if choice != "python":
        module = _compiled(required=choice == "compiled")
        if module is not None:
            return module
        global _noted
        if not _noted:
            _noted = True
            print("needlepen: no compiled engine, so the emulation is exact but slow", file=sys.stderr)
    return importlib.import_module("needlepen.emulator.engine_python")


_noted = False
