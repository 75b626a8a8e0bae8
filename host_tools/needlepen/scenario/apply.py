"""What each action does to the emulated pen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from needlepen import supervision
from needlepen.errors import Refused
from needlepen.evidence import Measurement
from needlepen.link.client import messages
from needlepen.scenario import actions
from needlepen.scenario.base import ActionBase
from needlepen.scenario.situation import Situation, Start

FLOOD_BYTES_S = 1.0e6
"""About what full-speed USB carries."""

_US, _MS = 1e3, 1e6
_SLOW_CAUSE = ((50e3, 60e6),)
_FAST_CAUSE = ((1e3, 150e3), (20e3, 2e6), (100e3, 40e6))


def apply(action: ActionBase, s: Situation) -> Measurement | None:
    """Do it now. Returns the evidence of an action that has an outcome. Raises InfrastructureError if the pen does
    not answer, Refused for what the pen rejects."""
    return APPLY[type(action)](action, s)


def describe(action: ActionBase) -> str:
    """The action in a few words, for progress and events."""
    fields = {k: v for k, v in action.model_dump(exclude={"do"}).items() if v not in (None, "")}
    if isinstance(action, actions.Assert):
        return action.title
    if isinstance(action, actions.Mark):
        return action.text
    name = str(getattr(action, "do", type(action).__name__)).replace("_", " ")
    shown = (
        f"{v:g} {_unit(k)}".rstrip() if isinstance(v, int | float) else str(v) for k, v in fields.items()
    )
    return " ".join([name, ", ".join(shown)]).rstrip()


def _unit(key: str) -> str:
    from needlepen.scenario.quantities import UNITS, unit_suffix

    return UNITS.get(unit_suffix(key), key if key == "needles" else "")


def _set_rate(a: actions.SetRate, s: Situation) -> None:
    reply = s.host.request(messages.SET_RATE, int(a.rate_hz))
    if reply.refused:
        raise Refused(f"the pen refused the stroke rate {a.rate_hz:g} Hz: {reply.refused}")
    s.set_hz = a.rate_hz


def _press(_: actions.PressTrigger, s: Situation) -> None:
    if s.telemetry is not None and s.telemetry.state == "armed":
        s.starts.append(Start(s.pen.now_ns, s.set_hz))
    s.pen.press()


def _release(_: actions.ReleaseTrigger, s: Situation) -> None:
    s.cutoffs.open("release")
    s.recording.fine(*_SLOW_CAUSE)
    s.pen.release()


def _touch(a: actions.TouchSkin, s: Situation) -> None:
    s.cartridge = a.needles, a.protrusion_mm
    s.pen.touch_skin(*s.cartridge)
    s.span("skin", f"{a.needles} needles, {a.protrusion_mm:g} mm")


def _lift(_: actions.Lift, s: Situation) -> None:
    """The depth stays as it was set: the needles stroke on in air."""
    s.pen.electronics.set_skin(s.pen.now_ns, *s.cartridge, False)
    s.end_span("skin")


def _defect(
    name: str, text: str, inject: Callable[[Situation, Any], None], cutoff: str = "", fast: bool = False
) -> Callable[[Any, Situation], None]:
    """An injected fault that lasts, with the cut-off that it should cause."""

    def act(action: Any, s: Situation) -> None:
        if cutoff:
            s.cutoffs.open(cutoff)
        s.recording.fine(*(_FAST_CAUSE if fast else _SLOW_CAUSE))
        s.span("injected", text, name)
        inject(s, action)

    return act


def _stick_run_n(s: Situation, _: Any) -> None:
    s.cutoffs.run_n_stuck()
    s.pen.electronics.stick_run_n_low(s.pen.now_ns, True)


def _glitch(a: actions.GlitchIndex, s: Situation) -> None:
    now_ns = s.pen.now_ns
    s.pen.electronics.glitch_line(now_ns, "INDEX", a.period_us, a.width_us, a.duration_ms, a.mode)
    s.span("injected", f"glitches, {a.width_us:g} us every {a.period_us:g} us", "glitch")
    s.pen.chip.call_at(now_ns + a.duration_ms * _MS, lambda: s.end_span("glitch"))


def _halt(_: actions.HaltCpu, s: Situation) -> None:
    s.cutoffs.open("halt")
    s.recording.fine(*_SLOW_CAUSE)
    s.pen.chip.halt_cpu()
    _until_reset(s, "CPU halted")


def _spin(_: actions.SpinCpu, s: Situation) -> None:
    s.cutoffs.open("spin")
    s.recording.fine(*_SLOW_CAUSE)
    s.pen.chip.spin_cpu()
    _until_reset(s, "CPU spins")


def _until_reset(s: Situation, text: str) -> None:
    """A hung CPU comes back with the chip's next reset."""
    s.span("injected", text, "cpu")
    count = len(s.boots)

    def revive(_t_ns: int, _cause: str) -> None:
        if len(s.boots) in (count, count + 1):
            s.pen.chip.resume_cpu()
            s.end_span("cpu")

    s.pen.chip.on_reset(revive)


