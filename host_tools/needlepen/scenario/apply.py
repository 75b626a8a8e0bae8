"""What each action does to the emulated pen."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any

from needlepen import supervision
from needlepen.emulator.injection import cartridge
from needlepen.errors import NotInTime, Refused
from needlepen.evidence import Measurement
from needlepen.link.client import messages
from needlepen.scenario import actions, apply_faults, fault_actions
from needlepen.scenario.base import ActionBase
from needlepen.scenario.situation import Situation, Start

BUTTONS: Mapping[str, str] = {"up": "DEPTH_UP_N", "down": "DEPTH_DOWN_N"}
PEN_EPOCH = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
"""The pen counts the seconds from here."""

_MS = 1e6
_SLOW_CAUSE = ((50e3, 60e6),)


def apply(action: ActionBase, s: Situation) -> Measurement | None:
    """Do it now. Returns the evidence of an action that has an outcome. Raises NotInTime if the pen does
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
    refused = _ask(s, a.expect, messages.SET_RATE, int(a.rate_hz))
    if a.expect != "either" and (refused is None) != (a.expect == "accepted"):
        raise Refused(f"the pen answered to the stroke rate {a.rate_hz:g} Hz: {refused or 'accepted'}")
    if refused is None:
        s.set_hz = a.rate_hz


def _ask(s: Situation, expect: str, kind: int, *values: int) -> str | None:
    """The pen's refusal, or None. Raises NotInTime for a silent pen, unless that is expected, too."""
    try:
        return s.host.request(kind, *values).refused
    except NotInTime as error:
        if expect != "either":
            raise
        return str(error)


def _set_depth(a: actions.SetDepth, s: Situation) -> Measurement | None:
    refused = _ask(s, a.expect, messages.SET_DEPTH, round(a.depth_mm * 1000))
    return _answered(f"protrusion {a.depth_mm:g} mm", refused, a.expect, "SR-01", s)


def _answered(
    name: str, refused: str | None, expect: str, requirement: str, s: Situation
) -> Measurement | None:
    answer = "accepted" if refused is None else f"refused: {refused}"
    s.event("info", f"{name} {answer}")
    if expect == "either":
        return None
    as_expected = float((refused is None) == (expect == "accepted"))
    time_s = s.pen.now_ns / 1e9
    return Measurement(
        f"{name} {expect}", as_expected, "", 1.0, "==", requirement, note=answer, time_s=time_s
    )


def _select_profile(a: actions.SelectProfile, s: Situation) -> Measurement | None:
    refused = _ask(s, a.expect, messages.SELECT_PROFILE, a.number)
    return _answered(f"profile {a.profile}", refused, a.expect, "", s)


def _seat(a: actions.SeatCartridge, s: Situation) -> None:
    """Each one is another cartridge than all before."""
    s.cartridges += 1
    serial = s.pen.seed << 16 | 0x8000 | s.cartridges << 1
    made = cartridge.make(a.record, a.needles, serial)
    if a.record != "fresh":
        s.witness.forbid(made.chip.rom)
    s.pen.seat_cartridge(made)


def _remove(_: actions.RemoveCartridge, s: Situation) -> None:
    s.cutoffs.on_purpose()
    s.pen.unseat_cartridge()


def _set_time(a: actions.SetTime, s: Situation) -> None:
    time = a.time if a.time.tzinfo is not None else a.time.replace(tzinfo=datetime.UTC)
    refused = _ask(s, "accepted", messages.SET_TIME, int((time - PEN_EPOCH).total_seconds()))
    if refused:
        raise Refused(f"the pen refused the time {a.time}: {refused}")


def _press(_: actions.PressTrigger, s: Situation) -> None:
    if s.telemetry is not None and s.telemetry.state == "armed":
        s.starts.append(Start(s.pen.now_ns, s.set_hz))
    s.pen.press()


def _release(_: actions.ReleaseTrigger, s: Situation) -> None:
    s.cutoffs.open("release")
    s.recording.fine(*_SLOW_CAUSE)
    s.pen.release()


