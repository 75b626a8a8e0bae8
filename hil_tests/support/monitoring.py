"""What the tests of power, heat, rate and time ask of a running pen."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import Status
from support.bench import MS
from support.trace import Trace

SERVO_STEP_MS = 0.25
DRAG_NM_PER_HZ = 2e-4  # takes 1 Hz from the rotor within 2 ms
MOST_DRAG_NM = 20e-3


def status(pen: EmulatedPen) -> Status:
    """The last status frame; one has come."""
    assert pen.link.status is not None
    return pen.link.status


def fault(pen: EmulatedPen) -> str:
    """The fault in the last telemetry frame."""
    assert pen.telemetry is not None
    return pen.telemetry.fault


def state(pen: EmulatedPen) -> str:
    """The state in the last telemetry frame."""
    assert pen.telemetry is not None
    return pen.telemetry.state


def until(pen: EmulatedPen, condition: Callable[[], bool], timeout_ms: float) -> float:
    """Device time in ms until a condition holds; infinity if it does not."""
    begun_ns = pen.now_ns
    reached = pen.run_until(condition, timeout_ms * MS, 1 * MS)
    return (pen.now_ns - begun_ns) / MS if reached else math.inf


def hold_rate(pen: EmulatedPen, hz: float, ms: float, stop: Callable[[], bool] = lambda: False) -> Trace:
    """Drag on the shaft so that the motor turns at `hz`, whatever it does against it; the drag stays at the end."""
    end_ns = pen.now_ns + ms * MS
    drag_nm = 0.0
    rows = []
    while pen.now_ns < end_ns and not stop():
        s = pen.physics.peek(pen.now_ns)
        rows.append((pen.now_ns / MS, s.strokes, s.rate_hz, s.current_a, s.needle_mm))
        error_hz = s.rate_hz - hz
        drag_nm = min(max(drag_nm + 0.05 * DRAG_NM_PER_HZ * error_hz, 0.0), MOST_DRAG_NM)
        wanted_nm = min(max(drag_nm + DRAG_NM_PER_HZ * error_hz, 0.0), MOST_DRAG_NM)
        pen.electronics.set_drag(pen.now_ns, wanted_nm)
        pen.run_for(SERVO_STEP_MS * MS)
    return Trace(*np.array(rows).T)


def let_go(pen: EmulatedPen) -> None:
    """No drag any more."""
    pen.electronics.set_drag(pen.now_ns, 0.0)
