"""Random scenarios: an operator who does anything, and one fault at any moment. A seed gives one scenario, for ever.

At most one fault of the pen itself: two that hit at once are no single fault, and no pen can promise anything then.
So the hazard that a broken sensor guards against does not come with that sensor. What disturbs without touching the
safety of the pen (host, buttons, signals) may come on top.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from needlepen import requirements
from needlepen.emulator.injection import ENTRIES, TARGETS, Entry, kinds_of
from needlepen.scenario.writing import write

Step = dict[str, Any]

BYSTANDERS = ("usb", "pixel", "buzzer", "depth_up", "depth_down")
"""Targets that may break besides another one."""
GUARDS: Mapping[str, tuple[str, ...]] = {
    "vbus": ("connect_charger",),
    "cartridge_seat": ("remove_cartridge",),
}
"""Target: what the operator does not do in a run in which it is broken."""
FAST_HZ = 80
"""From here on 24 needles may start at any protrusion that can be set (SR-24)."""
BOOT_S = 3.0
"""A sound pen is ready by then; one with something missing says so."""
SWAP_S = (0.3, 1.0)
"""Nobody changes a cartridge faster."""
OPEN_NUMBERS = (0.2, 5.0)
"""A number is drawn between these multiples of the usual one."""


def scenario(seed: int) -> str:
    """The scenario of a seed, as a TOML file that `needlepen run` replays."""
    draw = random.Random(f"campaign {seed}")
    limits = requirements.load()["PR-01"].limits
    faults = _faults(draw)
    avoided = {do for fault in faults for do in GUARDS.get(fault["target"], ())}
    low_hz = int(limits["rate_min_hz"]) if draw.random() < 0.25 else FAST_HZ
    rate_hz = draw.randrange(low_hz, int(limits["rate_max_hz"]) + 1, int(limits["rate_step_hz"]))
    steps = _treatment(draw, avoided)
    for fault in faults:
        _put_in(draw, steps, fault)
    steps.append({"after_s": 1.5, "do": "wait"})
    header = {
        "title": f"Campaign run {seed}",
        "description": "Random operator and random faults; made by needlepen campaign",
        "seed": seed % 2**32,
        "cell_v": round(draw.uniform(3.6, 4.2), 2),
        "rate_hz": float(rate_hz),
        "judged_by": "safety",
        "duration_limit_s": 60.0,
    }
    return write(header, steps)


def _faults(draw: random.Random) -> list[Step]:
    serious = [target for target in TARGETS if target not in BYSTANDERS]
    faults = [_fault(draw, draw.choice(serious))]
    if draw.random() < 0.3:
        faults.append(_fault(draw, draw.choice([t for t in BYSTANDERS if t in TARGETS])))
    return faults


def _fault(draw: random.Random, target: str) -> Step:
    entry = ENTRIES[target, draw.choice(kinds_of(target))]
    step: Step = {"do": "inject", "target": entry.target, "kind": entry.kind, "seed": draw.randrange(2**16)}
    value = _value(draw, entry)
    if value is not None:
        step["value"] = value
    if draw.random() < 0.5 or entry.target in ("usb", "cell"):
        step["duration_s"] = round(10 ** draw.uniform(-2.5, 0.0), 4)
    return step


def _value(draw: random.Random, entry: Entry) -> float | str | None:
    value = entry.value
    if value is None:
        return None
    if value.words:
        return draw.choice(value.words)
    if value.usual is None:  # cut power: at once, or in one of the next flash operations
        return None if draw.random() < 0.7 else float(draw.randint(1, 12))
    assert isinstance(value.usual, int | float), entry
    if entry.target == "cell" and entry.kind == "wrong":
        return round(draw.uniform(value.low, value.high), 2)
    low, high = OPEN_NUMBERS
    drawn = value.usual * low * (high / low) ** draw.random()
    sign = -1.0 if value.low < 0 and draw.random() < 0.5 else 1.0
    return float(f"{min(max(sign * drawn, value.low), value.high):.3g}")


def _treatment(draw: random.Random, avoided: set[str]) -> list[Step]:
    """Some starts and stops, with whatever an operator may do in between."""
    steps: list[Step] = [{"after_s": BOOT_S, "do": "wait"}]
    for _ in range(draw.randint(1, 3)):
        steps += _idle_moments(draw, avoided)
        steps.append({"after_s": round(draw.uniform(0.2, 0.5), 6), "do": "press_trigger"})
        if draw.random() < 0.1 and "remove_cartridge" not in avoided:
            steps.append({"after_s": round(draw.uniform(0.1, 0.5), 6), "do": "remove_cartridge"})
            steps.append({"after_s": round(draw.uniform(*SWAP_S), 6), **_cartridge(draw)})
        elif draw.random() < 0.7:
            steps.append({"after_s": round(draw.uniform(0.0, 0.5), 6), "do": "touch_skin"})
            if draw.random() < 0.4:
                steps.append({"after_s": round(draw.uniform(0.05, 0.3), 6), **_setting(draw)})
            steps.append({"after_s": round(draw.uniform(0.1, 0.7), 6), "do": "lift"})
        steps.append({"after_s": round(draw.uniform(0.0, 0.4), 6), "do": "release_trigger"})
    return steps


def _idle_moments(draw: random.Random, avoided: set[str]) -> list[Step]:
    steps: list[Step] = []
    if draw.random() < 0.6:
        steps.append({"after_s": round(draw.uniform(0.0, 0.3), 6), **_setting(draw)})
    if draw.random() < 0.3:
        steps.append({"after_s": round(draw.uniform(0.0, 0.3), 6), "do": "acknowledge", "expect": "either"})
    if draw.random() < 0.15 and "connect_charger" not in avoided:
        steps.append({"after_s": round(draw.uniform(0.0, 0.3), 6), "do": "connect_charger"})
        steps.append({"after_s": round(draw.uniform(0.0, 0.6), 6), "do": "disconnect_charger"})
    if draw.random() < 0.15 and "remove_cartridge" not in avoided:
        steps.append({"after_s": round(draw.uniform(0.0, 0.3), 6), "do": "remove_cartridge"})
        steps.append({"after_s": round(draw.uniform(*SWAP_S), 6), **_cartridge(draw)})
        steps.append({"after_s": round(draw.uniform(0.0, 0.6), 6), "do": "wait"})
    if draw.random() < 0.08:
        steps.append({"after_s": 0.05, "do": "power_cycle", "off_ms": round(draw.uniform(5.0, 300.0), 1)})
        steps.append({"after_s": round(draw.uniform(0.5, 2.0), 6), "do": "wait"})
    if draw.random() < 0.08:
        steps.append({"after_s": 0.05, "do": "set_nose", "nose_c": round(draw.uniform(20.0, 55.0), 1)})
    if draw.random() < 0.15:
        button = draw.choice(["up", "down"])
        steps.append({"after_s": 0.05, "do": "press_button", "button": button, "bounce_ms": 3.0})
        steps.append({"after_s": round(draw.uniform(0.03, 0.4), 6), "do": "release_button", "button": button})
    return steps


def _cartridge(draw: random.Random) -> Step:
    record = draw.choices(["fresh", "foreign", "copied", "used", "empty"], [6, 1, 1, 1, 1])[0]
    return {"do": "seat_cartridge", "needles": draw.choice([12, 24, 36]), "record": record}


def _setting(draw: random.Random) -> Step:
    """A rate, or a protrusion: also one that the pen must refuse."""
    if draw.random() < 0.5:
        return {"do": "set_rate", "rate_hz": float(draw.randrange(50, 151, 5)), "expect": "either"}
    return {"do": "set_depth", "depth_mm": draw.randrange(0, 261, 5) / 100, "expect": "either"}


def _put_in(draw: random.Random, steps: list[Step], fault: Step) -> None:
    """At a random moment: some time into the wait before a step."""
    place = draw.randrange(1, len(steps) + 1)
    whole_s = steps[place]["after_s"] if place < len(steps) else 0.5
    before_s = round(whole_s * draw.random(), 6)
    steps.insert(place, {"after_s": before_s, **fault})
    if place + 1 < len(steps):
        steps[place + 1]["after_s"] = round(whole_s - before_s, 6)
