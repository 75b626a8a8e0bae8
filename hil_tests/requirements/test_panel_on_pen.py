"""PR-05 and the panel of the whole pen: depth by buttons, acknowledgement by a long press, and what the pixel shows."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from support.bench import LIMIT, MS, Pens, start
from support.forks import each_in_fork, in_fork
from support.measuring import Measure
from support.monitoring import fault, state
from support.nights import mostly_nightly

from needlepen import signals
from needlepen.emulator.pen import EmulatedPen
from needlepen.emulator.pixel import DARK
from needlepen.firmware_modules import firmware_module
from needlepen.link.client import messages

S = 1e9
UP, DOWN = "DEPTH_UP_N", "DEPTH_DOWN_N"
ACKNOWLEDGE_MS = int(firmware_module("pen.buttons").ACKNOWLEDGE_MS)
SIGNALS = signals.load()
STEP_MM = float(LIMIT("PR-05", "depth_step_mm"))
CAP_MM = float(LIMIT("SR-01", "default_cap_mm"))
PHASES = 24
WATCH_S = 7.0
PASS_MS = 60  # how much later than its rhythm a light may change while the main loop has other work


def _click(pen: EmulatedPen, button: str, ms: float = 90, bounce_ms: float = 3) -> float:
    """A press; the depth that is then set, mm."""
    pen.press_button(button, bounce_ms)
    pen.run_for(ms * MS)
    pen.release_button(button, bounce_ms)
    pen.run_for(500 * MS)
    assert pen.telemetry is not None
    return pen.telemetry.depth_set_mm


# ---------------------------------------------------------------------- depth
def test_each_press_is_one_step_of_the_depth(pens: Pens, measure: Measure) -> None:
    def run(pen: EmulatedPen) -> tuple[list[float], list[float]]:
        seen, true = [0.0], []
        for button in [UP] * 6 + [DOWN] * 4 + [UP]:
            seen.append(_click(pen, button))
            true.append(pen.axis.protrusion_mm)
        return seen, true

    seen, true = in_fork(run, pens.ready())
    steps = [round(b - a, 6) for a, b in itertools.pairwise(seen)]
    assert steps == [STEP_MM] * 6 + [-STEP_MM] * 4 + [STEP_MM]
    measure(
        "PR-05", "depth_step_mm", max(abs(step) for step in steps), "one press of a button", relation="=="
    )
    for set_mm, true_mm in zip(seen[1:], true, strict=True):
        assert true_mm == pytest.approx(set_mm, abs=float(LIMIT("PR-06", "error_mm")))


@pytest.mark.parametrize(
    ("telemetry_ms", "phases"), mostly_nightly([(20, 10), (20, PHASES), (100, PHASES)], (20, 10))
)
def test_no_press_is_lost_whenever_it_comes(pens: Pens, telemetry_ms: int, phases: int) -> None:
    """At many phases of the main loop, of telemetry and of the tests that go on at rest."""

    def press_up(pen: EmulatedPen, _phase: int) -> float:
        return _click(pen, UP, 100)

    def run(pen: EmulatedPen) -> list[float]:
        pen.command(messages.SUBSCRIBE, telemetry_ms, 60_000)
        pen.run_for(1 * S)
        return each_in_fork(pen, press_up, range(phases), lambda pen, _: pen.run_for(5.7 * MS))

    assert in_fork(run, pens.ready()) == [STEP_MM] * phases


def test_a_held_up_is_one_step_and_a_held_down_goes_on_to_zero(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[float, float]:
        pen.command(messages.SET_DEPTH, 500)
        pen.run_for(1 * S)
        return _click(pen, UP, 3_000), _click(pen, DOWN, 4_000)

    assert in_fork(run, pens.ready()) == (pytest.approx(0.5 + STEP_MM), 0.0)


def test_up_stops_at_the_limit_and_down_at_zero_with_the_sound_of_a_refusal(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[float, bool, float]:
        pen.command(messages.SET_DEPTH, round(1e3 * CAP_MM))
        pen.run_for(1 * S)
        pen.press_button(UP)
        refused_hz = SIGNALS.sounds["refused"].notes[0][0]
        heard = pen.run_until(
            lambda: pen.buzzer is not None and abs(pen.buzzer - refused_hz) < 20, 300 * MS, 5 * MS
        )
        pen.release_button(UP)
        pen.run_for(300 * MS)
        assert pen.telemetry is not None
        top_mm = pen.telemetry.depth_set_mm
        pen.command(messages.SET_DEPTH, 0)
        pen.run_for(1 * S)
        return top_mm, heard, _click(pen, DOWN)

    assert in_fork(run, pens.ready()) == (CAP_MM, True, 0.0)


def test_while_running_only_down_counts(pens: Pens) -> None:
    """SR-23."""

    def run(pen: EmulatedPen) -> tuple[float, float, str]:
        pen.command(messages.SET_DEPTH, 500)
        pen.run_for(1 * S)
        start(pen, 100)
        return _click(pen, UP), _click(pen, DOWN), state(pen)

    assert in_fork(run, pens.ready()) == (0.5, pytest.approx(0.5 - STEP_MM), "running")


# ---------------------------------------------------------------------- acknowledgement
def _stopped_by_a_fault(pen: EmulatedPen) -> None:
    start(pen, 100)
    pen.set_vbus(True)
    pen.wait_state("safe")
    pen.set_vbus(False)
    pen.release()
    pen.run_for(1 * S)


@pytest.mark.parametrize(
    ("button", "held_ms", "leaves"),
    [
        (DOWN, ACKNOWLEDGE_MS - 60, False),
        (DOWN, ACKNOWLEDGE_MS + 100, True),
        (UP, ACKNOWLEDGE_MS + 1_000, False),
        (DOWN, 90, False),
    ],
)
def test_only_a_long_press_of_down_acknowledges_a_fault(
    pens: Pens, button: str, held_ms: int, leaves: bool
) -> None:
    def run(pen: EmulatedPen) -> tuple[str, str, float]:
        _stopped_by_a_fault(pen)
        _click(pen, button, held_ms)
        pen.run_for(3 * S)
        assert pen.telemetry is not None
        return state(pen), fault(pen), pen.telemetry.depth_set_mm

    expected = ("armed", "none", 0.0) if leaves else ("safe", "external power", 0.0)
    assert in_fork(run, pens.ready()) == expected


def test_a_cause_that_is_still_there_is_not_acknowledged_away(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[str, str]:
        start(pen, 100)
        pen.set_nose_c(float(LIMIT("SR-18", "stop_c")) + 3)
        pen.wait_state("safe")
        pen.release()
        pen.run_for(1 * S)
        _click(pen, DOWN, ACKNOWLEDGE_MS + 100)
        pen.run_for(1 * S)
        return state(pen), fault(pen)

    assert in_fork(run, pens.ready()) == ("safe", "nose hot")


# ---------------------------------------------------------------------- pixel
def _bring(pen: EmulatedPen, entry: str) -> None:
    if entry == "idle_no_cartridge":
        pen.unseat_cartridge()
    elif entry == "idle_external_power":
        pen.set_vbus(True)
    elif entry == "running":
        start(pen, 100)
    elif entry == "safe":
        start(pen, 100)
        pen.set_vbus(True)
    elif entry == "service":
        pen.command(messages.OPEN_SERVICE)
    pen.wait_state(SIGNALS.pixel[entry].state.lower())
    pen.run_for(1 * S)


def _shown(pen: EmulatedPen, entry: str) -> dict[str, Any]:
    """Lights and gaps of the pixel from one change to the next, ms, without the first and the last."""
    _bring(pen, entry)
    malformed = pen.panel.pixel.malformed
    begun_ns, now = pen.now_ns, pen.pixel
    pen.run_for(WATCH_S * S)
    changes: list[tuple[int, tuple[int, int, int]]] = [(begun_ns, now)]
    for t_ns, rgb in pen.panel.pixel.history:
        if t_ns > begun_ns and rgb != changes[-1][1]:
            changes.append((t_ns, rgb))
    spans = [((b[0] - a[0]) / MS, a[1] != DARK) for a, b in itertools.pairwise(changes)][1:]
    colours = {rgb for _, rgb in changes if rgb != DARK}
    return {"spans": spans, "colours": colours, "malformed": pen.panel.pixel.malformed - malformed}


def _fits(spans: list[tuple[float, bool]], pattern_ms: tuple[int, ...]) -> bool:
    """Whether lights and gaps are a stretch of the rhythm over and over."""
    if len(pattern_ms) == 1:
        return not spans
    for phase in range(len(pattern_ms)):
        wanted = itertools.islice(itertools.cycle(range(len(pattern_ms))), phase, None)
        if spans and all(
            lit == (place % 2 == 0) and abs(ms - pattern_ms[place]) <= PASS_MS
            for (ms, lit), place in zip(spans, wanted, strict=False)
        ):
            return True
    return False


ENTRIES = ("idle_no_cartridge", "idle_external_power", "armed", "running", "safe", "service")


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_pixel_of_the_whole_pen_shows_what_the_table_says_and_nothing_else(
    pens: Pens, entry: str
) -> None:
    seen = in_fork(_shown, pens.ready(), entry)
    light = SIGNALS.pixel[entry]
    assert _fits(seen["spans"], light.pattern_ms), seen["spans"]
    for other in ENTRIES:
        assert other == entry or not _fits(seen["spans"], SIGNALS.pixel[other].pattern_ms), other
    assert seen["colours"] == {tuple(SIGNALS.colours[light.colour])} and seen["malformed"] == 0
