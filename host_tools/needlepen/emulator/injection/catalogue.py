"""Which target can have which fault: the list behind the command, the scenarios, the campaign and the matrix."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping

from needlepen.emulator.injection import (
    actuators,
    axis,
    cartridge,
    chip_faults,
    layer0,
    outputs,
    sensors,
    supplies,
)
from needlepen.emulator.injection.entry import Entry
from needlepen.emulator.injection.vocabulary import KINDS, Fault
from needlepen.errors import UsageError

ENTRIES: Mapping[tuple[str, str], Entry] = {
    (entry.target, entry.kind): entry
    for part in (sensors, actuators, axis, outputs, layer0, cartridge, supplies, chip_faults)
    for entry in part.ENTRIES
}
"""Every supported pair."""

TARGETS: tuple[str, ...] = tuple(dict.fromkeys(target for target, _ in ENTRIES))


def kinds_of(target: str) -> list[str]:
    """The kinds of fault that a target can have."""
    return [kind for name, kind in ENTRIES if name == target]


def known_target(target: str) -> str:
    """The target. Raises UsageError for one that there is not, with the nearest ones, or all."""
    if target not in TARGETS:
        near = difflib.get_close_matches(target, TARGETS, n=2)
        offer = f"did you mean {' or '.join(near)}?" if near else f"possible: {', '.join(TARGETS)}"
        raise UsageError(f"There is no target {target!r} to inject a fault into; {offer}")
    return target


def find(target: str, kind: str) -> Entry:
    """The entry of a pair. Raises UsageError that lists what is possible instead."""
    known_target(target)
    if kind not in KINDS:
        raise UsageError(f"There is no kind of fault {kind!r}; {target} can be {', '.join(kinds_of(target))}")
    if (target, kind) not in ENTRIES:
        raise UsageError(
            f"{target} can not be {kind!r} ({KINDS[kind]}): the model has no such fault; "
            f"it can be {', '.join(kinds_of(target))}"
        )
    return ENTRIES[target, kind]


def check(fault: Fault) -> Fault:
    """The fault with its value filled in. Raises UsageError for a pair, value or duration that is not possible."""
    entry = find(fault.target, fault.kind)
    if fault.start_s < 0 or (fault.duration_s is not None and fault.duration_s <= 0):
        raise UsageError(f"{fault.name}: start must not be negative, and a duration must be more than 0 s")
    if entry.value is None:
        if fault.value is not None:
            raise UsageError(
                f"{fault.name}: {fault.target}:{fault.kind} takes no value; leave out ={fault.value}"
            )
        return fault
    return dataclasses.replace(fault, value=entry.value.checked(fault))


def rows() -> list[dict[str, str]]:
    """The catalogue as plain texts, for listings."""
    return [
        {
            "target": e.target,
            "kind": e.kind,
            "does": e.text,
            "value": e.value.described if e.value else "",
            "requirement": e.requirement,
        }
        for e in ENTRIES.values()
    ]


def markdown() -> str:
    """The catalogue as a table."""
    lines = ["| target | kind | what happens | `=VALUE` | provokes |", "|---|---|---|---|---|"]
    for row in rows():
        value = row["value"].replace("|", ", ")
        lines.append(
            f"| `{row['target']}` | `{row['kind']}` | {row['does']} | {value} | {row['requirement']} |"
        )
    return "\n".join(lines) + "\n"
