"""Makes a target of what `--target` says, and says what a program has to answer if that cannot be done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from needlepen.emulator.pen import EmulatedPen
from needlepen.errors import NeedlepenError
from support.targets.protocols import Lost, Target
from support.targets.specification import EMULATED, LABGRID, Specification

Maker = tuple[Callable[[], EmulatedPen], str]


def open_target(specification: Specification, emulated: Callable[[], Maker]) -> Target:
    """The target, found, held and identified; `emulated` is asked for the emulated pen's maker if that is meant.

    Raises UsageError, InfrastructureError, Refused.
    """
    if specification.kind == EMULATED:
        from support.targets.emulated import EmulatedTarget

        return EmulatedTarget(*emulated())
    if specification.kind == LABGRID:
        from support.targets.places import open_place

        return open_place(specification)
    from support.targets.boards import LinkTarget

    return LinkTarget(specification)


def look_whether_lost(target: Target, error: BaseException) -> Lost | None:
    """After an infrastructure error: the reason if the board is gone, which is then marked; None if it is there."""
    if isinstance(error, Lost) or target.lost is not None:
        return None
    with contextlib.suppress(NeedlepenError):
        if target.is_there():
            return None
    return _lost(target, str(error))


def taken_away(target: Target) -> Lost | None:
    """The reason if the bench has said that this session has lost the board, which is then marked; else None."""
    said = None if target.lost is not None else target.noticed()
    return None if said is None else _lost(target, f"{said}.")


def _lost(target: Target, why: str) -> Lost:
    target.lost = (
        f"Pen {target.identity.unique_id} at {target.name} was lost: {why} Nothing more is tested on it; look at its "
        "cable, its supply, its bench and its program, and run the rest again."
    )
    return Lost(target.lost)
