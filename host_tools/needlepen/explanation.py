"""What a state, blocker, warning, fault or end of a run means, in words: for the command line and for reports."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from needlepen import requirements, signals, supervision
from needlepen.errors import UsageError
from needlepen.requirements import Requirement
from needlepen.supervision_tables import latched, words


@dataclass(frozen=True)
class Explanation:
    """One entry of the supervisor's tables. `shown` is what the pixel shows meanwhile, empty for nothing of its own."""

    kind: str  # state, blocker, warning, fault, end of a run
    name: str
    number: int  # in telemetry: a number, or the bit of a mask
    text: str
    remedy: str = ""
    requirement: str = ""
    shown: str = ""
    facts: tuple[str, ...] = ()

    @property
    def reason(self) -> Requirement | None:
        """The requirement behind it."""
        return requirements.load()[self.requirement] if self.requirement else None

    def as_dict(self) -> dict[str, Any]:
        """For programs, with title and hazard of the requirement."""
        reason = self.reason
        named = {"title": reason.title, "hazard": reason.hazard} if reason else {}
        return {**dataclasses.asdict(self), **named}

    def lines(self) -> Iterator[str]:
        """For people, the name first."""
        place = "bit" if self.kind in ("blocker", "warning") else "no."
        yield f"{self.name} ({self.kind}, {place} {self.number})"
        yield f"  {self.text}"
        if self.remedy:
            yield f"  What to do: {self.remedy}"
        yield from (f"  {fact}" for fact in self.facts)
        if self.shown:
            yield f"  The pixel: {self.shown}"
        if self.reason:
            hazard = f": {self.reason.hazard}" if self.reason.hazard else ""
            yield f"  Requirement {self.requirement}, {self.reason.title}{hazard}"


def everything() -> list[Explanation]:
    """All entries: states, blockers, warnings, faults, ends of a run."""
    return [*_states(), *_conditions(), *_faults(), *_notes()]


def find(name: str) -> list[Explanation]:
    """All entries of a name, or the fault of a number; "all" for everything.

    Upper and lower case, spaces, hyphens and underscores do not matter. Raises UsageError that suggests names.
    """
    known = everything()
    wanted = _plain(name)
    if wanted == "all":
        return known
    found = [each for each in known if _plain(each.name) == wanted]
    found += [each for each in known if each.kind == "fault" and str(each.number) == wanted]
    if not found:
        names = sorted({_plain(each.name) for each in known})
        close = (
            difflib.get_close_matches(wanted, names, n=3) or [each for each in names if wanted in each][:3]
        )
        hint = (
            f"did you mean {' or '.join(map(repr, close))}?"
            if close
            else "`needlepen explain all` lists them"
        )
        raise UsageError(f"the pen reports nothing called {name!r}; {hint}")
    return found


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


def _states() -> Iterator[Explanation]:
    tables = supervision.load()
    for key, state in tables.states.items():
        ways = [way for way in tables.ways if key in way.sources]
        facts = tuple(f"To {words(tables.states[way.to].name)}: {way.trigger}." for way in ways)
        shown = "; ".join(
            f"{light.rhythm} ({light.colour})"
            for light in signals.load().pixel.values()
            if light.state == key
        )
        yield Explanation("state", words(state.name), state.number, state.text, shown=shown, facts=facts)


def _conditions() -> Iterator[Explanation]:
    tables, shows = supervision.load(), signals.load()
    for kind, state, table in (("blocker", "IDLE", tables.blockers), ("warning", "ARMED", tables.warnings)):
        for key, condition in table.items():
            masks = {f"{kind}s": condition.mask}
            light = shows.pixel[shows.shown(state, **masks)]
            own = light is not shows.pixel[shows.shown(state)]
            yield Explanation(
                kind,
                words(key),
                condition.bit,
                condition.text,
                condition.remedy,
                shown=f"{light.rhythm} ({light.colour}), in state {words(state)}" if own else "",
                requirement=condition.requirement,
            )


def _faults() -> Iterator[Explanation]:
    for fault in supervision.load().faults.values():
        state = "LOCKED_OUT" if fault.severity == "lockout" else "SAFE"
        light = signals.load().pixel[signals.load().shown(state)]
        cleared = fault.clears + latched(fault.latched_ms / 1000)
        yield Explanation(
            "fault",
            fault.name,
            fault.number,
            fault.text,
            fault.remedy,
            shown=f"{light.rhythm} ({light.colour})",
            facts=(f"Leads to state {words(state)}; cleared by: {cleared}.",),
            requirement=fault.requirement,
        )


def _notes() -> Iterator[Explanation]:
    for key, note in supervision.load().notes.items():
        if note.text:
            yield Explanation(
                "end of a run", words(key), note.number, note.text, requirement=note.requirement or ""
            )
