"""Runs the checks. A check that breaks is a finding itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from needlepen.doctor import pens, ports, software
from needlepen.doctor.model import PROBLEM, Computer, Finding
from needlepen.errors import InfrastructureError, NeedlepenError, ProductFailure

Check = Callable[[Computer], Iterable[Finding]]
CHECKS: dict[str, Check] = {
    "Python": software.python,
    "libraries": software.libraries,
    "compiler": software.mpy_cross,
    "runtime": software.runtime,
    "engine": software.engine,
    "folders": software.folders,
    "keys": software.keys,
    "drivers": ports.drivers,
    "ports": ports.permissions,
}
"""Checks of the computer by name. Add another one here."""


def examine(
    computer: Computer | None = None,
    device: str | None = None,
    begin: Callable[[str], None] = lambda _what: None,
) -> Iterator[Finding]:
    """All findings, about the computer first. `device`: only this pen; `begin` is told what is examined next."""
    known = computer or Computer()
    begin("this computer")
    for what, check in CHECKS.items():
        yield from _run(what, lambda check=check: check(known))  # type: ignore[misc]
    begin("pens")
    yield from _run("pens", lambda: pens.pens(device))


def _run(what: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except (NeedlepenError, OSError) as error:
        yield Finding(what, PROBLEM, str(error))


def exit_code(findings: Iterable[Finding]) -> int:
    """0 if nothing is wrong, 2 for a problem of this computer (it hides others), else 1 for a problem of a pen."""
    problems = [finding for finding in findings if finding.level == PROBLEM]
    if any(not finding.pen for finding in problems):
        return InfrastructureError.exit_code
    return ProductFailure.exit_code if problems else 0
