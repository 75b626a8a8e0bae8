"""What the actions that break and mend the pen do, and what a run notes about every fault that it has."""

from __future__ import annotations

from needlepen.emulator.injection import Injected
from needlepen.scenario import fault_actions as actions
from needlepen.scenario.situation import Situation

_MS = 1e6
_SLOW_CAUSE = ((50e3, 60e6),)
_FAST_CAUSE = ((1e3, 150e3), (20e3, 2e6), (100e3, 40e6))


def watch(s: Situation) -> None:
    """Note every fault of the pen: its span, the cut-off that it should cause, and finer samples after it."""

    def changed(injected: Injected, begins: bool) -> None:
        fault = injected.fault
        name = f"{fault.target}:{fault.kind}"
        if not begins:
            s.end_span(name)
            s.cutoffs.repaired(fault)
            return
        s.stimulus()
        s.cutoffs.broken(fault)
        if injected.entry.cutoff:
            s.cutoffs.open(injected.entry.cutoff)
        s.recording.fine(*(_FAST_CAUSE if injected.entry.is_fast else _SLOW_CAUSE))
        s.span("injected", fault.name.replace("_", " ").replace(":", ": "), name)

    s.pen.faults.on_change(changed)


def inject(action: actions.FaultAction, s: Situation) -> None:
    """Break it now."""
    s.pen.faults.inject(action.fault)


def glitch(a: actions.GlitchIndex, s: Situation) -> None:
    """A burst on INDEX."""
    now_ns = s.pen.now_ns
    s.pen.electronics.glitch_line(now_ns, "INDEX", a.period_us, a.width_us, a.duration_ms, a.mode)
    s.span("injected", f"glitches, {a.width_us:g} us every {a.period_us:g} us", "glitch")
    s.pen.chip.call_at(now_ns + a.duration_ms * _MS, lambda: s.end_span("glitch"))


def repair(a: actions.Repair, s: Situation) -> None:
    """Mend it now."""
    target, kind = actions.REPAIRS.get(a.what, (a.what, None))
    s.pen.faults.repair(target, kind)
    if target in ("all", "index"):
        s.pen.electronics.stick_line(s.pen.now_ns, "INDEX", None)  # a burst that is no fault of the catalogue
        s.end_span("glitch")
