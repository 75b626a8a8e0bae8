"""Who uses a device: a lock file per device, held by the operating system for as long as the program lives."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import filelock

from needlepen import paths
from needlepen.devices.model import Holder
from needlepen.errors import Refused

_PATIENCE_S = 0.3  # somebody who only looks who holds it is quicker


@contextlib.contextmanager
def held(name: str, purpose: str) -> Iterator[None]:
    """Hold a device (`Device.lock_name`) inside the block; not twice, not even in one process.

    Raises Refused, with the name of the program that holds it.
    """
    lock = _lock(name)
    try:
        lock.acquire(timeout=_PATIENCE_S)
    except filelock.Timeout:
        raise Refused(
            f"{name} is in use by {_read(name) or 'another program'}; two programs would take each other's answers: "
            "end that one first."
        ) from None
    try:
        _write(name, purpose)
        yield
    finally:
        with contextlib.suppress(OSError):
            _info(name).unlink()
        lock.release()


def holder(name: str) -> Holder | None:
    """Who holds a device now; None for nobody. The lock of a program that died is free."""
    if not _info(name).exists():
        return None
    lock = _lock(name)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return _read(name) or Holder(0, "another program", "?", "?")
    lock.release()
    return None


def _folder() -> Path:
    path = paths.state_dir() / "locks"
    path.mkdir(parents=True, exist_ok=True)
    return path


def _stem(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)


def _lock(name: str) -> filelock.FileLock:
    return filelock.FileLock(_folder() / f"{_stem(name)}.lock")


def _info(name: str) -> Path:
    return _folder() / f"{_stem(name)}.json"


def _write(name: str, purpose: str) -> None:
    program = f"{Path(sys.argv[0] or 'python').name} {purpose}".strip()
    mine = Holder(os.getpid(), program, _user(), datetime.now().astimezone().isoformat(timespec="seconds"))
    temporary = _folder() / f".{_stem(name)}.{os.getpid()}"
    temporary.write_text(json.dumps(asdict(mine)), encoding="utf-8")
    temporary.replace(_info(name))


def _read(name: str) -> Holder | None:
    try:
        return Holder(**json.loads(_info(name).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "?"
