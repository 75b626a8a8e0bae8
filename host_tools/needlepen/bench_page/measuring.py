"""A calibration, or a daily check, that runs in a thread of its own, so that the page stays alive while the pen moves.

The page gives orders (take, repeat, back, keep, pause, leave) and looks at snapshots; it never waits for the pen.
When pen or gauge are lost the session says so, tries to find them again, and goes on where it was: every reading is
in the journal by then.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from needlepen.bench_page.snapshot import ENDED, WAITING, Activity, Snapshot
from needlepen.bench_page.steps import Steps
from needlepen.calibration.automatic import needs_a_person
from needlepen.calibration.gauges import GaugeSilent
from needlepen.calibration.model import Finding
from needlepen.calibration.preconditions import SIMULATED
from needlepen.errors import InfrastructureError, NeedlepenError, Refused, UsageError

if TYPE_CHECKING:
    from needlepen.calibration.gauges import Gauge
    from needlepen.calibration.pen_port import PenPort
    from needlepen.calibration.preconditions import Precondition

LOOK_S = 0.5
"""Between two looks at an automatic gauge and the pen while nothing else is to be done."""
RETRY_S = 2.0
_LIVE_TIMEOUT_S = 1.5


class Measurement(Protocol):
    """What kind of measurement it is, and with what; the page's own are in `connecting`."""

    def connect(self) -> AbstractContextManager[tuple[PenPort, Gauge]]:
        """Pen and gauge, open inside the block."""

    def conditions(self, pen: PenPort, gauge: Gauge) -> list[Precondition]:
        """What has to be so before it begins."""

    def begin(self, pen: PenPort, gauge: Gauge) -> Steps:
        """A new one. Raises Refused if a condition is not met."""

    def resume(self, path: Path, pen: PenPort, gauge: Gauge) -> Steps:
        """Go on with one. Raises Refused if that cannot be."""


@dataclass(frozen=True)
class _Tools:
    steps: Steps
    pen: PenPort
    gauge: Gauge


