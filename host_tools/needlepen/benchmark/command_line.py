"""What a person waits for before a command says anything."""

from __future__ import annotations

import subprocess
import sys
import time

TRIES = 5


def help_s() -> float:
    """Wall time of `needlepen --help` in a new process: the quickest of a few, the others met a busy machine."""
    return min(_once_s() for _ in range(TRIES))


def _once_s() -> float:
    begun_s = time.perf_counter()
    subprocess.run([sys.executable, "-m", "needlepen", "--help"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun_s
