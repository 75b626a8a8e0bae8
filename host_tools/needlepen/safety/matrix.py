"""Every fault in every state of the pen, by running it: what came of each pair.

The states are brought about by what an operator does, not by what the pen says. In each the fault is put in for good;
then time passes, the operator tries to start or to go on, and lets go. An outcome is read off what was true.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from needlepen.emulator.forks import Forks
from needlepen.emulator.injection import ENTRIES, Fault
from needlepen.errors import NotInTime
from needlepen.link.client import messages
from needlepen.safety.outcome import Outcome, classify
from needlepen.safety.witness import Witness
from needlepen.scenario.host import Host

if TYPE_CHECKING:
    from needlepen.emulator.bench import Bench
    from needlepen.emulator.pen import EmulatedPen

Key = tuple[str, str, str]
"""Target, kind, state."""
_MS = 1e6
SLICE_NS = 5e6
DEPTH_MM = 1.5
CELL_TIMEOUT_S = 120.0
BOOT_MS = 5_000.0
"""The operator waits so long for a pen to come to rest after power-on, and then tries anyway."""


@dataclass
class Bed:
    """A pen on the bench with its host and its witness."""

    pen: EmulatedPen
    host: Host
    witness: Witness

    @classmethod
    def of(cls, pen: EmulatedPen) -> Bed:
        """A pen at power-on."""
        return cls(pen, Host(pen), Witness(pen))

    def wait(self, ms: float) -> None:
        """Device time passes; the host keeps the telemetry flowing, also after a reset."""
        end_ns = self.pen.now_ns + ms * _MS
        while (left_ns := end_ns - self.pen.now_ns) > 1.0:
            self.host.poll()
            self.pen.run_for(min(left_ns, SLICE_NS))

    def until(self, holds: Callable[[], bool], what: str, timeout_ms: float = 4_000.0) -> None:
        """Wait until something holds. Raises NotInTime if it does not come true."""
        end_ns = self.pen.now_ns + timeout_ms * _MS
        while not holds():
            if self.pen.now_ns >= end_ns:
                raise NotInTime(f"matrix: no pen could be brought to {what}: {self.pen.telemetry}")
            self.wait(5.0)

    def reports(self, *states: str) -> bool:
        """Whether the pen's last word is one of these states."""
        return self.pen.telemetry is not None and self.pen.telemetry.state in states

    @property
    def rate_hz(self) -> float:
        """True stroke rate now."""
        return float(self.pen.physics.peek(max(self.pen.now_ns, self.pen.physics.now.t_ns)).rate_hz)


def _armed(bed: Bed) -> None:
    bed.until(lambda: bed.reports("armed"), "armed")
    bed.host.request(messages.SET_DEPTH, round(DEPTH_MM * 1000))
    bed.wait(600.0)
    bed.until(lambda: bed.reports("armed"), "armed with its depth set")


def _idle(bed: Bed) -> None:
    """Something is missing: a charger is connected, which the operator takes away before a start."""
    bed.pen.set_vbus(True)
    bed.until(lambda: bed.reports("idle"), "idle")


def _depth_moving(bed: Bed) -> None:
    bed.host.request(messages.SET_DEPTH, 300)
    bed.wait(20.0)


def _running(bed: Bed) -> None:
    bed.pen.press()
    bed.until(lambda: bed.rate_hz > 90.0, "running", 500.0)
    bed.wait(100.0)


def _in_skin(bed: Bed) -> None:
    _running(bed)
    bed.pen.touch_skin()
    bed.wait(100.0)


def _stopping(bed: Bed) -> None:
    _running(bed)
    bed.pen.release()
    bed.wait(3.0)


def _safe(bed: Bed) -> None:
    """A stall that is over: nothing is broken any more but the pen's trust."""
    _running(bed)
    bed.pen.electronics.jam(bed.pen.now_ns, True)
    bed.until(lambda: bed.reports("safe"), "the safe state", 500.0)
    bed.pen.electronics.jam(bed.pen.now_ns, False)
    bed.pen.release()
    bed.wait(700.0)


STATES: dict[str, Callable[[Bed], None]] = {
    "boot": lambda bed: bed.wait(100.0),
    "self_test": lambda bed: bed.wait(600.0),
    "idle": _idle,
    "armed": lambda bed: None,
    "depth_moving": _depth_moving,
    "running": _running,
    "running_in_skin": _in_skin,
    "stopping": _stopping,
    "safe": _safe,
}
"""How each state of a pen is brought about: the first two from power-on, the others from an armed pen."""
FROM_POWER_ON = ("boot", "self_test")

MOVING = ("running", "running_in_skin")


