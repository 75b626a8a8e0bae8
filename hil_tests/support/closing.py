"""pytest plugin: what the terminal shows at the end of a run.

Names of what went wrong stand right above pytest's last line, since of a long log often only the end is kept.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

from needlepen.evidence_report import verdicts
from needlepen.evidence_report.ledger import Balance
from needlepen.evidence_report.results import Results
from support import measuring

if TYPE_CHECKING:
    from support.suite import Suite

SHOWN_TESTS = 50
"""So many names of tests does the terminal show of one problem; the evidence has all."""
_SHOWN_CHARACTERS = 300


class Sections:
    """The worst value of each limit, and trouble of tests with its tracebacks: among pytest's own sections."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        _show_limits(terminalreporter, self._suite.results)
        _show_trouble(terminalreporter, self._suite)


class LastLines:
    """A line for each trouble, and for each test that was repeated, below pytest's short summary."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None]:
        yield
        for test, trouble in self._suite.repeated.items():
            terminalreporter.line(f"REPEATED {test} - {_short(trouble)}", yellow=True)
        for report in terminalreporter.getreports("infrastructure"):
            reason = _short(report.needlepen["reason"])
            terminalreporter.line(f"INFRASTRUCTURE {report.nodeid} - {reason}", yellow=True)
        for trouble in self._suite.troubles:
            terminalreporter.line(f"INFRASTRUCTURE {trouble}", yellow=True)
        for problem in self._suite.balance.problems if self._suite.balance else ():
            terminalreporter.line(f"LEDGER {_short(str(problem))}", yellow=True)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[: _SHOWN_CHARACTERS - 3]}..."


def _show_limits(terminal: pytest.TerminalReporter, results: Results) -> None:
    if not results.taken:
        return
    terminal.section("worst value of each limit")
    for m, count in measuring.worst_of_each(taken.measurement for taken in results.taken):
        verdict = verdicts.of_measurement(m)
        terminal.line(
            f"{measuring.line(m)}  [{count}]", red=verdict in verdicts.FAILED, yellow=verdict == "marginal"
        )


def _show_trouble(terminal: pytest.TerminalReporter, suite: Suite) -> None:
    """What was wrong around the product, and whether the ledger adds up."""
    reports = terminal.getreports("infrastructure")
    balance = suite.balance
    if reports or (balance and balance.problems):
        terminal.section("infrastructure", yellow=True, bold=True)
    for report in reports:
        terminal.line(f"{report.nodeid}: {report.needlepen['reason']}", yellow=True)
        if terminal.config.option.tbstyle not in ("no", "line"):
            terminal.line(report.longreprtext)
    for text in _problems(balance):
        terminal.line(f"ledger: {text}", red=True)
    if balance and (balance.planned or balance.problems):
        terminal.line(f"ledger: {balance}")


def _problems(balance: Balance | None) -> Iterator[str]:
    for problem in balance.problems if balance else ():
        more = len(problem.tests) - SHOWN_TESTS
        shown = "".join(f"\n  {test}" for test in problem.tests[:SHOWN_TESTS])
        yield f"{problem.what}{shown}" + (f"\n  and {more} more" if more > 0 else "")
