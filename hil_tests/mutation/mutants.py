"""Mutants with an identity that survives edits elsewhere in the file."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from dataclasses import dataclass

from mutation.operators import edits
from mutation.scope import LIMITS
from needlepen import requirements
from needlepen.board import load
from needlepen.build.limits_module import constants
from needlepen.build.staging import sources
from needlepen.errors import UsageError

_WORD = re.compile(rb"\b[A-Z][A-Z0-9_]+\b")
_NUMBER = re.compile(r"^([A-Z][A-Z0-9_]*) = (?:const\()?-?\d+\b", re.MULTILINE)


@dataclass(frozen=True)
class Mutant:
    """One change of one firmware file. `id` holds module, function and a digest of the changed line and of the change.

    It stays the same when lines move, and changes when the line itself does: a review holds for the text that was
    read. `file` is the path on the pen, `source` its whole text with the change, `line` where it is today.
    """

    id: str
    module: str
    file: str
    function: str
    line: int
    line_text: str
    operator: str
    says: str
    source: str
    in_body: bool

    @property
    def place(self) -> str:
        """For people: module, line, operator."""
        return f"{self.module}:{self.line}:{self.operator}"

    @property
    def text(self) -> str:
        """For people: the line and what becomes of it."""
        return f"{self.line_text}  [{self.says}]"


def file_of(module: str) -> str:
    """Path on the pen: pen/store/log.py for pen.store.log."""
    return module.replace(".", "/") + ".py"


def staged() -> dict[str, bytes]:
    """The firmware as it is built, with the generated modules."""
    return sources(load())


def mutants(module: str, files: dict[str, bytes]) -> list[Mutant]:
    """Every mutant of a firmware module; of `pen.limits`, one step up and down of each limit that the firmware uses.

    The other limits are demands on what is measured: the firmware is the same whatever they are.
    """
    name = file_of(module)
    if name not in files:
        raise UsageError(
            f"{module}: the firmware has no such module; python -m mutation list names those tested"
        )
    text = files[name].decode()
    return _limit_mutants(text, files) if module == LIMITS else _source_mutants(module, text, _numbers(files))


def _numbers(files: dict[str, bytes]) -> set[str]:
    """Names of all plain numbers at the level of the firmware's modules."""
    return {name for data in files.values() for name in _NUMBER.findall(data.decode())}


def _source_mutants(module: str, text: str, numbers: set[str]) -> list[Mutant]:
    lines = text.splitlines()
    seen: Counter[str] = Counter()
    made = []
    for edit in edits(text, numbers):
        line_text = lines[edit.line - 1].strip()
        key = "\0".join((module, edit.function, line_text, edit.operator, edit.says))
        seen[key] += 1
        digest = hashlib.sha256(f"{key}\0{seen[key]}".encode()).hexdigest()[:8]
        made.append(
            Mutant(
                f"{module}:{edit.function or 'module'}:{digest}",
                module,
                file_of(module),
                edit.function,
                edit.line,
                line_text,
                edit.operator,
                edit.says,
                edit.applied(text),
                edit.in_body,
            )
        )
    return made


def _limit_mutants(text: str, files: dict[str, bytes]) -> list[Mutant]:
    """The ID holds the name of the limit and which way it goes, so that another value needs no new review."""
    made = []
    lines = text.splitlines()
    words = {word for name, data in files.items() if name != file_of(LIMITS) for word in _WORD.findall(data)}
    for name, value in constants(requirements.load()).items():
        if name.encode() not in words:
            continue
        number = next(n for n, line in enumerate(lines) if line.startswith(f"{name} ="))
        for way, new in (("up", _stepped(value, 1)), ("down", _stepped(value, -1))):
            changed = [*lines[:number], f"{name} = {new!r}", *lines[number + 1 :], ""]
            made.append(
                Mutant(
                    f"{LIMITS}:{name}:{way}",
                    LIMITS,
                    file_of(LIMITS),
                    name,
                    number + 1,
                    lines[number],
                    "limit",
                    f"{value!r} -> {new!r}",
                    "\n".join(changed),
                    False,
                )
            )
    return made


def _stepped(value: float, way: int) -> float:
    """One step up or down: 1 of a whole number, 1 of the second digit of another."""
    if isinstance(value, int):
        return value + way
    digits = 1 - math.floor(math.log10(abs(value))) if value else 1
    return round(value + way * 10.0**-digits, digits + 1)