def _touch(a: actions.TouchSkin, s: Situation) -> None:
    s.load = (a.needles, a.protrusion_mm)
    s.pen.touch_skin(*s.load)
    s.span(
        "skin",
        f"{a.needles or s.pen.needles} needles" + (f", {a.protrusion_mm:g} mm" if a.protrusion_mm else ""),
    )


def _lift(_: actions.Lift, s: Situation) -> None:
    """A load of a given protrusion stays as it was set: the needles stroke on in air."""
    needles, protrusion_mm = s.load
    s.pen.plant.touch(needles or s.pen.needles, protrusion_mm, False)
    s.end_span("skin")


def _set_cell(a: actions.SetCell, s: Situation) -> None:
    s.pen.electronics.set_cell(s.pen.now_ns, a.cell_v)


def _power_cycle(a: actions.PowerCycle, s: Situation) -> None:
    s.cutoffs.on_purpose()
    s.pen.power.cut()
    s.pen.run_for(a.off_ms * _MS)
    s.pen.power.restore()


def _cut_power(a: actions.CutPower, s: Situation) -> None:
    """It returns by itself, however late in the run the flash is written."""
    power, chip = s.pen.power, s.pen.chip

    def back(t_ns: int, on: bool) -> None:
        if not on:
            chip.call_at(t_ns + a.off_ms * _MS, power.restore)

    s.cutoffs.on_purpose()
    power.on_change(back)
    s.pen.cut_power(at_flash_operation=a.flash_operation, done=a.done)


def _reset_chip(_: actions.ResetChip, s: Situation) -> None:
    s.cutoffs.on_purpose()
    s.pen.chip.reset("run_pin")


def _acknowledge(a: actions.Acknowledge, s: Situation) -> Measurement | None:
    fault = s.telemetry.fault if s.telemetry else "none"
    known = supervision.load().fault_named(fault)
    refused = _ask(s, a.expect, messages.ACKNOWLEDGE)
    return _answered(f"{fault}: acknowledgement", refused, a.expect, known.requirement if known else "", s)


def _nothing(_: ActionBase, __: Situation) -> None:
    """Time passes, or the runner itself does what there is to do."""


APPLY: Mapping[type[ActionBase], Callable[[Any, Situation], Measurement | None]] = {
    actions.SetRate: _set_rate,
    actions.SetDepth: _set_depth,
    actions.SelectProfile: _select_profile,
    actions.SetTime: _set_time,
    actions.SeatCartridge: _seat,
    actions.RemoveCartridge: _remove,
    actions.PressTrigger: _press,
    actions.ReleaseTrigger: _release,
    actions.PressButton: lambda a, s: s.pen.press_button(BUTTONS[a.button], a.bounce_ms),
    actions.ReleaseButton: lambda a, s: s.pen.release_button(BUTTONS[a.button], a.bounce_ms),
    actions.TouchSkin: _touch,
    actions.Lift: _lift,
    **dict.fromkeys(fault_actions.FaultAction.__subclasses__(), apply_faults.inject),
    fault_actions.GlitchIndex: apply_faults.glitch,
    fault_actions.Repair: apply_faults.repair,
    actions.SetCell: _set_cell,
    actions.ConnectCharger: lambda _, s: s.pen.set_vbus(True),
    actions.DisconnectCharger: lambda _, s: s.pen.set_vbus(False),
    actions.SetNose: lambda a, s: s.pen.set_nose_c(a.nose_c),
    actions.SetAmbient: lambda a, s: s.pen.set_ambient_c(a.ambient_c, a.soaked),
    actions.CutPower: _cut_power,
    actions.PowerCycle: _power_cycle,
    actions.ResetChip: _reset_chip,
    actions.Acknowledge: _acknowledge,
    actions.Wait: _nothing,
    actions.Mark: _nothing,
    actions.Assert: _nothing,
}