@dataclass
class Matrix:
    """Outcome of each (target, kind, state); None where a cell was not tested."""

    cells: dict[Key, Outcome | None] = field(default_factory=dict)

    @property
    def untested(self) -> list[Key]:
        """Cells of the catalogue that have no outcome: each is a hole in the evidence."""
        return [
            (*pair, state) for pair in ENTRIES for state in STATES if self.cells.get((*pair, state)) is None
        ]

    @property
    def unsafe(self) -> list[tuple[Key, Outcome]]:
        """Cells with an unsafe outcome."""
        return [(key, cell) for key, cell in self.cells.items() if cell is not None and cell.kind == "unsafe"]


def all_cells(targets: Collection[str] = (), states: Collection[str] = ()) -> list[Key]:
    """Every cell, or those of some targets, or in some states."""
    return [
        (target, kind, state)
        for state in STATES
        for target, kind in ENTRIES
        if (not targets or target in targets) and (not states or state in states)
    ]


def daily_cells() -> list[Key]:
    """A part of the matrix for every day: all of what matters most, and of each other state a part of its own.

    Starting a pen costs most, so that few cells begin there.
    """
    part = {"armed": 1, "running_in_skin": 36}
    places = {state: k for k, state in enumerate(STATES)}
    pairs = {pair: k for k, pair in enumerate(ENTRIES)}
    return [key for key in all_cells() if (pairs[key[:2]] + places[key[2]]) % part.get(key[2], 72) == 0]


def run(
    bench: Bench,
    cells: Iterable[Key] | None = None,
    workers: int | None = None,
    done: Callable[[str], None] = lambda _state: None,
) -> Matrix:
    """Run these cells (all); each on its own copy of a pen in its state."""
    chosen = all_cells() if cells is None else list(cells)
    matrix = Matrix(dict.fromkeys(chosen))
    rows = {state: [key for key in chosen if key[2] == state] for state in STATES}
    rows = {state: keys for state, keys in rows.items() if keys}
    armed: Bed | None = None
    with Forks(1, timeout_s=3600.0) as forks:
        for state, keys in rows.items():
            done(state)
            if state in FROM_POWER_ON:
                forks.start(_row, Bed.of(bench.make()), state, keys, workers)
                continue
            if armed is None:
                armed = Bed.of(bench.make())
                _armed(armed)
            forks.start(_row, armed, state, keys, workers)
        for keys, outcomes in zip(rows.values(), forks.results(), strict=True):
            matrix.cells.update(zip(keys, outcomes, strict=True))
    return matrix


def _row(bed: Bed, state: str, keys: list[Key], workers: int | None) -> list[Outcome]:
    """All cells of a state: the pen is brought there once."""
    STATES[state](bed)
    with Forks(workers, CELL_TIMEOUT_S) as forks:
        for target, kind, _ in keys:
            forks.start(_cell, bed, state, Fault(target, kind))
        outcomes: list[Outcome] = forks.results()
        return outcomes


def _cell(bed: Bed, state: str, fault: Fault) -> Outcome:
    begun_ns = float(bed.pen.now_ns)
    bed.pen.faults.inject(fault)
    for phase in _operate(bed, state):
        bed.wait(phase)
    return classify(bed.witness.seen(), begun_ns, was_driven=state in MOVING)


def _operate(bed: Bed, state: str) -> Iterator[float]:
    """What the operator does; each time that passes, in ms."""
    pen = bed.pen
    if state in MOVING:
        yield 400.0
        pen.release()
        yield 650.0
        return
    if state in ("boot", "self_test"):
        begun_ns = pen.now_ns
        while not bed.reports("armed", "safe", "locked_out") and pen.now_ns < begun_ns + BOOT_MS * _MS:
            yield 50.0
        yield 250.0
    else:
        yield 150.0
    if state == "idle":
        pen.set_vbus(False)
        yield 300.0
    elif state == "stopping":
        yield 250.0
    elif state == "safe":
        with contextlib.suppress(NotInTime):  # a pen that hangs does not answer
            bed.host.request(messages.ACKNOWLEDGE)
        yield 1_300.0
    pen.press()
    yield 350.0
    pen.release()
    yield 400.0


def as_rows(matrix: Matrix) -> list[dict[str, Any]]:
    """One row a fault, one column a state, in words."""
    pairs = dict.fromkeys((target, kind) for target, kind, _ in matrix.cells)
    states = [s for s in STATES if any(key[2] == s for key in matrix.cells)]
    return [
        {
            "target": target,
            "kind": kind,
            "requirement": ENTRIES[target, kind].requirement,
            **{state: matrix.cells.get((target, kind, state)) for state in states},
        }
        for target, kind in pairs
    ]
