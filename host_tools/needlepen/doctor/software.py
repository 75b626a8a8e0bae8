"""Checks of what is installed: Python, libraries, compilers, MicroPython's runtime, the fast engine, folders, keys."""

from __future__ import annotations

import importlib.metadata
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from needlepen import paths
from needlepen.doctor.model import NOTE, OK, PROBLEM, WARNING, Computer, Finding
from needlepen.errors import InfrastructureError, NeedlepenError

OLDEST_PYTHON = (3, 11)
_REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)\s*(==|>=)?\s*([0-9][0-9A-Za-z.]*)?")


def python(computer: Computer) -> Iterator[Finding]:
    """The version of Python."""
    text = ".".join(map(str, computer.python))
    if computer.python < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        yield Finding(
            "python", PROBLEM, f"Python {text} is older than {oldest}", (f"install Python {oldest} or newer",)
        )
    else:
        yield Finding("python", OK, f"Python {text}")


def libraries(_computer: Computer) -> Iterator[Finding]:
    """The libraries that needlepen asks for, in the versions it asks for."""
    try:
        required = importlib.metadata.requires("needlepen") or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding(
            "libraries", NOTE, "needlepen runs from its folder: which libraries it needs is not checked"
        )
        return
    wrong = list(unfit(line for line in required if ";" not in line))
    for text in wrong:
        yield Finding("libraries", PROBLEM, text, (f"{sys.executable} -m pip install --upgrade needlepen",))
    if not wrong:
        yield Finding("libraries", OK, f"{len(required)} libraries as they should be")


def unfit(requirements: Iterable[str]) -> Iterator[str]:
    """What is missing or of the wrong version among requirements such as "click>=8.1"."""
    for line in requirements:
        match = _REQUIREMENT.match(line)
        if match is None:
            continue
        name, relation, version = match.groups()
        try:
            there = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield f"{name} is not installed"
            continue
        is_fit = relation is None or (
            there == version if relation == "==" else _numbers(there) >= _numbers(version)
        )
        if not is_fit:
            yield f"{name} is {there}, but {relation}{version} is needed"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def mpy_cross(_computer: Computer) -> Iterator[Finding]:
    """The compiler of the firmware, of the same release as the runtime."""
    from needlepen import board
    from needlepen.build import compiler

    wanted = board.load().micropython.version
    action = (f"{sys.executable} -m pip install --upgrade --force-reinstall needlepen",)
    try:
        found = compiler.compiler_version()
    except (NeedlepenError, OSError) as error:
        yield Finding("mpy-cross", PROBLEM, f"the compiler of the firmware does not run: {error}", action)
        return
    if wanted not in found:
        yield Finding("mpy-cross", PROBLEM, f"mpy-cross is {found!r}, the board needs {wanted}", action)
    else:
        yield Finding("mpy-cross", OK, f"mpy-cross for MicroPython {wanted}")


def runtime(_computer: Computer) -> Iterator[Finding]:
    """The MicroPython image: given, or in the cache."""
    from needlepen import board
    from needlepen.runtime import GIVEN_BY_ENVIRONMENT
    from needlepen.runtime.cache import RuntimeCache
    from needlepen.runtime.model import Wanted

    pinned = board.load().micropython
    wanted = Wanted(pinned.version, pinned.board)
    given = os.environ.get(GIVEN_BY_ENVIRONMENT)
    if given:
        if Path(given).is_file():
            yield Finding("runtime", OK, f"{wanted}: {given} ({GIVEN_BY_ENVIRONMENT})")
        else:
            yield Finding(
                "runtime", PROBLEM, f"{GIVEN_BY_ENVIRONMENT} names {given}, which is no file",
                (f"unset {GIVEN_BY_ENVIRONMENT}",),
            )  # fmt: skip
        return
    found = RuntimeCache().find(wanted)
    if found is None:
        yield Finding(
            "runtime",
            WARNING,
            f"{wanted} is not in the cache: the first use takes longer",
            ("needlepen runtime",),
        )
    else:
        yield Finding("runtime", OK, f"{wanted}: {found.origin}")


def engine(_computer: Computer) -> Iterator[Finding]:
    """The compiled engine of the emulator."""
    from needlepen.emulator import native_build

    if native_build.built():
        yield Finding("engine", OK, "the fast engine is built")
    elif native_build.compiler() is None:
        yield Finding(
            "engine", WARNING, "no C compiler with Python's headers: emulated pens run slowly",
            ("install gcc and Python's headers (Debian: sudo apt install gcc python3-dev)", "needlepen engine"),
        )  # fmt: skip
    else:
        yield Finding(
            "engine",
            WARNING,
            "the fast engine is not built yet: the first use takes longer",
            ("needlepen engine",),
        )


def folders(computer: Computer) -> Iterator[Finding]:
    """The folders for settings, cache and running programs: there, writable, and not writable for others."""
    sound = True
    for what, get in (
        ("configuration", paths.config_dir),
        ("cache", paths.cache_dir),
        ("state", paths.state_dir),
    ):
        try:
            folder = get()
        except InfrastructureError as error:
            cause, _, action = str(error).partition("; ")
            yield Finding("folders", PROBLEM, f"{cause} ({what})", (action,))
            sound = False
            continue
        for finding in _folder(computer, what, folder):
            yield finding
            sound = False
    if sound:
        yield Finding("folders", OK, "folders for settings, cache and state are writable")


def _folder(computer: Computer, what: str, folder: Path) -> Iterator[Finding]:
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(
            "folders", PROBLEM, f"{folder} ({what}) is not writable for {computer.user}",
            (f"sudo chown -R {computer.user} {folder}",),
        )  # fmt: skip
    mode = stat.S_IMODE(folder.stat().st_mode)
    if what == "configuration" and computer.platform != "win32" and mode & 0o022:
        yield Finding(
            "folders", PROBLEM,
            f"{folder} ({what}) may be written by others (mode {mode:o}), who could exchange names and keys of pens",
            (f"chmod 700 {folder}",),
        )  # fmt: skip


def keys(_computer: Computer) -> Iterator[Finding]:
    """Where the keys of pens are kept, and whether they are safe there."""
    from needlepen.access import open_store

    try:
        store = open_store()
        count = len(store.names())
    except NeedlepenError as error:
        yield Finding("keys", PROBLEM, str(error), _commands(str(error)))
        return
    yield Finding("keys", OK, f"{count} keys of pens, in {store.where}")


def _commands(text: str) -> tuple[str, ...]:
    """The remedy that an error names at its end."""
    return (text.rsplit(";", 1)[-1].strip(),) if ";" in text else ()
