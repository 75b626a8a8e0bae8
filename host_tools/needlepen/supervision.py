"""The supervisor's tables as data: states, ways between them, blockers, warnings, stop notes and faults.

The files are firmware/states.toml and firmware/faults.toml. The firmware's modules are generated from them, and so
are the documentation and every text with which the host explains what a pen reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from needlepen import requirements, toml_tables

Text = Annotated[str, Field(min_length=1)]
RequirementId = Annotated[str, Field(pattern=r"^(PR|SR|CR)-\d{2}$")]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class State(_Entry):
    """A state of the supervisor. `name` is what telemetry reports."""

    number: Annotated[int, Field(ge=0, le=15)]
    name: Annotated[str, Field(pattern=r"^[a-z_]+$")]
    text: Text


class Way(_Entry):
    """What leads from some states to another one; nothing else does."""

    sources: Annotated[tuple[str, ...], Field(alias="from", strict=False)]
    to: str
    trigger: Text


class Condition(_Entry):
    """A blocker or a warning: one bit of a mask, what it means and what to do."""

    bit: Annotated[int, Field(ge=0, le=29)]
    requirement: RequirementId
    text: Text
    remedy: Text

    @property
    def mask(self) -> int:
        """Its place in the mask that the pen reports."""
        return 1 << self.bit


class Note(_Entry):
    """Why a run ended without a fault."""

    number: Annotated[int, Field(ge=0, le=255)]
    requirement: RequirementId | None = None
    text: str


class Fault(_Entry):
    """A fault. `latched_s` is the time for which it cannot be acknowledged: seconds, or the name of a limit.

    `stands_while` names a blocker: the cause is there for as long as that is.
    """

    number: Annotated[int, Field(ge=1, le=255)]
    name: Annotated[str, Field(min_length=3, max_length=32)]
    requirement: RequirementId
    severity: Literal["safe", "lockout"]
    clears: Literal["acknowledge", "power cycle"]
    latched_s: int | float | str = 0
    stands_while: str | None = None
    text: Text
    remedy: Text

    @property
    def latched_ms(self) -> int:
        """The latch time in ms. Raises UsageError for a limit that does not exist."""
        value = self.latched_s
        if isinstance(value, str):
            identifier, _, limit = value.partition(".")
            value = requirements.load().limit(identifier, limit)
        return round(1000 * value)


class Supervision(_Entry):
    """Both files together, checked: unique numbers, known states, known requirements."""

    states: Mapping[str, State]
    ways: Annotated[tuple[Way, ...], Field(strict=False)]
    blockers: Mapping[str, Condition]
    warnings: Mapping[str, Condition]
    notes: Mapping[str, Note]
    faults: Mapping[str, Fault]

    @model_validator(mode="after")
    def _numbers_are_unique_and_names_known(self) -> Supervision:
        for table, key in (("states", "number"), ("blockers", "bit"), ("warnings", "bit"), ("notes", "number"),
                           ("faults", "number")):  # fmt: skip
            numbers = [getattr(entry, key) for entry in getattr(self, table).values()]
            if len(numbers) != len(set(numbers)):
                raise ValueError(f"two {table} have the same {key}; telemetry could not tell them apart")
        for way in self.ways:
            for name in (*way.sources, way.to):
                if name not in self.states:
                    raise ValueError(f"a way leads from or to {name!r}, which is no state")
        for name, fault in self.faults.items():
            if fault.stands_while is not None and fault.stands_while not in self.blockers:
                raise ValueError(f"{name} stands while {fault.stands_while!r}, which is no blocker")
        known = requirements.load()
        entries: list[Condition | Note | Fault] = [*self.blockers.values(), *self.warnings.values()]
        entries += [*self.notes.values(), *self.faults.values()]
        for entry in entries:
            if entry.requirement is not None and entry.requirement not in known:
                raise ValueError(f"{entry.requirement} is no requirement of this project")
        return self

    def state_name(self, number: int) -> str:
        """Name of a state that telemetry reports."""
        return next((s.name for s in self.states.values() if s.number == number), f"state {number}")

    def fault_name(self, number: int) -> str:
        """Name of a fault that telemetry reports; "none" without one."""
        if number == 0:
            return "none"
        return next((f.name for f in self.faults.values() if f.number == number), f"fault {number}")

    def fault_named(self, name: str) -> Fault | None:
        """The fault of this name, or None."""
        return next((f for f in self.faults.values() if f.name == name), None)

    def note_text(self, number: int) -> str:
        """Why a run ended, in words."""
        return next((n.text for n in self.notes.values() if n.number == number), f"note {number}")

    def blocker_names(self, mask: int) -> tuple[str, ...]:
        """Lower-case names of the blockers in a mask, in the order of their bits."""
        return _names(self.blockers, mask)

    def warning_names(self, mask: int) -> tuple[str, ...]:
        """Lower-case names of the warnings in a mask, in the order of their bits."""
        return _names(self.warnings, mask)


def _names(table: Mapping[str, Condition], mask: int) -> tuple[str, ...]:
    found = sorted((c.bit, name.lower()) for name, c in table.items() if mask & c.mask)
    return tuple(name for _, name in found)


def load(folder: Path | None = None) -> Supervision:
    """Read both files of a firmware folder; the project's own where it has none.

    Raises UsageError, one line, if they cannot be used.
    """
    states, faults = (
        toml_tables.read(name, folder, "the supervisor is made from it")
        for name in ("states.toml", "faults.toml")
    )
    return _parse(states, faults)


@cache
def _parse(states: tuple[str, str], faults: tuple[str, str]) -> Supervision:
    data = {**toml_tables.parse(*states), "faults": toml_tables.parse(*faults)}
    return toml_tables.validated(Supervision.model_validate, data, f"{states[1]} or {faults[1]}")
