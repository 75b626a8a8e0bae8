"""What came of a mutant. Only a test that failed is a kill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["killed", "timeout", "survived", "not run", "infrastructure"]
"""killed: a test that passes without the change failed. timeout: such a test did not end (counts as a kill: the same
test without the change takes a tenth of the time). survived: every test that reaches the line passed. not run: no
test reaches the line. infrastructure: the machinery failed; neither a kill nor a survivor, and never a pass."""

KILLS: tuple[Verdict, ...] = ("killed", "timeout")
OPEN: tuple[Verdict, ...] = ("survived", "not run")


@dataclass(frozen=True)
class Outcome:
    """`by`: the test that noticed, or what the machinery ran into; `tests`: how many ran."""

    verdict: Verdict
    by: str = ""
    tests: int = 0
    on: Literal["CPython", "emulated"] = "CPython"
