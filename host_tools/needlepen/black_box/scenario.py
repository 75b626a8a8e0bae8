"""A scenario from a black box: the same run up to the fault, on the emulated pen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from needlepen import requirements, supervision
from needlepen.black_box import inference
from needlepen.black_box.causes import candidates
from needlepen.black_box.record import BlackBox
from needlepen.cartridges.tables import load_profiles
from needlepen.errors import UsageError
from needlepen.scenario.actions import CELL_MAX_V, CELL_MIN_V
from needlepen.scenario.writing import write

Step = dict[str, Any]

_DEFAULT_NEEDLES = 24
_SETTLE_S = 0.5
"""Of a run whose begin the black box does not hold: time to reach its rate."""
_SLOW = ("nose hot", "winding hot", "battery sensor", "nose sensor", "current sensor")
_TIMEOUT_S, _SLOW_TIMEOUT_S = 5.0, 60.0
_CAUSES_FROM_OUTSIDE = {"cartridge lost": "cartridge out", "external power": "charger"}
_ACTIONS: Mapping[str, Step] = {
    "skin": {"do": "touch_skin"},
    "lift": {"do": "lift"},
    "release": {"do": "release_trigger"},
    "cartridge out": {"do": "remove_cartridge"},
    "charger": {"do": "connect_charger"},
}


def scenario(box: BlackBox, cause: Mapping[str, Any] | None = None) -> str:
    """The scenario as the text of a file for `needlepen run`.

    `cause`: the action that stands for the fault, one of `candidates`; by default the first. Raises UsageError for a
    black box that is empty, and for a fault that the emulated pen has no cause of.
    """
    if not box.samples:
        raise UsageError("The black box is empty: there is nothing to replay")
    chosen = dict(cause) if cause is not None else next(iter(candidates(box)), None)
    if chosen is None:
        raise UsageError(f"The emulated pen knows no cause of {box.fault!r}, so that it cannot be replayed")
    running = bool(inference.run_of(box))
    steps = _prepare(box) + (_run(box, chosen) if running else [{"after_s": _SETTLE_S, **chosen}])
    header = {
        "title": f"{box.fault} of pen {box.unique_id[-8:]}, boot {box.boot}"[:80],
        "description": _description(box, chosen, running),
        "cell_v": round(min(max(inference.begin_v(box), CELL_MIN_V), CELL_MAX_V), 2),
        "rate_hz": inference.first_rate_hz(box) if running else float(box.rate_hz),
        "judged_by": "safety",
        "duration_limit_s": 120.0 if box.fault in _SLOW else 30.0,
    }
    return write(header, steps + _judge(box), _comment(box, chosen))


def _description(box: BlackBox, chosen: Mapping[str, Any], running: bool) -> str:
    told = " ".join(str(value) for value in chosen.values())
    when = (
        box.date.isoformat(timespec="seconds") if box.date else f"{box.uptime_s:.1f} s after boot {box.boot}"
    )
    where = f"after {box.seconds:.1f} s that the black box holds" if running else "at rest"
    return f"From the black box of {when}: {box.fault} {where}; its cause is taken to be: {told}."


def _comment(box: BlackBox, chosen: Mapping[str, Any]) -> str:
    others = [" ".join(map(str, each.values())) for each in candidates(box) if each != dict(chosen)]
    lines = [
        f"Made by needlepen blackbox: event {box.log_sequence} of pen {box.unique_id}, program {box.application_hash}.",
        "Times are those of the black box, to about 20 ms. The cause is a guess; what else might be behind it: "
        + ("; ".join(others[:6]) or "nothing that the emulated pen knows")
        + ".",
    ]
    if box.needles not in (12, 24, 36):
        lines.append(f"The pen did not know its cartridge; {_DEFAULT_NEEDLES} needles are assumed.")
    return "\n".join(lines)


def _prepare(box: BlackBox) -> list[Step]:
    """Cartridge, profile and depth; then the pen is ready."""
    ready_s = "PR-09.ready_ms"
    steps: list[Step] = [{"when": "ready", "timeout_s": ready_s, "do": "wait"}]
    if box.needles in (12, 36):
        steps += [
            {"do": "remove_cartridge"},
            {"after_s": 0.3, "do": "seat_cartridge", "needles": box.needles},
            {"when": "ready", "timeout_s": 3.0, "do": "wait"},
        ]
    names = {profile.number: profile.name for profile in load_profiles()}
    if box.profile and box.profile in names:
        steps.append({"do": "select_profile", "profile": names[box.profile]})
    if box.depth_mm:
        steps.append({"do": "set_depth", "depth_mm": box.depth_mm})
        steps.append({"after_s": 0.2, "do": "wait"})
    return steps


def _run(box: BlackBox, chosen: Step) -> list[Step]:
    """From the press of the trigger to the cause of the fault, with what came from outside in between."""
    begin_s = inference.run_of(box)[0].time_s
    lead_s = 0.0 if inference.begin_is_known(box) else _SETTLE_S
    cause_s = inference.last_sound_s(box)
    known = _CAUSES_FROM_OUTSIDE.get(box.fault)
    steps: list[Step] = [
        {"when": "ready", "timeout_s": 5.0, "do": "press_trigger"},
        {"when": "running", "timeout_s": 1.0, "do": "mark", "text": "the recorded run"},
    ]
    at_s = begin_s - lead_s
    for each in inference.happenings(box):
        if each.what == known:
            cause_s = each.time_s
        if each.time_s >= cause_s or each.what == known:
            continue
        action = {"do": "set_rate", "rate_hz": each.value} if each.what == "rate" else _ACTIONS[each.what]
        steps.append({"after_s": _after(at_s, each.time_s), **action})
        at_s = max(at_s, each.time_s)
    return [*steps, {"after_s": _after(at_s, cause_s), **chosen}]


def _after(from_s: float, to_s: float) -> float:
    return round(max(0.0, to_s - from_s), 3)


def _judge(box: BlackBox) -> list[Step]:
    """The emulated pen has to report the same fault, and to be braked."""
    known = supervision.load().fault_named(box.fault)
    requirement = known.requirement if known is not None else ""
    timeout_s = _SLOW_TIMEOUT_S if box.fault in _SLOW else _TIMEOUT_S
    named = {"requirement": requirement} if requirement in requirements.load() else {}
    return [
        {"when": "fault", "timeout_s": timeout_s, "do": "assert", "name": f"reported: {box.fault}",
         "quantity": "fault", "value": box.fault, **named},
        {"do": "assert", "name": f"braked after: {box.fault}", "quantity": "braked", "value": True, "over_s": 0.5,
         **named},
    ]  # fmt: skip
