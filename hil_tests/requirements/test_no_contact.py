"""SR-13: a pen that runs without skin contact stops by itself, and no run lasts longer than 10 min."""

from __future__ import annotations

import math
from typing import Any

import pytest
from support.bench import LIMIT, MS, RATES_HZ, Pens, braked_ns, press, rate, start
from support.forks import each_in_fork, in_fork
from support.measuring import Measure
from support.monitoring import fault, state, status, until
from support.nights import mostly_nightly

from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages

LIMIT_S = float(LIMIT("SR-13", "no_contact_s"))
WITHIN_S = 1.0  # "within 1 s" of the requirement
S = 1e9
# The lightest contacts that the motor current shows.
CONTACTS = [(12, 0.5), (36, 0.25)]


def run_until_stop(pen: EmulatedPen, since_ns: float, timeout_s: float) -> float:
    """Seconds from an instant to the brake; infinity if it does not come."""
    until(pen, lambda: state(pen) != "running", timeout_s * 1e3)
    pen.run_for(100 * MS)
    return braked_ns(pen, since_ns) / S


def ended(pen: EmulatedPen) -> tuple[str, str]:
    """Fault, and the beginning of the note that says why the run ended."""
    pen.run_for(600 * MS)
    return fault(pen), status(pen).note[:4]


@pytest.mark.parametrize(
    ("set_hz", "cell_v"), mostly_nightly([(50, 4.2), (100, 3.6), (100, 4.2), (150, 4.2)], (100, 3.6))
)
def test_15_s_in_the_air_end_the_run(pens: Pens, measure: Measure, set_hz: int, cell_v: float) -> None:
    """An ordinary end with a note: no fault, and the next press starts again."""

    def run(pen: EmulatedPen) -> tuple[float, tuple[str, str], str]:
        press(pen, set_hz)
        pen.wait_state("running")
        begun_ns = float(pen.now_ns)
        stopped_s = run_until_stop(pen, begun_ns, 17)
        why = ended(pen)
        pen.release()
        pen.run_for(500 * MS)
        pen.press()
        return stopped_s, why, pen.wait_state("running").state

    stopped_s, why, again = in_fork(run, pens.ready(cell_v))
    assert why == ("none", f"{LIMIT_S:.0f} s") and again == "running"
    measure("SR-13", "no_contact_s", stopped_s, f"{set_hz} Hz in the air, cell {cell_v} V", relation=">=")
    assert stopped_s <= LIMIT_S + WITHIN_S


@pytest.mark.nightly
@pytest.mark.parametrize("has_host", [True, False])
def test_after_the_end_of_a_run_the_next_press_starts_again_also_without_a_host(
    pens: Pens, has_host: bool
) -> None:
    """Telemetry keeps the main loop awake at rest; a pen in use has none."""

    def run(pen: EmulatedPen) -> float:
        pen.run_for(1 * S)
        if not has_host:
            pen.command(messages.SUBSCRIBE, 0, 0)
        pen.press()
        pen.run_for((LIMIT_S + 2) * S)
        pen.release()
        pen.run_for(500 * MS)
        pen.press()
        pen.run_for(1 * S)
        return rate(pen)

    assert in_fork(run, pens.ready(4.2)) > 50


@pytest.mark.parametrize("set_hz", mostly_nightly(RATES_HZ, 100))
def test_contact_before_15_s_is_noticed(pens: Pens, set_hz: int) -> None:
    """14.5 s in the air, 1 s on skin with each of some needles, 1 s in the air: beyond the time without contact."""

    def touch(pen: EmulatedPen, contact: tuple[int, float]) -> str:
        pen.touch_skin(*contact)
        pen.run_for(1 * S)
        pen.lift()
        pen.run_for(1 * S)
        return state(pen)

    def run(pen: EmulatedPen) -> list[str]:
        start(pen, set_hz)
        pen.run_for(14.3 * S)
        return each_in_fork(pen, touch, CONTACTS)

    for contact, seen in zip(CONTACTS, in_fork(run, pens.ready()), strict=True):
        assert seen == "running", f"{contact} was not noticed"


def test_after_contact_the_15_s_begin_anew(pens: Pens, measure: Measure) -> None:
    def run(pen: EmulatedPen) -> float:
        start(pen, 100)
        pen.run_for(2 * S)
        pen.touch_skin(*CONTACTS[0])
        pen.run_for(2 * S)
        pen.lift()
        return run_until_stop(pen, float(pen.now_ns), 17)

    stopped_s = in_fork(run, pens.ready())
    measure("SR-13", "no_contact_s", stopped_s, "from lifting off", relation=">=")
    assert stopped_s <= LIMIT_S + WITHIN_S


@pytest.mark.nightly
@pytest.mark.parametrize(("needles", "protrusion_mm"), [(12, 0.5), (24, 1.5)])
def test_a_treatment_that_stays_on_skin_goes_on(pens: Pens, needles: int, protrusion_mm: float) -> None:
    def run(pen: EmulatedPen) -> tuple[str, str]:
        start(pen, 100, settle_ms=1000)
        pen.touch_skin(needles, protrusion_mm)
        pen.run_for((LIMIT_S + WITHIN_S + 1) * S)
        return state(pen), fault(pen)

    assert in_fork(run, pens.ready()) == ("running", "none")


def test_a_run_that_begins_on_skin_goes_on_too(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[str, str]:
        pen.touch_skin(12, 1.5)
        press(pen, 100)
        pen.run_for((LIMIT_S + WITHIN_S + 1) * S)
        return state(pen), fault(pen)

    assert in_fork(run, pens.ready()) == ("running", "none")


def test_one_run_ends_at_its_limit_also_on_skin(pens: Pens, measure: Measure) -> None:
    """With a firmware whose minutes last 1.2 s: 10 of them are 12 s. The full 10 min: test_monitor."""
    changes = {"pen/run_watch.py": ("60_000 * SR13_RUN_MIN", "1_200 * SR13_RUN_MIN")}
    firmware = pens.variant("short_minutes", changes)

    def run(pen: EmulatedPen) -> tuple[float, tuple[str, str]]:
        start(pen, 100, settle_ms=0)
        begun_ns = pen.now_ns
        pen.touch_skin(24, 1.0)
        return run_until_stop(pen, float(begun_ns), 15) / 1.2, ended(pen)

    run_min, why = in_fork(run, pens.ready(firmware=firmware))
    assert why == ("none", "10 m")
    measure("SR-13", "run_min", run_min, "one run, minutes of 1.2 s each")
    assert run_min >= 0.95 * float(LIMIT("SR-13", "run_min"))


@pytest.mark.nightly
def test_a_pen_that_takes_air_for_contact_is_noticed(pens: Pens) -> None:
    """A test of the test."""
    firmware = pens.variant(
        "no_margin", {"pen/contact.py": ("_MARGIN_MA = const(10)", "_MARGIN_MA = const(-100)")}
    )

    def run(pen: EmulatedPen) -> Any:
        start(pen, 100)
        return run_until_stop(pen, float(pen.now_ns), 17)

    assert math.isinf(in_fork(run, pens.ready(firmware=firmware)))
