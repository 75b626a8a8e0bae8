"""The firmware's own pure modules on CPython: one source for pen, host and tests.

`firmware_module("pen.link.messages")` imports that file of the firmware as it is, with the constants generated for a
board. Modules that only MicroPython has are replaced by what their pure use needs: `const`, the viper decorator
(plain Python then) and pointer casts (the buffer itself). Nothing here imitates `machine`: modules that need it
cannot be imported, on purpose.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from needlepen.board import load
from needlepen.build.staging import sources
from needlepen.errors import UsageError

_ROOTS = ("pen", "pen_loader")
_DEFAULT_BOARD = "pico_pen"


def _same(value: Any) -> Any:
    return value


def _micropython() -> ModuleType:
    shim = ModuleType("micropython", "What the pure firmware modules use of MicroPython's module.")
    for name in ("const", "viper", "native"):
        setattr(shim, name, _same)
    return shim


class _FirmwareLoader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports `pen.*` and the loader from firmware sources held in memory."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def _file(self, fullname: str) -> tuple[str, bool] | None:
        stem = fullname.replace(".", "/")
        for name, is_package in ((f"{stem}/__init__.py", True), (f"{stem}.py", False)):
            if name in self._files:
                return name, is_package
        return None

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.split(".")[0] not in _ROOTS:
            return None
        found = self._file(fullname)
        if found is None:
            return None
        return importlib.machinery.ModuleSpec(
            fullname, self, origin=f"firmware/{found[0]}", is_package=found[1]
        )

    def exec_module(self, module: ModuleType) -> None:
        found = self._file(module.__name__)
        assert found is not None
        name = found[0]
        module.__dict__.update(ptr8=_same, ptr16=_same, ptr32=_same)
        exec(compile(self._files[name], f"firmware/{name}", "exec"), module.__dict__)


def firmware_module(name: str, board: str = _DEFAULT_BOARD) -> Any:
    """Import a pure module of the firmware, e.g. "pen.session", with the constants of `board`.

    One process uses the firmware of one board. Raises UsageError for another board than the first, or for a module
    that needs the hardware.
    """
    loader = next((finder for finder in sys.meta_path if isinstance(finder, _FirmwareLoader)), None)
    if loader is None:
        loader = _FirmwareLoader(sources(load(board)))
        sys.meta_path.insert(0, loader)
        sys.modules.setdefault("micropython", _micropython())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"firmware module {name} cannot run on this machine ({error.name} is not there); "
            "only modules without hardware access can"
        ) from error
