"""The verdicts of tests and measurements, and how those of many become one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Literal, get_args

from needlepen.evidence import Measurement

Verdict = Literal[
    "fail", "unset", "infrastructure", "known failure", "skipped", "marginal", "pass"
]  # the worst first

MEANINGS: Mapping[Verdict, str] = {
    "fail": "the product misses a limit, or a test found it wrong",
    "unset": "a value that was to be measured was not measured",
    "infrastructure": "something around the product failed: nothing is known about the product",
    "known failure": "fails for a reason that is written down with a day by which to decide",
    "skipped": "not run, for the reason given",
    "marginal": "passes with less than a tenth of the limit left",
    "pass": "all limits are kept",
}
PASSED: frozenset[str] = frozenset({"pass", "marginal"})
FAILED: frozenset[str] = frozenset({"fail", "unset"})
"""What the product has to answer for; a value that is missing is no pass."""

_BY = re.compile(r"\(by (\d{4}-\d{2}-\d{2})\)$")


def of_measurement(m: Measurement, known: bool = False) -> Verdict:
    """The verdict of one measurement; `known`: it was taken by a test whose failure is a known one."""
    if m.verdict != "pass" and known:
        return "known failure"
    return "marginal" if m.marginal else m.verdict


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of many; nothing at all is `unset`."""
    found = set(verdicts)
    return next((verdict for verdict in get_args(Verdict) if verdict in found), "unset")


def exit_code(verdicts: Iterable[str]) -> int:
    """Of a run: 1 if the product failed, else 2 if there was infrastructure trouble, else 0."""
    found = set(verdicts)
    if found & FAILED:
        return 1
    return 2 if "infrastructure" in found else 0


def known_failure_expired(reason: str, today: date | None = None) -> str:
    """Why a known failure is none any more: its day has come, or it has none. "" while it still is one.

    The reason of a known failure ends with its day: "(by 2027-06-30)".
    """
    found = _BY.search(reason.strip())
    try:
        day = date.fromisoformat(found[1]) if found else None
    except ValueError:
        day = None
    if day is None:
        return 'a known failure needs a day by which to decide: its reason has to end with "(by YYYY-MM-DD)"'
    if (today or date.today()) >= day:
        return f"this known failure has expired on {day}: mend it, or decide anew"
    return ""
