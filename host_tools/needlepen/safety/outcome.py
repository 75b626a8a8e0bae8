"""What came of a fault, in one word and a detail, read off what was true and what the pen said."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from needlepen.safety.unsafe import unsafe
from needlepen.safety.witness import Said, Witnessed

_MS = 1e6

MEANINGS: Mapping[str, str] = {
    "unsafe": "an unsafe outcome by the definition in safety/unsafe.py",
    "locked_out": "the pen locked itself out: only switching it off, or service, leads back",
    "safe_state": "the pen went to its safe state and says why",
    "stopped": "the motor stopped without a fault being reported, or the pen has no power",
    "refused_start": "the pen did not start, and gives a blocker as its reason or none is needed",
    "warned": "the pen goes on and warns",
    "no_effect_safe": "the pen goes on within its limits, and stops when told to",
}
"""Every outcome there is."""


@dataclass(frozen=True)
class Outcome:
    """One of MEANINGS, what the pen said, and what was unsafe."""

    kind: str
    detail: str = ""
    unsafe: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} ({self.detail})" if self.detail else self.kind


def classify(seen: Witnessed, begun_ns: float, was_driven: bool) -> Outcome:
    """The outcome of a fault that began at a time, in a pen that was driven then or was told to start afterwards.

    The end of the run is the operator letting go: what happened before that counts.
    """
    wrong = [each for each in unsafe(seen) if each.t_ns >= begun_ns - 100 * _MS]
    if wrong:
        return Outcome("unsafe", wrong[0].kind, tuple(map(str, wrong)))
    said = [each for each in seen.said if each.t_ns > begun_ns]
    before = next((each for each in reversed(seen.said) if each.t_ns <= begun_ns), None)
    if before is not None and before.state == "safe":  # what counts is what comes of the acknowledgement
        later = list(itertools.dropwhile(lambda each: each.state == "safe", said))
        if not later:
            return Outcome("safe_state", before.fault)
        said = later
    faults = [each.fault for each in said if each.fault != "none"]
    if any(each.state == "locked_out" for each in said):
        return Outcome("locked_out", faults[-1] if faults else "")
    if any(each.state == "safe" for each in said):
        return Outcome("safe_state", faults[-1] if faults else "")
    if was_driven:
        released_ns = _released_ns(seen, begun_ns)
        goes_on = any(
            end_ns >= released_ns - 5 * _MS for begin_ns, end_ns in seen.driven() if end_ns > begun_ns
        )
        if not goes_on:
            return Outcome("stopped", _without_power(seen))
    elif not any(begin_ns > begun_ns for begin_ns, _ in seen.driven()):
        return Outcome("refused_start", _without_power(seen) or _blockers(said))
    known = before.warnings if before else frozenset()
    warnings = sorted({name for each in said for name in each.warnings - known})
    if warnings:
        return Outcome("warned", ", ".join(warnings))
    return Outcome("no_effect_safe")


def _released_ns(seen: Witnessed, begun_ns: float) -> float:
    """When the trigger contact opened after the fault; the end of the run if it did not."""
    times = (t for t, signal, level in seen.lines if signal == "TRIGGER_N" and level and t > begun_ns)
    return next(times, seen.end_ns)


def _without_power(seen: Witnessed) -> str:
    return "" if seen.column("powered")[-1] else "no power"


def _blockers(said: list[Said]) -> str:
    return next((", ".join(each.blockers) for each in reversed(said) if each.blockers), "")
