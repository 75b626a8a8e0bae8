"""The definition of an unsafe outcome, at its boundaries: just inside nothing is found, just outside it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from needlepen import requirements
from needlepen.emulator.injection import Fault, Injected, find
from needlepen.safety.unsafe import CALIBRATION_MM, unsafe
from needlepen.safety.witness import COLUMNS, Said, Witnessed

MS = 1e6
LIMIT = requirements.load().limit
SOUND: Mapping[str, float] = {
    "needle_mm": -1.5, "protrusion_mm": 1.5, "shaft_hz": 0.0, "turns": 0.0, "cell_v": 3.8, "nose_c": 30.0,
    "winding_c": 40.0, "seated": 1.0, "allowed": 1.0, "charger": 0.0, "powered": 1.0,
}  # fmt: skip
ALWAYS = (0.0, math.inf)
Part = tuple[float, float]


def run(
    seconds: float = 5.0,
    driven: Part | None = (2.0, 4.0),
    pressed: Part = (2.0, 4.0),
    rate_hz: float = 100.0,
    resets_s: tuple[float, ...] = (),
    faults: tuple[Injected, ...] = (),
    said: Mapping[Part, Mapping[str, Any]] | None = None,
    **parts: tuple[Part, float],
) -> Witnessed:
    """A run in which all is well but what is given: columns as name = ((from s, to s), value)."""
    t_s = np.arange(0.0, seconds, 0.001)
    table = {name: np.full(len(t_s), value) for name, value in SOUND.items()}
    lines: list[tuple[float, str, float]] = [
        (pressed[0] * 1e9, "TRIGGER_N", 0),
        (pressed[1] * 1e9, "TRIGGER_N", 1),
    ]
    if driven:
        runs = (t_s >= driven[0]) & (t_s < driven[1])
        table["shaft_hz"][runs] = rate_hz
        table["turns"] = np.cumsum(table["shaft_hz"]) * 0.001
        for t, level in zip(driven, (1.0, 0.0), strict=True):
            lines += [
                (t * 1e9, "SUPPLY", level),
                (t * 1e9, "BRAKE", 1 - level),
                (t * 1e9, "DUTY", 0.5 * level),
            ]
    for name, ((begin_s, end_s), value) in parts.items():
        table[name][(t_s >= begin_s) & (t_s < end_s)] = value
    frames = []
    for t in np.arange(0.5, seconds, 0.02):
        state = "running" if driven and driven[0] <= t < driven[1] else "armed"
        fields: dict[str, Any] = {
            "state": state, "fault": "none", "set_hz": 100.0, "depth_set_mm": 1.5,
            "warnings": frozenset(), "blockers": (),
        }  # fmt: skip
        for (begin_s, end_s), changes in (said or {}).items():
            if begin_s <= t < end_s:
                fields |= changes
        frames.append(Said(t * 1e9, **fields))
    columns = np.column_stack([t_s * 1e9, *(table[name] for name in COLUMNS[1:])])
    return Witnessed(columns, sorted(lines), [t * 1e9 for t in resets_s], frames, list(faults))


def kinds(seen: Witnessed) -> set[str]:
    return {each.kind for each in unsafe(seen)}


def test_a_sound_run_is_safe() -> None:
    assert unsafe(run()) == [] == unsafe(run(driven=None))


# ------------------------------------------------------------------ 1 without permission
PERMISSION = [
    ("trigger released", "SR-12", "brake_ms", lambda late: {"driven": (2.0, 4.0 + late)}),
    (
        "cartridge lost",
        "SR-14",
        "brake_ms",
        lambda late: {"driven": (2.0, 3.0 + late), "seated": ((3.0, 9.0), 0.0)},
    ),
    (
        "used cartridge",
        "SR-14",
        "brake_ms",
        lambda late: {"driven": (2.0, 3.0 + late), "allowed": ((3.0, 9.0), 0.0)},
    ),
    (
        "charger",
        "SR-22",
        "inhibit_ms",
        lambda late: {"driven": (2.0, 3.0 + late), "charger": ((3.0, 9.0), 1.0)},
    ),
]


@pytest.mark.parametrize(("name", "requirement", "limit", "made"), PERMISSION)
def test_driving_longer_than_the_reaction_allows_is_unsafe(
    name: str, requirement: str, limit: str, made: Any
) -> None:
    limit_s = float(LIMIT(requirement, limit)) / 1e3
    assert kinds(run(**made(limit_s - 0.001))) == set(), name
    assert kinds(run(**made(limit_s + 0.003))) == {"driven without permission"}, name


def test_driving_in_the_first_half_second_after_a_reset_is_unsafe() -> None:
    quiet_s = float(LIMIT("SR-11", "quiet_ms")) / 1e3
    assert kinds(run(resets_s=(2.0 - quiet_s - 0.001,))) == set()
    assert kinds(run(resets_s=(2.0 - quiet_s + 0.001,))) == {"driven without permission"}


def test_a_proof_may_try_a_dead_channel_without_turning_the_motor() -> None:
    for length_s, rate_hz, expected in (
        (0.009, 0.0, set()),
        (0.009, 20.0, {"driven"}),
        (0.011, 0.0, {"driven"}),
    ):
        seen = run(driven=(1.0, 1.0 + length_s), rate_hz=rate_hz, pressed=(2.0, 2.1))
        assert {kind.partition(" ")[0] for kind in kinds(seen)} == expected, (length_s, rate_hz)


@pytest.mark.parametrize("state", ["safe", "idle", "locked_out", "boot", "self_test"])
def test_driving_while_reporting_a_state_of_rest_is_unsafe(state: str) -> None:
    said = {(2.5, 3.5): {"state": state, "fault": "stall" if state == "safe" else "none"}}
    assert kinds(run(said=said)) == {"driven without permission"}


def test_a_shorted_transistor_drives_against_a_brake() -> None:
    fault = Injected(Fault("bridge", "short"), find("bridge", "short"), 4.2e9, None)
    seen = run(faults=(fault,))
    assert unsafe(seen) == []  # its supply is open
    seen.lines.append((4.3e9, "SUPPLY", 1.0))
    assert "driven without permission" in kinds(seen)


# ------------------------------------------------------------------ 2 protrusion
def test_protrusion_past_the_hard_stop_is_unsafe_at_once() -> None:
    stop_mm = float(LIMIT("SR-02", "hard_stop_mm"))
    assert "protrusion" not in kinds(run(protrusion_mm=((0.5, 0.501), stop_mm)))
    assert "protrusion" in kinds(run(protrusion_mm=((0.5, 0.501), stop_mm + 0.01)))


def test_stroking_deeper_than_may_be_set_is_unsafe() -> None:
    cap_mm = float(LIMIT("SR-01", "default_cap_mm")) + float(LIMIT("SR-02", "error_mm")) + CALIBRATION_MM
    said = {ALWAYS: {"warnings": frozenset({"depth_drift"})}}
    allowed_s = (float(LIMIT("SR-02", "trip_ms")) + float(LIMIT("SR-08", "tips_out_ms"))) / 1e3
    long, short = (2.5, 2.5 + allowed_s + 0.005), (2.5, 2.5 + allowed_s - 0.005)
    assert "protrusion" in kinds(run(said=said, protrusion_mm=(long, cap_mm + 0.01)))
    assert "protrusion" not in kinds(run(said=said, protrusion_mm=(short, cap_mm + 0.01)))
    assert "protrusion" not in kinds(run(said=said, protrusion_mm=(long, cap_mm - 0.01)))


# ------------------------------------------------------------------ 3 needles out at rest
def test_needles_that_stay_out_at_rest_are_unsafe() -> None:
    allowed_s = (float(LIMIT("SR-08", "tips_out_ms")) + float(LIMIT("PR-05", "full_move_ms"))) / 1e3
    assert kinds(run(needle_mm=((4.1, 4.1 + allowed_s - 0.005), 0.5))) == set()
    assert kinds(run(needle_mm=((4.1, 4.1 + allowed_s + 0.005), 0.5))) == {"needles out at rest"}
    assert kinds(run(needle_mm=((4.1, 9.0), CALIBRATION_MM))) == set()


def test_a_pen_that_restarts_has_the_time_for_it() -> None:
    assert kinds(run(needle_mm=((4.1, 4.9), 0.5))) == {"needles out at rest"}
    assert kinds(run(needle_mm=((4.1, 4.9), 0.5), resets_s=(4.2,))) == set()


def test_a_pen_without_power_is_not_judged() -> None:
    assert kinds(run(needle_mm=((4.1, 9.0), 0.5), powered=((4.0, 9.0), 0.0))) == set()


# ------------------------------------------------------------------ 4 silent failure
SILENT = [
    ("too slow", {"rate_hz": 75.0}),
    ("too fast", {"rate_hz": 190.0}),
    ("protrusion not as set", {"protrusion_mm": ((2.5, 3.5), 1.2)}),
    (
        "protrusion drifted",
        {"protrusion_mm": ((1.0, 4.0), 1.28), "driven": (1.0, 4.0), "pressed": (1.0, 4.0)},
    ),
    ("nose too hot", {"nose_c": (ALWAYS, 42.5), "driven": (1.0, 4.0), "pressed": (1.0, 4.0)}),
    ("winding too hot", {"winding_c": (ALWAYS, 97.0)}),
    ("cell empty", {"cell_v": (ALWAYS, 3.2)}),
]


@pytest.mark.parametrize(("text", "made"), SILENT)
def test_driving_outside_the_specification_is_unsafe_only_in_silence(text: str, made: dict[str, Any]) -> None:
    found = unsafe(run(**made))
    assert {each.kind for each in found} == {"silent failure"} and text in found[0].text, found
    begin_s = made.get("driven", (2.0,))[0]
    for word in (
        {"warnings": frozenset({"underspeed"})},
        {"fault": "stall"},
        {"state": "safe", "fault": "stall"},
    ):
        spoken = {(begin_s + 0.07, begin_s + 0.11): word, (2.54, 2.58): word}
        assert "silent failure" not in kinds(run(**made, said=spoken)), word


def test_a_warning_that_was_there_before_is_no_word() -> None:
    assert kinds(run(rate_hz=75.0, said={ALWAYS: {"warnings": frozenset({"underspeed"})}})) == {
        "silent failure"
    }


@pytest.mark.parametrize(("rate_hz", "silent"), [(83.0, False), (79.0, True), (172.0, False), (175.0, True)])
def test_the_rate_is_judged_at_its_limits(rate_hz: float, silent: bool) -> None:
    assert ("silent failure" in kinds(run(rate_hz=rate_hz))) is silent


def test_a_sensor_fault_with_a_stated_time_has_to_be_told_when_the_pen_drives_on() -> None:
    entry = find("depth_position", "open")
    within_s = float(LIMIT("SR-04", "detect_ms")) / 1e3
    fault = Injected(Fault("depth_position", "open"), entry, 2.5e9, None)
    assert kinds(run(faults=(fault,))) == {"silent failure"}
    assert kinds(run(faults=(fault,), driven=(2.0, 2.5 + within_s))) == set()
    assert kinds(run(faults=(fault,), said={(2.5, 2.6): {"fault": "depth sensor"}})) == set()


def test_a_clock_error_within_its_limit_needs_no_word() -> None:
    entry = find("clock", "wrong")
    for percent, expected in ((4.9, set()), (6.0, {"silent failure"})):
        fault = Injected(Fault("clock", "wrong", percent), entry, 2.5e9, None)
        assert kinds(run(faults=(fault,))) == expected


def test_nobody_knows_what_was_said_to_a_host_that_does_not_listen() -> None:
    fault = Injected(Fault("usb", "off"), find("usb", "off"), 1e9, None)
    assert kinds(run(rate_hz=75.0, faults=(fault,))) == set()
