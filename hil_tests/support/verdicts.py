"""pytest plugin: how each phase of a test ended, told product from infrastructure. Works where the test runs.

A report carries what was found in `report.needlepen`, which also leads from a worker of pytest-xdist to the process
that sums up (`support.suite`).
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

import pytest

from needlepen.errors import BoardLost, infrastructure_behind
from needlepen.evidence_report.model import Taken
from needlepen.evidence_report.results import Ending, as_facts
from needlepen.evidence_report.verdicts import known_failure_expired
from needlepen.report import words
from support.boards import board_name, lose_board, take_blame, why_lost
from support.measuring import LimitsMissedError, measure_of

_HOST_TIMEOUT = re.compile(r"Timeout \(>.*s\) from pytest-timeout")
_TROUBLED = pytest.StashKey[bool]()
LONGEST_REASON = 600


def forget_trouble(item: pytest.Item) -> None:
    """The test is tried again: what its first try met does not count for it."""
    item.stash[_TROUBLED] = False


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Nothing touches a board that is gone."""
    if reason := why_lost(item.config):
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # around pytest's own verdict of expected failures
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    board = board_name(item.config)
    measure = measure_of(item)
    taken = measure.new(item.nodeid, board) if measure else []
    item.user_properties += [_property(each) for each in taken]
    report = yield
    error = call.excinfo.value if call.excinfo else None
    ending, reason = _ending(item, report, error)
    again = ending == "infrastructure" and item.stash.get(_TROUBLED, False)
    item.stash[_TROUBLED] = again or ending == "infrastructure"
    report.needlepen = {  # type: ignore[attr-defined]
        "ending": ending,
        "reason": reason[:LONGEST_REASON],
        "again": again,
        "board": board,
        "taken": [as_facts(each) for each in taken],
    }
    return report


def _property(taken: Taken) -> tuple[str, object]:
    """A measurement in junit.xml."""
    m = taken.measurement
    text = f"{taken.verdict}: {words.value(m)}, limit {words.limit(m)}; {m.name.partition(': ')[2]}"
    return f"{m.requirement}.{taken.limit_name}", text


def _ending(item: pytest.Item, report: pytest.TestReport, error: BaseException | None) -> tuple[Ending, str]:
    """How the phase ended, with its reason. Changes the report where pytest sees it differently."""
    trouble = _trouble(error)
    lost = why_lost(item.config)
    if isinstance(infrastructure_behind(error) if error else None, BoardLost) and not lost:
        lose_board(item.config, trouble)
        lost = why_lost(item.config)
    if lost and take_blame(item.config):
        trouble = lost
    elif lost and report.failed and not item.stash.get(_TROUBLED, False):
        _turn(report, "skipped", (str(item.path), None, f"Skipped: {lost}"))
        return "skipped", lost
    if trouble or (report.failed and item.stash.get(_TROUBLED, False)):
        _turn(report, "failed", report.longrepr or trouble)
        return "infrastructure", trouble or one_line(error)
    return _of_the_product(item, report, error)


def _of_the_product(
    item: pytest.Item, report: pytest.TestReport, error: BaseException | None
) -> tuple[Ending, str]:
    known = getattr(report, "wasxfail", None)
    if known is not None and report.skipped:
        expired = known_failure_expired(known)
        if not expired:
            return "known failure", known
        _turn(report, "failed", f"{one_line(error)}\n{expired}\n({known})")
        return "failed", f"{expired}; {one_line(error)}"
    if known is not None and report.passed:
        return "passed", f"passes, although a failure is known: {known}"
    if report.skipped:
        return "skipped", skip_reason(report)
    if report.failed:
        ending: Ending = "missed" if isinstance(error, LimitsMissedError) else "failed"
        return ending, "; ".join(filter(None, [_expired_mark(item), one_line(error) or str(report.longrepr)]))
    return "passed", ""


def _expired_mark(item: pytest.Item) -> str:
    """Why a failure is not a known one any more, if it was one."""
    reasons = (str(mark.kwargs.get("reason", "")) for mark in item.iter_markers("xfail"))
    return next(filter(None, map(known_failure_expired, reasons)), "")


def _turn(report: pytest.TestReport, outcome: Any, longrepr: Any) -> None:
    """Another outcome than pytest gave it."""
    report.outcome, report.longrepr = outcome, longrepr
    if hasattr(report, "wasxfail"):
        del report.wasxfail


def _trouble(error: BaseException | None) -> str:
    """The infrastructure trouble behind an error, in one line; "" if there is none."""
    if error is None or isinstance(error, (pytest.skip.Exception, pytest.xfail.Exception)):
        return ""
    if isinstance(error, pytest.fail.Exception) and _HOST_TIMEOUT.search(str(error)):
        return f"the host ran out of time: {str(error).strip()}"
    found = infrastructure_behind(error)
    return one_line(found)


def one_line(error: BaseException | None) -> str:
    """An error as one line of text."""
    if error is None:
        return ""
    lines = [text.strip() for text in str(error).splitlines() if text.strip()]
    if isinstance(error, LimitsMissedError):
        return "limits missed: " + "; ".join(lines[1:])
    first = lines[0] if lines else ""
    if isinstance(error, pytest.fail.Exception):
        return first
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why something was skipped."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ") or "no reason is given"


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, Any] | None:
    """Infrastructure trouble has a letter and a count of its own."""
    facts = getattr(report, "needlepen", None)
    if facts and "repeated" in facts and report.passed and report.when == "call":
        return "passed", "R", ("PASSED AT THE SECOND TRY", {"yellow": True})
    if not facts or facts["ending"] != "infrastructure":
        return None
    if facts["again"]:
        return "", "", ""
    return "infrastructure", "I", ("INFRASTRUCTURE", {"yellow": True, "bold": True})
