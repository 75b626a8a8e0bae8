"""A change of a pen's settings from the host, remembered so that it can be undone."""

from __future__ import annotations

from collections.abc import Mapping

from needlepen.access import unlock
from needlepen.config.apply import Applied, Talks, affected, apply, put_back, read
from needlepen.config.history import Entry, History
from needlepen.config.model import Settings, described, validated
from needlepen.errors import Refused, UsageError

ROLE = "operator"
"""What the settings of a pen need."""


def change(pen: Talks, wanted: Mapping[str, int], history: History, command: str) -> Applied:
    """Set `wanted` on a pen, all of it or nothing, after checking it against the limits; as an operator (SR-25).

    Raises UsageError with the allowed range before anything is sent, Refused with the pen's reason, or if this
    computer has no key for the pen.
    """
    before = read(pen)
    checked = validated(wanted, before)
    unlock(pen, ROLE)
    history.add(command, {name: before[name] for name in affected(checked)})
    try:
        done = apply(pen, checked, before)
    except Refused:
        now = read(pen)
        history.shrink_last({name: value for name, value in before.items() if now[name] != value})
        raise
    history.shrink_last(done.changed)
    return done


def undo(pen: Talks, history: History) -> tuple[Entry, Applied]:
    """Put back what the newest change replaced. Raises UsageError if there is none, Refused with the pen's reason."""
    entry = history.last
    if entry is None:
        raise UsageError("nothing to undo: no change of this pen's settings was made with these tools")
    before: Settings = read(pen)
    unlock(pen, ROLE)
    left = put_back(pen, entry.former)
    if left:
        back = put_back(pen, before)
        rest = f"; and NOT as before: {', '.join(back)}" if back else "; the settings are as they were"
        raise Refused(f"the pen refused to undo '{entry.command}': {', '.join(left)}{rest}")
    history.drop_last()
    return entry, Applied(before, read(pen))


def differences(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """(first, second) of each setting that both have and that differs."""
    return {
        name: (value, second[name])
        for name, value in first.items()
        if name in second and second[name] != value
    }


def in_words(changes: Mapping[str, tuple[int, int]]) -> list[str]:
    """One line for each difference."""
    return [
        f"{name:8}  {described(name, old)}  ->  {described(name, new)}"
        for name, (old, new) in changes.items()
    ]
