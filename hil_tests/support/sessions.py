"""A session of pytest in a process of its own, for tests of the suite itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

TESTS = "hil_tests/target"
QUICK = f"{TESTS}/test_identity.py"
RUN_S = 300
"""A whole session on a board takes about a minute of real time, on a busy computer some of them."""
_REPOSITORY = Path(__file__).resolve().parents[2]


def session(*arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest to its end: none of this run's workers, and nothing kept for the next."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rs",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:hypothesispytest",  # takes longer to import than these sessions run
        "--tb=short",
        *arguments,
    ]
    return subprocess.run(
        command, cwd=_REPOSITORY, env=environment, capture_output=True, text=True, timeout=RUN_S, check=False
    )


def counts(said: str) -> dict[str, int]:
    """How many tests ended how, by the last line of a session."""
    last = next(line for line in reversed(said.splitlines()) if re.search(r"\d+ \w+.* in ", line))
    return {
        word: int(count)
        for count, word in re.findall(r"(\d+) (passed|failed|skipped|infrastructure|errors?)", last)
    }
