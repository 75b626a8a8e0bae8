"""Who uses a device: a lock file per device, held by the operating system for as long as the program lives."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path

import filelock

from needlepen import paths
from needlepen.devices.model import Holder
from needlepen.errors import Refused

_PATIENCE_S = 0.3  # somebody who only looks who holds it is quicker


@contextlib.contextmanager
def held(name: str, purpose: str, lease_s: float | None = None) -> Iterator[None]:
    """Hold a device (`Device.lock_name`) inside the block; not twice, not even in one process.

    `lease_s`: for how long, as others are told; `renew` moves that on. The lock itself ends with the block or with
    the program, however that ends. Raises Refused, with the name of the program that holds it.
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
        _write(name, purpose, lease_s)
        yield
    finally:
        with contextlib.suppress(OSError):
            _info(name).unlink()
        lock.release()


def renew(name: str, lease_s: float) -> None:
    """Go on holding a device that this program holds, for `lease_s` from now, as others are told."""
    mine = _read(name)
    if mine is not None and mine.pid == os.getpid():
        _put(name, replace(mine, until=_local(lease_s)))


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
    return paths.state_dir("locks")


def _stem(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)


def _lock(name: str) -> filelock.FileLock:
    return filelock.FileLock(_folder() / f"{_stem(name)}.lock")


def _info(name: str) -> Path:
    return _folder() / f"{_stem(name)}.json"


def _write(name: str, purpose: str, lease_s: float | None) -> None:
    program = f"{Path(sys.argv[0] or 'python').name} {purpose}".strip()
    _put(
        name, Holder(os.getpid(), program, _user(), _local(0.0), None if lease_s is None else _local(lease_s))
    )


def _local(from_now_s: float) -> str:
    return (datetime.now().astimezone() + timedelta(seconds=from_now_s)).isoformat(timespec="seconds")


def _put(name: str, mine: Holder) -> None:
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