def _silence(a: actions.SilenceHost, s: Situation) -> None:
    console = s.pen.chip.console
    console.pause_reading()
    s.span("injected", "host silent", "host")

    def over() -> None:
        console.resume_reading()
        s.end_span("host")

    s.pen.chip.call_at(s.pen.now_ns + a.duration_s * 1e9, over)


def _flood(a: actions.FloodHost, s: Situation) -> None:
    console = s.pen.chip.console
    console.flood(FLOOD_BYTES_S)
    s.span("injected", "USB flooded", "flood")

    def over() -> None:
        console.flood(0)
        s.end_span("flood")

    s.pen.chip.call_at(s.pen.now_ns + a.duration_s * 1e9, over)


def _set_cell(a: actions.SetCell, s: Situation) -> None:
    s.pen.electronics.set_cell(s.pen.now_ns, a.cell_v)


def _power_cycle(a: actions.PowerCycle, s: Situation) -> None:
    s.cutoffs.on_purpose()
    s.powered = False
    s.span("state", "off")
    s.pen.cut_power()
    s.pen.run_for(a.off_ms * _MS)
    s.powered = True
    s.pen.restore_power()


def _reset_chip(_: actions.ResetChip, s: Situation) -> None:
    s.cutoffs.on_purpose()
    s.pen.chip.reset("run_pin")


_REPAIRS: Mapping[str, Callable[[Situation, float], None]] = {
    "jam": lambda s, t: s.pen.electronics.jam(t, False),
    "winding": lambda s, t: s.pen.electronics.short_winding(t, False),
    "bridge": lambda s, t: s.pen.electronics.short_high_side(t, False),
    "run_n": lambda s, t: s.pen.electronics.stick_run_n_low(t, False),
    "index": lambda s, t: s.pen.electronics.stick_line(t, "INDEX", None),
}


def _repair(a: actions.Repair, s: Situation) -> None:
    for what in _REPAIRS if a.what == "all" else (a.what,):
        _REPAIRS[what](s, s.pen.now_ns)
        s.cutoffs.repaired(what)
        s.end_span(what)


def _acknowledge(a: actions.Acknowledge, s: Situation) -> Measurement:
    fault = s.telemetry.fault if s.telemetry else "none"
    reply = s.host.request(messages.ACKNOWLEDGE)
    answer = f"refused: {reply.refused}" if reply.refused else "accepted"
    s.event("info", f"acknowledgement {answer}")
    known = supervision.load().fault_named(fault)
    requirement = known.requirement if known else ""
    return Measurement(
        f"{fault}: acknowledgement {a.expect}", float((reply.refused is None) == (a.expect == "accepted")),
        "", 1.0, "==", requirement, note=answer, time_s=s.pen.now_ns / 1e9,
    )  # fmt: skip


def _nothing(_: ActionBase, __: Situation) -> None:
    """Time passes, or the runner itself does what there is to do."""


APPLY: Mapping[type[ActionBase], Callable[[Any, Situation], Measurement | None]] = {
    actions.SetRate: _set_rate,
    actions.PressTrigger: _press,
    actions.ReleaseTrigger: _release,
    actions.TouchSkin: _touch,
    actions.Lift: _lift,
    actions.ShortWinding: _defect(
        "winding", "winding shorted", lambda s, _: s.pen.electronics.short_winding(s.pen.now_ns, True),
        "winding", fast=True,
    ),
    actions.Jam: _defect("jam", "rotor jammed", lambda s, _: s.pen.electronics.jam(s.pen.now_ns, True), "jam"),
    actions.StickBridge: _defect(
        "bridge", "bridge stuck on", lambda s, _: s.pen.electronics.short_high_side(s.pen.now_ns, True), "bridge"
    ),
    actions.StickRunN: _defect("run_n", "RUN_N stuck low", _stick_run_n),
    actions.GlitchIndex: _glitch,
    actions.StickIndex: _defect(
        "index", "INDEX stuck",
        lambda s, a: s.pen.electronics.stick_line(s.pen.now_ns, "INDEX", int(a.level == "high")), "index",
    ),
    actions.HaltCpu: _halt,
    actions.SpinCpu: _spin,
    actions.SilenceHost: _silence,
    actions.FloodHost: _flood,
    actions.SetCell: _set_cell,
    actions.PowerCycle: _power_cycle,
    actions.ResetChip: _reset_chip,
    actions.Repair: _repair,
    actions.Acknowledge: _acknowledge,
    actions.Wait: _nothing,
    actions.Mark: _nothing,
    actions.Assert: _nothing,
}  # fmt: skip
