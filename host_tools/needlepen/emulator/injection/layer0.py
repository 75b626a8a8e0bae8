"""Faults inside layer 0: dead terms of the drive gate, the supply switch, comparator and latch. All show only when the
part is needed, unless it is proven before (SR-29)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from needlepen.emulator.injection.entry import Act, Entry, Undo
from needlepen.emulator.injection.vocabulary import Fault

if TYPE_CHECKING:
    from needlepen.emulator.pen import EmulatedPen

REQUIREMENT = "SR-29"


def _stick(node: str, level: int) -> Act:
    def act(pen: EmulatedPen, _fault: Fault) -> Undo:
        pen.electronics.stick(pen.now_ns, node, level)
        return lambda: pen.electronics.stick(pen.now_ns, node, None)

    return act


def _entry(target: str, kind: str, node: str, level: int, text: str) -> Entry:
    return Entry(target, kind, REQUIREMENT, text, _stick(node, level))


ENTRIES: tuple[Entry, ...] = (
    _entry("supply_switch", "short", "SUPPLY", 1, "welded: the bridge is always supplied"),
    _entry("supply_switch", "open", "SUPPLY", 0, "the bridge is never supplied"),
    _entry("brake", "open", "IN2", 0, "gate output dead: the bridge drives fully and cannot brake"),
    _entry(
        "gate_run_n", "open", "RUN_N_TERM", 0, "the gate does not hear the drive permission being withdrawn"
    ),
    _entry("gate_trigger", "open", "TRIGGER_TERM", 0, "the gate does not hear the trigger being released"),
    _entry("gate_watchdog", "open", "WATCHDOG_TERM", 0, "the gate does not hear the external watchdog"),
    _entry("gate_latch", "open", "LATCH_TERM", 0, "the gate does not hear the overcurrent latch"),
    _entry("comparator", "off", "COMPARATOR", 0, "too much current sets no latch"),
    _entry("latch", "off", "LATCH", 0, "the overcurrent latch cannot be set"),
    _entry("latch", "stuck", "LATCH", 1, "the overcurrent latch is set and cannot be cleared"),
    _entry("latch", "intermittent", "LATCH_HOLD", 0, "the overcurrent latch does not hold"),
)
