"""Which fault of the emulated pen may stand for a fault that a real one has logged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from needlepen import board, supervision
from needlepen.black_box import inference
from needlepen.black_box.record import BlackBox
from needlepen.emulator.injection import ENTRIES
from needlepen.scenario.actions import CELL_MAX_V, CELL_MIN_V

Step = Mapping[str, Any]

_HANG: tuple[Step, ...] = ({"do": "spin_cpu"}, {"do": "halt_cpu"})
_LIKELY: Mapping[str, tuple[Step, ...]] = {
    "overcurrent": ({"do": "short_winding"}, {"do": "jam"}),
    "overspeed": ({"do": "stick_bridge"},),
    "stall": ({"do": "jam"}, {"do": "stick_index"}),
    "heartbeat lost": _HANG,
    "main loop late": _HANG,
    "supervision lost": _HANG,
    "watchdog reset": _HANG,
    "underspeed": ({"do": "inject", "target": "motor", "kind": "slow"},),
    "cartridge lost": ({"do": "remove_cartridge"},),
    "external power": ({"do": "connect_charger"},),
    "nose sensor": ({"do": "inject", "target": "nose_temperature", "kind": "open"},),
    "battery sensor": ({"do": "inject", "target": "battery", "kind": "open"},),
    "current sensor": ({"do": "inject", "target": "motor_current", "kind": "short"},),
}
"""What most often is behind a fault, first; any other one of the same requirement follows."""


_GAVE_WAY = 1.1
"""A motor that is too slow bears less than what brakes it."""
_DRAG_LEAST_MNM = 0.1
"""Less than that is no drag."""


def candidates(box: BlackBox) -> list[dict[str, Any]]:
    """Actions of a scenario that may bring this fault about, the likeliest first; empty if the emulator has none."""
    found = [dict(step) for step in _measured(box) + _LIKELY.get(box.fault, ())]
    known = supervision.load().fault_named(box.fault)
    for (target, kind), entry in ENTRIES.items():
        step = {"do": "inject", "target": target, "kind": kind}
        if known is not None and entry.requirement == known.requirement and step not in found:
            found.append(step)
    return found


def _measured(box: BlackBox) -> tuple[Step, ...]:
    """Causes that the black box has measured itself."""
    if box.fault == "battery empty":
        least_v = min((sample.cell_v for sample in box.samples if sample.cell_v), default=box.cell_v)
        return ({"do": "set_cell", "cell_v": round(min(max(least_v, CELL_MIN_V), CELL_MAX_V), 2)},)
    if box.fault == "nose hot":
        return ({"do": "set_nose", "nose_c": box.nose_c},)
    if box.fault == "underspeed" and (torque_mnm := _drag_mnm(box)) >= _DRAG_LEAST_MNM:
        return ({"do": "inject", "target": "motor", "kind": "slow", "value": torque_mnm},)
    return ()


def _drag_mnm(box: BlackBox) -> float:
    """Torque that held the motor back, in mN m: what its additional current bears, and some more, since it gave way."""
    torque = ENTRIES["motor", "slow"].value
    assert torque is not None
    nm_per_a = board.load().motor.torque_constant_nm_a
    return round(min(1e3 * nm_per_a * inference.more_current_a(box) * _GAVE_WAY, torque.high), 1)
