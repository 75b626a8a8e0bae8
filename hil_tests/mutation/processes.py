"""Copies of this process, each with a result, a limit of CPU time, and an end that nobody mistakes for a verdict."""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

_MEMORY_BYTES = 3 << 30
_WALL_FACTOR = 20  # beside other work a process gets far less than a core


class Ended(Exception):
    """A copy ended without a result; `reason` says how, `cpu` that it had used up its CPU time."""

    def __init__(self, reason: str, cpu: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.cpu = cpu


def in_copy(work: Callable[[Callable[[Any], None]], Any], cpu_s: float, each: Callable[[Any], None]) -> Any:
    """Run `work(tell)` in a copy of this process. What it tells reaches `each` here at once; returns its result.

    Raises Ended if the copy dies, or is killed after `cpu_s` of CPU time (its children's do not count).
    """
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _work(work, writer, cpu_s)
    os.close(writer)
    try:
        return _follow(child, reader, cpu_s, each)
    finally:
        os.close(reader)


def _work(work: Callable[[Callable[[Any], None]], Any], writer: int, cpu_s: float) -> None:
    """The copy: never returns."""
    code = 1
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CPU, _cpu_limits(cpu_s))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))

        def tell(what: Any) -> None:
            _write(writer, ("told", what))

        _write(writer, ("done", work(tell)))
        code = 0
    except BaseException:
        with contextlib.suppress(Exception):
            _write(writer, ("broke", traceback.format_exc()[-2000:]))
    finally:
        os._exit(code)


def _cpu_limits(cpu_s: float) -> tuple[int, int]:
    """Soft and hard limit; a copy of a copy cannot have more than that one's, and asking for it would fail."""
    soft, hard = int(cpu_s) + 1, int(cpu_s) + 6
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    if most == resource.RLIM_INFINITY:
        return soft, hard
    return min(soft, most), min(hard, most)


def _write(fd: int, what: Any) -> None:
    data = pickle.dumps(what)
    data = len(data).to_bytes(4, "little") + data
    while data:
        data = data[os.write(fd, data) :]


def _follow(child: int, reader: int, cpu_s: float, each: Callable[[Any], None]) -> Any:
    result: Any = None
    done = False
    held = b""
    deadline_s = time.monotonic() + _WALL_FACTOR * cpu_s + 30
    reason = ""
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline_s - time.monotonic()))
        if not ready:
            reason = "did not end"
            break
        data = os.read(reader, 1 << 16)
        if not data:
            break
        held += data
        while len(held) >= 4 and len(held) >= 4 + (size := int.from_bytes(held[:4], "little")):
            what, value = pickle.loads(held[4 : 4 + size])
            held = held[4 + size :]
            if what == "told":
                each(value)
            elif what == "done":
                result, done = value, True
            else:
                reason = value
        if done or reason:
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL) if reason == "did not end" else None
    _, status = os.waitpid(child, 0)
    if done:
        return result
    if reason:
        raise Ended(reason, cpu=False)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        raise Ended(f"ended by {signal.Signals(number).name}", cpu=number == signal.SIGXCPU)
    raise Ended(f"ended with code {os.waitstatus_to_exitcode(status)} and no result")
