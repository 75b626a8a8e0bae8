"""SR-13: which contact the motor current shows, at which rates and cell voltages."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from support.bench import minimum_rate_hz
from support.loop import Loop, control
from support.nights import mostly_nightly

from needlepen import requirements
from needlepen.firmware_modules import firmware_module

contact = firmware_module("pen.contact")
LIMIT = requirements.load().limit
RATES_HZ = (50, 75, 100, 125, 150)
EVERY_RATE_HZ = range(50, 151, 5)
CELLS_V = (3.5, 3.7, 4.2)
FREE_MS, SKIN_MS = 2_000, 2_500
SEEN = [(12, 0.5), (24, 0.5), (36, 0.25), (12, 1.5), (24, 1.5), (36, 1.5)]
UNSEEN = [(12, 0.1), (12, 0.25)]


@functools.cache
def readings(set_hz: int, cell_v: float, needles: int, protrusion_mm: float) -> tuple[list[int], list[int]]:
    """Windows of a free run, then on skin: root of the mean square, mA."""
    run = Loop(set_hz, cell_v, skin={300 + FREE_MS: needles}, protrusion_mm=protrusion_mm)
    _, states = run.run(300 + FREE_MS + SKIN_MS)
    squares = [s[control.CURRENT_MA] ** 2 >> 10 for s in states[300:]]
    n = contact.WINDOW_MS
    windows = [contact.root_ma(sum(squares[k : k + n]), n) for k in range(0, len(squares), n)]
    return windows[: FREE_MS // n], windows[FREE_MS // n + 1 :]


def judged(set_hz: int, cell_v: float, needles: int, protrusion_mm: float, free: bool = True) -> list[bool]:
    """Whether contact is seen in each window on skin; `free`: the run has begun in the air."""
    before, on_skin = readings(set_hz, cell_v, needles, protrusion_mm)
    most_ma = contact.most_free_ma(set_hz, cell_v)
    run = contact.Contact()
    if free:
        assert not any(run.window(seen_ma, most_ma) for seen_ma in before), f"contact in the air: {before}"
    return [run.window(seen_ma, most_ma) for seen_ma in on_skin]


def can_run(set_hz: int, needles: int, protrusion_mm: float) -> bool:
    """SR-24: the minimum rate grows with the root of the protrusion."""
    return set_hz >= minimum_rate_hz(needles) * (protrusion_mm / 1.5) ** 0.5


@pytest.mark.parametrize("cell_v", mostly_nightly(CELLS_V, min(CELLS_V), max(CELLS_V)))
@pytest.mark.parametrize(("needles", "protrusion_mm"), SEEN)
def test_contact_is_seen_once_the_run_has_been_free(
    needles: int, protrusion_mm: float, cell_v: float
) -> None:
    for set_hz in RATES_HZ:
        if can_run(set_hz, needles, protrusion_mm):
            before, on_skin = readings(set_hz, cell_v, needles, protrusion_mm)
            print(
                f"{needles} at {protrusion_mm} mm, {set_hz} Hz, {cell_v} V: {max(before)} mA free, {min(on_skin)} mA"
            )
            assert all(judged(set_hz, cell_v, needles, protrusion_mm)), f"{set_hz} Hz"


@pytest.mark.parametrize(("needles", "protrusion_mm"), UNSEEN)
def test_the_lightest_contact_is_taken_for_air(needles: int, protrusion_mm: float) -> None:
    """What cannot be told from air stops the run: documented in the module."""
    for set_hz in (100, 150):
        assert not any(judged(set_hz, 3.7, needles, protrusion_mm))


@pytest.mark.parametrize("cell_v", CELLS_V)
@pytest.mark.parametrize("needles", [12, 24, 36])
def test_a_run_that_begins_on_skin_at_1_5_mm_is_seen_too(needles: int, cell_v: float) -> None:
    for set_hz in RATES_HZ:
        if can_run(set_hz, needles, 1.5):
            assert all(judged(set_hz, cell_v, needles, 1.5, free=False)), f"{set_hz} Hz"


@pytest.mark.parametrize(
    ("set_hz", "cell_v"),
    mostly_nightly(
        [(hz, 3.7) for hz in EVERY_RATE_HZ] + [(hz, v) for hz in RATES_HZ for v in (3.5, 4.2)],
        *((hz, v) for hz in RATES_HZ for v in (3.5, 4.2)),
    ),
)
def test_a_free_motor_is_never_taken_for_contact(set_hz: int, cell_v: float) -> None:
    """20 s: longer than the limit of the requirement."""
    _, states = Loop(set_hz, cell_v).run(20_300)
    squares = np.array([s[control.CURRENT_MA] for s in states[300:]]) ** 2 >> 10
    run, most_ma = contact.Contact(), contact.most_free_ma(set_hz, cell_v)
    sums = squares.reshape(-1, contact.WINDOW_MS).sum(axis=1)
    assert not any(run.window(contact.root_ma(int(s), contact.WINDOW_MS), most_ma) for s in sums)


@pytest.mark.parametrize("part", [0.8, 1.0, 1.15])
def test_a_motor_with_more_or_less_friction_learns_its_own_level(part: float) -> None:
    run = contact.Contact()
    free_ma = round(250 * part)
    assert not run.window(free_ma, 290)
    assert [run.window(free_ma + extra, 1000) for extra in (10, 11, 9)] == [False, True, False]


def test_what_was_learned_at_one_rate_does_not_count_at_another() -> None:
    run = contact.Contact()
    run.window(200, 290)
    run.restart()
    assert not run.window(260, 290)


def test_contact_sets_the_time_back_and_a_new_run_does_too() -> None:
    run = contact.Contact()
    run.window(200, 290)
    run.without_ms = 14_000
    run.window(205, 290)
    assert run.without_ms == 14_000
    run.window(250, 290)
    assert run.without_ms == 0
    run.without_ms = 5
    run.start()
    assert (run.without_ms, run.free_ma) == (0, None)
