"""The supervisor's states, ways, blockers, warnings, ends of a run and faults as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping

from needlepen.documents import table
from needlepen.supervision import Condition, Supervision


def supervision_tables(tables: Supervision) -> str:
    """Six tables with their headings."""
    sections = {
        "States": _states(tables),
        "What leads from state to state": _ways(tables),
        "Blockers: what keeps an idle pen from being armed": _conditions("blocker", tables.blockers),
        "Warnings: what is shown while the pen goes on": _conditions("warning", tables.warnings),
        "Ends of a run without a fault": _notes(tables),
        "Faults": _faults(tables),
    }
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in sections.items())


def words(name: str) -> str:
    """A name of the tables as people write it: CARTRIDGE_ABSENT is "cartridge absent"."""
    return name.lower().replace("_", " ")


def latched(seconds: float) -> str:
    """For how long a fault cannot be acknowledged, in words; empty for not at all."""
    return f", not before {seconds:g} s" if seconds else ""


def _states(tables: Supervision) -> str:
    rows = [(state.number, words(state.name), state.text) for state in tables.states.values()]
    return table(("no.", "state", "what it is"), rows)


def _ways(tables: Supervision) -> str:
    def name(state: str) -> str:
        return words(tables.states[state].name)

    rows = [(", ".join(map(name, way.sources)), name(way.to), way.trigger) for way in tables.ways]
    return table(("from", "to", "when"), rows)


def _conditions(kind: str, conditions: Mapping[str, Condition]) -> str:
    rows = [(c.bit, words(name), c.requirement, c.text, c.remedy) for name, c in conditions.items()]
    return table(("bit", kind, "requirement", "what it says", "what to do"), rows)


def _notes(tables: Supervision) -> str:
    rows = [
        (note.number, words(name), note.requirement or "-", note.text)
        for name, note in tables.notes.items()
        if note.text
    ]
    return table(("no.", "end", "requirement", "what it says"), rows)


def _faults(tables: Supervision) -> str:
    rows = [
        (fault.number, fault.name, fault.requirement, "locked out" if fault.severity == "lockout" else "safe state",
         fault.clears + latched(fault.latched_ms / 1000), fault.text, fault.remedy)
        for fault in tables.faults.values()
    ]  # fmt: skip
    return table(
        ("no.", "fault", "requirement", "leads to", "cleared by", "what happened", "what to do"), rows
    )
