"""Puts a mutant in the place of its file: in whatever the build stages in this process, for CPython and for images."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType

from mutation.mutants import Mutant
from needlepen.board import Board
from needlepen.build import staging
from needlepen.build.staging import Kind


def stage_instead(file: str, plain: bytes, changed: bytes) -> None:
    """From now on `file` is staged with the change wherever it is the project's own.

    A folder in which a test has changed that very file keeps it: its failure would be the test's, not the mutant's.
    """
    original = staging.sources

    def sources(board: Board, kind: Kind = "development", firmware: Path | None = None) -> dict[str, bytes]:
        files = original(board, kind, firmware)
        return files | {file: changed} if files.get(file) == plain else files

    for module in list(sys.modules.values()):
        if getattr(module, "sources", None) is original:
            module.sources = sources  # type: ignore[attr-defined]


class Functions:
    """The firmware's live functions, so that the body of one can be exchanged without importing anything again."""

    def __init__(self) -> None:
        self._by_place: dict[tuple[str, str, int], list[FunctionType]] = {}
        for thing in gc.get_objects():
            if isinstance(thing, FunctionType) and thing.__code__.co_filename.startswith("firmware/"):
                code = thing.__code__
                place = (code.co_filename, code.co_qualname, code.co_firstlineno)
                self._by_place.setdefault(place, []).append(thing)

    def exchange(self, mutant: Mutant) -> bool:
        """Give the mutant's function its changed body; False if that is not possible in place."""
        filename = f"firmware/{mutant.file}"
        module = compile(mutant.source, filename, "exec", dont_inherit=True)
        last_line = 0
        chosen: tuple[CodeType, list[FunctionType]] | None = None
        for code in _codes(module):
            live = self._by_place.get((filename, code.co_qualname, code.co_firstlineno))
            around = code.co_qualname == mutant.function and code.co_firstlineno <= mutant.line
            if around and live and code.co_firstlineno > last_line:
                chosen, last_line = (code, live), code.co_firstlineno
        if chosen is None:
            return False
        code, live = chosen
        inner = f"{mutant.function}.<locals>."
        if any(name[0] == filename and name[1].startswith(inner) for name in self._by_place):
            return False  # a function made by this one lives already, with the old body
        if any(function.__code__.co_freevars != code.co_freevars for function in live):
            return False
        for function in live:
            function.__code__ = code
        return True


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def firmware_loaded() -> bool:
    """Whether this process has firmware modules already: then a fresh import would come too late."""
    return any(name == "pen" or name.startswith("pen.") for name in sys.modules)
