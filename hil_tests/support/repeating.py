"""pytest plugin: `--repeat-infrastructure` runs a test that ended in infrastructure trouble a second time.

Such a test has told nothing about the product, so that another try hides nothing: a failure of the product is never
tried again, a limit that was missed before the trouble came stays missed, and nothing is tried on a board that is lost.
The second try begins with fresh fixtures of every scope. What the first one ended with is in the reason of the result,
in the evidence, and at the end of the run.
"""

from __future__ import annotations

from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from needlepen.errors import infrastructure_behind
from needlepen.evidence_report.results import from_facts
from support.boards import why_lost
from support.measuring import forget_measure
from support.stopwatch import WATCH
from support.verdicts import LONGEST_REASON, forget_trouble, one_line

_TIMER = pytest.StashKey[Any]()
"""What pytest-timeout gave the first try."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--repeat-infrastructure",
        action="store_true",
        help="run a test once more whose first try ended in infrastructure trouble, and tell both",
    )


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> None:
    item.stash[_TIMER] = settings


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """In place of pytest's own, which reports each phase at once."""
    if not item.config.getoption("repeat_infrastructure"):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    properties = list(item.user_properties)
    reports = _try(item, nextitem)
    if (trouble := _trouble_alone(reports)) and not why_lost(item.config):
        if broken := _torn_down(item):
            _tell(reports, broken)
        else:
            item.user_properties[:] = properties
            reports = _again(item, nextitem, trouble)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _try(item: pytest.Item, nextitem: pytest.Item | None) -> list[pytest.TestReport]:
    with item.config.stash[WATCH].paused():  # what a test takes is no cost of the suite
        return runtestprotocol(item, log=False, nextitem=nextitem)


def _trouble_alone(reports: list[pytest.TestReport]) -> str:
    """The infrastructure trouble that ended a try, if the product has failed in nothing; else ""."""
    facts = [report.needlepen for report in reports]  # type: ignore[attr-defined]
    taken = [from_facts(each, "", "") for found in facts for each in found["taken"]]
    endings = {found["ending"]: found["reason"] for found in reversed(facts)}
    if {"failed", "missed"} & set(endings) or any(each.verdict == "fail" for each in taken):
        return ""
    return str(endings.get("infrastructure", ""))


def _torn_down(item: pytest.Item) -> str:
    """End all fixtures. What one of a wider scope finds then, other than trouble, would be lost: no second try."""
    try:
        item.session._setupstate.teardown_exact(None)
    except Exception as error:
        if infrastructure_behind(error) is None:
            return f"not tried again, since the tear-down failed: {one_line(error)}"
    return ""


def _tell(reports: list[pytest.TestReport], why: str) -> None:
    for facts in (report.needlepen for report in reports):  # type: ignore[attr-defined]
        if facts["ending"] == "infrastructure":
            facts["reason"] = f"{facts['reason']}; {why}"[:LONGEST_REASON]


def _again(item: pytest.Item, nextitem: pytest.Item | None, trouble: str) -> list[pytest.TestReport]:
    """The reports of the second try, which tell of the first."""
    forget_trouble(item)
    forget_measure(item)
    if _TIMER in item.stash:
        item.config.hook.pytest_timeout_cancel_timer(item=item)
        item.config.hook.pytest_timeout_set_timer(item=item, settings=item.stash[_TIMER])
    reports = _try(item, nextitem)
    first = f"the second try; the first ended in infrastructure trouble: {trouble}"
    for report in reports:
        facts = report.needlepen  # type: ignore[attr-defined]
        facts["repeated"] = trouble
        if report.when == "setup" or facts["ending"] != "passed":
            facts["reason"] = "; ".join(filter(None, [facts["reason"], first]))[:LONGEST_REASON]
    return reports
