"""Everything that a run knows about its pen at one moment; actions change it, observations read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from needlepen.emulator.pen import EmulatedPen
from needlepen.evidence import Event, Span
from needlepen.link.client import Telemetry
from needlepen.safety.witness import Witness
from needlepen.scenario.cutoffs import CutOffs
from needlepen.scenario.host import Host
from needlepen.scenario.recording import Recording
from needlepen.scenario.signals import Signals


@dataclass
class Boot:
    """One power-on or reset of the chip and when the pen was ready after it."""

    t_ns: float
    cause: str
    ready_ns: float | None = None


@dataclass
class Start:
    """One press of the trigger of a pen that was ready, and until when nothing else was done to it."""

    t_ns: float
    set_hz: float
    end_ns: float | None = None


@dataclass
class Reported:
    """What telemetry said, with the device time of its arrival and the begin of the boot it counts from."""

    t_ns: float
    boot_ns: float
    telemetry: Telemetry
    set_hz: float


@dataclass
class Situation:
    """The pen, its recorders, and what the scenario has done so far. Times are device times in ns."""

    pen: EmulatedPen
    set_hz: float
    events: list[Event] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    reported: list[Reported] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    statistics: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    stimulus_ns: float = 0.0
    step_ns: float = 0.0
    powered: bool = True
    cartridges: int = 0
    """How many the scenario has seated."""
    load: tuple[int | None, float | None] = (None, None)
    """Needles and protrusion in mm that the last touch imposed; None where they are the pen's own."""

    def __post_init__(self) -> None:
        pen = self.pen
        self.recording = Recording(pen)
        self.witness = Witness(pen)
        self.signals = Signals(pen)
        self.host = Host(pen)
        self.boots = [Boot(pen.now_ns, "power_on")]
        self.cutoffs = CutOffs(pen, self.recording, self.signals)
        self._open_spans: dict[str, tuple[float, str]] = {}
        self._fault = "none"
        self.span("state", "boot")
        pen.link.on_telemetry(self._take)
        pen.chip.on_reset(self._reset)
        pen.power.on_change(self._power)
        pen.electronics.on_output(
            "SHOOT_THROUGH", lambda t, _: self.event("fault", "braked on a live supply", t)
        )

    # what is remembered

    def event(self, kind: str, text: str, t_ns: float | None = None) -> None:
        """Keep an event, now or at a time."""
        self.events.append(Event((self.pen.now_ns if t_ns is None else t_ns) / 1e9, kind, text))

    def span(self, kind: str, text: str, name: str = "") -> None:
        """Begin something that lasts, and end what went on under the same name (by default the kind)."""
        self.end_span(name or kind)
        self._open_spans[name or kind] = (self.pen.now_ns, f"{kind}\0{text}")

    def end_span(self, name: str) -> None:
        """End what was begun; nothing if it was not."""
        if name in self._open_spans:
            t0_ns, label = self._open_spans.pop(name)
            kind, _, text = label.partition("\0")
            if self.pen.now_ns > t0_ns:
                self.spans.append(Span(kind, t0_ns / 1e9, self.pen.now_ns / 1e9, text))

    def end_all_spans(self) -> None:
        """At the end of the run."""
        for name in list(self._open_spans):
            self.end_span(name)

    def stimulus(self) -> None:
        """The pen is about to be changed: what is measured 'since the last stimulus' counts from here."""
        self.stimulus_ns = self.pen.now_ns
        self.recording.sample()
        for start in self.starts:
            start.end_ns = start.end_ns or self.stimulus_ns

    # what the pen says

    @property
    def telemetry(self) -> Telemetry | None:
        """The last telemetry since the last reset."""
        return self.pen.telemetry

    def _take(self, telemetry: Telemetry) -> None:
        before = self.reported[-1].telemetry if self.reported else None
        self.reported.append(Reported(self.pen.now_ns, self.boots[-1].t_ns, telemetry, self.set_hz))
        if telemetry.state == "armed" and self.boots[-1].ready_ns is None:
            self.boots[-1].ready_ns = self.pen.now_ns
        if (
            before is None
            or telemetry.state != before.state
            or "state" not in self._open_spans
            or self._fresh
        ):
            self.span("state", telemetry.state)
            self.event("state", telemetry.state)
        if telemetry.fault != self._fault:
            self._fault = telemetry.fault
            if telemetry.fault != "none":
                self.event("fault", telemetry.fault)
        self._fresh = False

    _fresh = False

    def _power(self, _t_ns: int, on: bool) -> None:
        self.powered = on
        if not on:
            self.span("state", "off")

    def _reset(self, t_ns: int, cause: str) -> None:
        self.boots.append(Boot(t_ns, cause))
        self._fault = "none"
        self._fresh = True
        if self.powered:
            self.span("state", "boot")
        self.event("info", f"chip reset: {cause.replace('_', ' ')}", t_ns)
