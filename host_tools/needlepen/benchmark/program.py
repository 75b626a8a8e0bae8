"""How quick the command line is."""

from __future__ import annotations

import subprocess
import sys
import time

_TRIES = 5


def help_s() -> float:
    """Wall time of `needlepen --help`, s: the quickest of five, since the others measure the rest of the machine."""
    times = []
    for _ in range(_TRIES):
        begun_s = time.perf_counter()
        subprocess.run([sys.executable, "-m", "needlepen", "--help"], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - begun_s)
    return min(times)
