"""What has to be so before a calibration begins, or goes on: each condition with its value and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from needlepen.calibration import plan
from needlepen.calibration.model import Finding, GaugeIdentity, Taken
from needlepen.calibration.pen_port import PenPort, PenState
from needlepen.errors import Refused

SIMULATED = "simulated"
_READING_TRIES = 60


@dataclass(frozen=True)
class Precondition:
    """One condition. `limits` in words; `remedy`: what to do if it is not `met`."""

    name: str
    value: str
    limits: str
    met: bool
    remedy: str


def judge(
    pen: PenPort, gauge: GaugeIdentity, today: date, steady_s: float = plan.NOSE_STEADY_S
) -> list[Precondition]:
    """All conditions, in the order in which a technician sets things up. The pen must not be in service yet.

    `steady_s`: how long the nose is watched; 0 leaves that out (a session that goes on compares with its begin).
    """
    state = pen.state()
    for _ in range(_READING_TRIES):  # the pen tries again and again to read a cartridge that has no chip
        if "cartridge_reading" in state.blockers:
            state = pen.state()
    found = [*_gauge(gauge, today, pen.emulated), *_pen(state), _cartridge(state)]
    if steady_s:
        found.append(_steady(pen.watch_nose(steady_s)))
    return found


def require(conditions: list[Precondition], what: str = "calibrated") -> None:
    """Raises Refused that names every condition that is not met, and what to do."""
    unmet = [c for c in conditions if not c.met]
    if unmet:
        raise Refused(
            f"not {what}: "
            + "; ".join(f"{c.name} is {c.value}, it has to be {c.limits}: {c.remedy}" for c in unmet)
        )


def _gauge(gauge: GaugeIdentity, today: date, emulated: bool) -> list[Precondition]:
    fits = (gauge.kind == SIMULATED) == emulated
    whose = "emulated" if emulated else "real"
    due = gauge.due.isoformat() if gauge.due else "not known"
    return [
        Precondition(
            "the kind of gauge",
            f"{gauge.kind} for a pen that is {whose}",
            "the simulated gauge for an emulated pen, a real one for a real pen",
            fits,
            "choose another gauge: a simulated reading says nothing about a real pen, nor a real one about an "
            "emulated pen",
        ),
        Precondition(
            "the gauge's own calibration",
            f"due {due}",
            f"due {today.isoformat()} or later",
            gauge.due is None or gauge.due >= today,
            "have the gauge calibrated, or take another one",
        ),
    ]


def _pen(state: PenState) -> list[Precondition]:
    low_c, high_c = plan.NOSE_C
    blockers = set(state.blockers)
    broken = sorted(blockers & {"depth_sensor", "depth_not_homed", "battery_sensor", "store", "keys_missing"})
    wrong = state.fault if state.fault != "none" else ", ".join(broken) or "none"
    return [
        Precondition(
            "the pen's fault",
            wrong.replace("_", " "),
            "none",
            wrong == "none",
            "`needlepen explain` says what it means; mend it, switch the pen off and on",
        ),
        Precondition(
            "external power",
            "connected" if "external_power" in blockers else "not connected",
            "not connected",
            "external_power" not in blockers,
            "unplug the charger; the data cable must not feed the pen",
        ),
        Precondition(
            "the battery",
            f"at {state.cell_v:.2f} V",
            f"{plan.CELL_MIN_V:.2f} V or more",
            state.cell_v >= plan.CELL_MIN_V,
            "charge the pen, unplug it, let it cool",
        ),
        Precondition(
            "the nose",
            f"at {state.nose_c:.1f} C",
            f"{low_c:.0f} to {high_c:.0f} C",
            low_c <= state.nose_c <= high_c,
            "let the pen take the temperature of the room, and bring the room to 20 to 25 C",
        ),
    ]


def _cartridge(state: PenState) -> Precondition:
    blockers = set(state.blockers)
    seated = "missing" if "cartridge_absent" in blockers else "one for treatment"
    if "cartridge_unreadable" in blockers:
        seated = "a dummy without a chip"
    return Precondition(
        "the cartridge",
        seated,
        "the dummy cartridge, which has no chip",
        "cartridge_unreadable" in blockers,
        "push the dummy cartridge in until it clicks: its pin stands where needles stand, and it is blunt",
    )


def _steady(nose_c: list[float]) -> Precondition:
    change_k = max(nose_c) - min(nose_c) if nose_c else 0.0
    return Precondition(
        "the nose's change",
        f"{change_k:.1f} K in {plan.NOSE_STEADY_S:.0f} s",
        f"at most {plan.NOSE_STEADY_K} K",
        bool(nose_c) and change_k <= plan.NOSE_STEADY_K,
        "wait until the pen has taken the temperature of the room, then try again",
    )


def during(begin_c: float, taken: Taken) -> list[Finding]:
    """What temperature and battery say against a reading. `begin_c`: of the nose when the calibration began."""
    low_c, high_c = plan.NOSE_C
    change_k = taken.nose_c - begin_c
    found = []
    if not low_c <= taken.nose_c <= high_c or abs(change_k) > plan.NOSE_CHANGE_K:
        found.append((
            "temperature",
            f"The nose is at {taken.nose_c:.1f} C, {change_k:+.1f} K since the begin, and the pen grows with heat: "
            f"{low_c:.0f} to {high_c:.0f} C and {plan.NOSE_CHANGE_K:g} K are allowed. Let it come back, then repeat.",
        ))  # fmt: skip
    if taken.cell_v < plan.CELL_MIN_V:
        found.append((
            "battery",
            f"The battery is at {taken.cell_v:.2f} V, below {plan.CELL_MIN_V:.2f} V: the axis may lose steps. Leave, "
            "charge the pen, let it cool, and resume.",
        ))  # fmt: skip
    return [Finding(rule=rule, severity="stop", text=text, point=taken.point.number) for rule, text in found]