class Measuring:
    """A measurement in a thread. `snapshot` may be read from any thread; orders are carried out one after another."""

    def __init__(self, measurement: Measurement, path: Path | None = None) -> None:
        self.snapshot = Snapshot(path=path)
        self._measurement = measurement
        self._orders: queue.Queue[tuple[str, str]] = queue.Queue()
        self._moved = False
        self._again_wanted = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="measurement", daemon=True)

    def start(self) -> None:
        """Connect and begin."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it holds the pen."""
        return self._thread.is_alive()

    def order(self, what: str, text: str = "") -> None:
        """take (with the text of a typed reading), repeat, back, keep, auto, pause or leave."""
        self._orders.put((what, text))

    def leave(self, timeout_s: float = 20.0) -> None:
        """End it; all readings are in the journal, and it can be gone on with. Waits until the pen is free."""
        self.order("leave")
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    # ------------------------------------------------------------------ in the thread
    def _run(self) -> None:
        try:
            while self.snapshot.activity not in ENDED:
                self._connected()
        except NeedlepenError as error:
            self._show(activity=Activity.REFUSED, message=str(error))
        except BaseException as error:  # a mistake of the program: it is said, and not only in the terminal
            self._show(activity=Activity.REFUSED, message=f"the program failed ({error!r}): begin again")
            raise

    def _connected(self) -> None:
        """Work until it ends or something is lost; then wait and let the caller try again."""
        steps = None
        try:
            with self._measurement.connect() as (pen, gauge):
                self._show(is_automatic=gauge.automatic, gauge=gauge.identity)
                steps = self._begun(pen, gauge)
                if steps is None:
                    return
                self._moved = False
                self._show(path=steps.path, conditions=(), message="")
                while self.snapshot.activity not in ENDED:
                    self._step(_Tools(steps, pen, gauge))
        except InfrastructureError as error:
            self._show(activity=Activity.LOST, message=str(error), live=None, hall_um=None)
            if self._next_order(RETRY_S)[0] == "leave":
                self._show(activity=Activity.LEFT)
        finally:
            if steps is not None:
                steps.close()

    def _begun(self, pen: PenPort, gauge: Gauge) -> Steps | None:
        """Begin, or go on with the journal, as soon as everything is set up; None if a person leaves instead."""
        goes_on = self.snapshot.path is not None
        while self.snapshot.activity not in ENDED:
            if goes_on:
                self._show(activity=Activity.CHECKING, message="")
                try:
                    if self.snapshot.path is not None:
                        return self._measurement.resume(self.snapshot.path, pen, gauge)
                    return self._measurement.begin(pen, gauge)
                except Refused as error:
                    self._show(message=str(error))
            conditions, state = tuple(self._measurement.conditions(pen, gauge)), pen.state()
            self._show(
                activity=Activity.PREPARING, conditions=conditions, nose_c=state.nose_c, cell_v=state.cell_v
            )
            order, _ = self._next_order(LOOK_S)
            goes_on = order == "take"
            if order == "leave":
                self._show(activity=Activity.LEFT)
        return None

    def _step(self, c: _Tools) -> None:
        if c.steps.result is not None:
            self._show(activity=Activity.FINISHED, result=c.steps.result)
        elif c.steps.at.stage.point is None:
            self._show(activity=Activity.WORKING, stage=c.steps.at.stage, taken=c.steps.readings)
            c.steps.finish()
        elif not self._moved:
            self._move(c)
        else:
            self._at_point(c)

    def _at_point(self, c: _Tools) -> None:
        """Wait for an order; meanwhile look, or go on by itself up to where a person has to set something up."""
        if self._goes_by_itself and needs_a_person(c.steps.at, c.gauge.identity.kind == SIMULATED):
            self._show(auto=False)
        order, text = self._next_order(0.0 if self._goes_by_itself else LOOK_S)
        if order:
            self._obey(c, order, text)
        elif self._goes_by_itself:
            self._take(c, "")
        elif self.snapshot.activity in WAITING:
            self._look(c)

    @property
    def _goes_by_itself(self) -> bool:
        s = self.snapshot
        return s.auto and s.is_automatic and s.activity == Activity.READY

    def _move(self, c: _Tools) -> None:
        """To the present point. What was ordered before counts no more, except to leave."""
        self._show(activity=Activity.MOVING, stage=c.steps.at.stage, taken=c.steps.readings, typed_wrong="")
        c.steps.at.prepare()
        stage = c.steps.at.stage
        if stage.point is None:  # no pen can have the curve: there is nothing to verify
            return
        self._moved = True
        self._forget_old_orders()
        doubtful = c.steps.at.is_doubtful and not self._again_wanted
        self._show(activity=Activity.READY, stage=stage)
        if doubtful:  # it was left with a doubt that waits for a decision
            self._judge(c, tuple(c.steps.at.findings))

    def _obey(self, c: _Tools, order: str, text: str) -> None:
        activity = self.snapshot.activity
        if order == "leave":
            self._out_of_service(c.pen)
            self._show(activity=Activity.LEFT)
        elif order == "pause":
            self._show(auto=False)
        elif order == "auto" and activity == Activity.READY:
            self._show(auto=True)
            self._take(c, "")
        elif order == "take" and activity == Activity.READY:
            self._take(c, text)
        elif order == "repeat" and activity in WAITING:
            self._again(c.steps.at.repeat)
        elif order == "back" and activity in WAITING:
            self._again(c.steps.back)
        elif order == "keep" and activity == Activity.DOUBT:
            c.steps.at.keep()
            self._go_on(c)

    def _out_of_service(self, pen: PenPort) -> None:
        """A pen that is left can be used again; without it, it is out of service as soon as it is switched off."""
        with contextlib.suppress(NeedlepenError):
            if pen.state().service:
                pen.restart()

    def _again(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except UsageError as error:
            self._show(message=str(error))
            return
        self._moved, self._again_wanted = False, True
        self._show(findings=(), newest=None, auto=False, message="")

    def _take(self, c: _Tools, text: str) -> None:
        """One reading, looked at by the engine; without a doubt it goes on to the next point."""
        self._show(activity=Activity.READING, typed_wrong="")
        try:
            reading = c.gauge.parse(text) if text or not c.gauge.automatic else c.steps.at.read()
        except UsageError as error:
            self._show(activity=Activity.READY, typed_wrong=str(error))
            return
        except (
            Refused,
            GaugeSilent,
        ) as error:  # a frame that cannot be used: the gauge is there, so another one may be asked for
            self._show(activity=Activity.READY, message=str(error), auto=False)
            return
        findings = tuple(c.steps.at.take(reading))
        self._again_wanted = False
        self._show(taken=c.steps.readings, live=reading, message="")
        self._judge(c, findings)

    def _judge(self, c: _Tools, findings: tuple[Finding, ...]) -> None:
        """Go on without a doubt; else a person has to say what is to be done."""
        newest = c.steps.at.present
        if newest is not None:
            self._show(hall_um=newest.hall_um, nose_c=newest.nose_c, cell_v=newest.cell_v)
        self._show(findings=findings, newest=newest)
        worst = {finding.severity for finding in findings}
        if "stop" in worst or "doubt" in worst:
            self._show(activity=Activity.STOP if "stop" in worst else Activity.DOUBT, auto=False)
        else:
            self._go_on(c)

    def _go_on(self, c: _Tools) -> None:
        c.steps.at.next()
        self._moved = False

    def _look(self, c: _Tools) -> None:
        """What gauge and pen say meanwhile; nothing of it is kept."""
        live = None
        if c.gauge.automatic:
            try:
                live = c.gauge.read(_LIVE_TIMEOUT_S)
            except (Refused, GaugeSilent):
                live = None
        state = c.pen.state()
        self._show(live=live, hall_um=state.hall_um, nose_c=state.nose_c, cell_v=state.cell_v)

    def _forget_old_orders(self) -> None:
        """What was pressed while the pen moved was not meant for the place where it is now."""
        old = []
        with contextlib.suppress(queue.Empty):
            while True:
                old.append(self._orders.get_nowait())
        for order in old:
            if order[0] in ("leave", "pause"):
                self._orders.put(order)

    def _next_order(self, timeout_s: float) -> tuple[str, str]:
        try:
            return self._orders.get(timeout=timeout_s) if timeout_s else self._orders.get_nowait()
        except queue.Empty:
            return "", ""

    def _show(self, **changes: Any) -> None:
        with self._lock:
            self.snapshot = replace(self.snapshot, number=self.snapshot.number + 1, **changes)
