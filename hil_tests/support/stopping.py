"""How a run ends, seen from outside of the pen: its two permission lines and the true shaft, on any target that has
`pins` and `plant`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from needlepen.link.client import messages
from support.link_session import until
from support.targets.protocols import Link, Pins, Plant

RELEASED_MS = 250.0  # SR-11: a press counts when the trigger was up for 200 ms
SETTLED_MS = 400.0
STEP_MS = 0.5
WATCHED_MS = 150.0
_WITHDRAWN = {"RUN_N": 1, "SUPPLY_EN": 0}
Edges = list[tuple[int, int | None]]


@dataclass(frozen=True)
class Stopped:
    """What followed a cause, in ms from it; infinity for what did not happen.

    `withdrawn_ms`: the drive permission, for good; `supply_ms`: the bridge's supply; `standstill_ms`: the first stop of
    the rotor, `strokes` until then; `fastest_hz`, `over_threshold_ms`: rates are means of 2 ms.
    """

    withdrawn_ms: float
    supply_ms: float
    standstill_ms: float
    strokes: float
    fastest_hz: float
    over_threshold_ms: float


def run(link: Link, plant: Plant, rate_hz: int) -> None:
    """Press the trigger and wait until the motor turns evenly."""
    until(link, "armed")
    link.command(messages.SET_RATE, rate_hz)
    plant.wait(RELEASED_MS)
    plant.press()
    until(link, "running")
    plant.wait(SETTLED_MS)


def watched(
    plant: Plant,
    pins: Pins,
    cause: Callable[[], object],
    threshold_hz: float = math.inf,
    ms: float = WATCHED_MS,
) -> Stopped:
    """Let a cause act on a running pen, and see what follows within `ms`."""
    edges = {name: pins.record(name) for name in _WITHDRAWN}
    begun_ns, angles = plant.now_ns, [plant.strokes]
    cause()
    stopped_ms, strokes = math.inf, math.inf
    while plant.now_ns - begun_ns < 1e6 * ms:
        plant.wait(STEP_MS)
        angles.append(plant.strokes)
        if angles[-1] <= angles[-2] and math.isinf(stopped_ms):  # it may swing back then, to top dead centre
            stopped_ms, strokes = (plant.now_ns - begun_ns) / 1e6, max(angles) - angles[0]
    rates_hz = [
        (later - sooner) / (4e-3 * STEP_MS) for sooner, later in zip(angles, angles[4:], strict=False)
    ]
    over = next((place for place, hz in enumerate(rates_hz) if hz > threshold_hz), None)
    return Stopped(
        withdrawn_ms=_for_good_ms(edges["RUN_N"], 1, begun_ns),
        supply_ms=_for_good_ms(edges["SUPPLY_EN"], 0, begun_ns),
        standstill_ms=stopped_ms,
        strokes=strokes,
        fastest_hz=max(rates_hz),
        over_threshold_ms=math.inf if over is None else (over + 2) * STEP_MS,  # the middle of its 2 ms
    )


def _for_good_ms(edges: Edges, level: int, begun_ns: int) -> float:
    """When a line came to a level that it kept; a line that nothing drives keeps it by its pull resistor."""
    since_ns = math.inf
    for t_ns, now in edges:
        since_ns = min(since_ns, t_ns) if now in (None, level) else math.inf
    return (since_ns - begun_ns) / 1e6


def stays_still(plant: Plant, ms: float = 300.0) -> bool:
    """Whether nothing turns any more for so long."""
    plant.wait(ms)
    angle = plant.strokes
    plant.wait(ms)
    return abs(plant.strokes - angle) < 1e-3 and not plant.turns
