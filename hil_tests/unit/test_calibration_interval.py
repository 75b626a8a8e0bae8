"""Interval advice: never beyond SR-05, shorter where the as-found state or the drift says so."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, strategies as st
from support import calibrations as make

from needlepen.calibration.interval import MONTHS_MAX, MONTHS_MIN, Visit, advise, advise_visits, visit
from needlepen.calibration.model import Phase

START = date(2026, 1, 15)


def _visits(*found_and_left: tuple[float, float], days: int = 365) -> list[Visit]:
    days_of = [START + timedelta(days=days * place) for place in range(len(found_and_left))]
    due = timedelta(days=365)
    return [
        Visit(day, f, left, 89.0, day + due) for day, (f, left) in zip(days_of, found_and_left, strict=True)
    ]


def test_nothing_known_is_the_longest_interval() -> None:
    assert advise_visits([]).months == MONTHS_MAX == 12
    only = advise_visits(_visits((150.0, 20.0)))
    assert only.months == 12 and only.drift_um_month is None


def test_a_steady_pen_keeps_12_months() -> None:
    advice = advise_visits(_visits((40.0, 25.0), (30.0, 25.0), (28.0, 25.0)))
    assert advice.months == 12
    assert "longest" in advice.reason


def test_out_of_tolerance_and_guard_band_cut_the_interval() -> None:
    """A year that ended at 110 um: 55 % of 12 months by reaction; the drift of 85 um a year allows 9."""
    assert advise_visits(_visits((0.0, 25.0), (110.0, 25.0))).months == 6
    assert advise_visits(_visits((0.0, 85.0), (95.0, 25.0))).months == 9


@pytest.mark.parametrize(
    ("found_um", "days", "months"), [(110.0, 183, 3), (95.0, 183, 4), (110.0, 730, 6), (95.0, 730, 9)]
)
def test_what_is_cut_is_the_shorter_of_meant_and_lasted(found_um: float, days: int, months: int) -> None:
    """Meant were 12 months. Out after 6: 55 % of 6. Out after 24, which nobody meant: 55 % of 12."""
    assert advise_visits(_visits((0.0, 85.0), (found_um, 25.0), days=days)).months == months


def test_drift_is_extrapolated_to_the_guard_band() -> None:
    """48 um in a year are 4 um a month; 29 um are left of 89: 7 months."""
    advice = advise_visits(_visits((0.0, 10.0), (58.0, 60.0)))
    assert advice.drift_um_month == pytest.approx(4.0, rel=0.01)
    assert advice.months == 7
    assert "4.0 um a month" in advice.reason


def test_an_old_drift_is_not_forgotten() -> None:
    """The steepest of all intervals counts: 50 um in a year, and 29 um are left."""
    assert advise_visits(_visits((0.0, 20.0), (70.0, 60.0), (60.0, 60.0))).months == 7


def test_two_calibrations_in_a_week_tell_no_drift() -> None:
    assert advise_visits(_visits((0.0, 10.0), (40.0, 10.0), days=7)).drift_um_month is None


def test_order_does_not_matter() -> None:
    visits = _visits((0.0, 10.0), (58.0, 60.0), (70.0, 20.0))
    assert advise_visits(visits) == advise_visits(visits[::-1])


@given(st.lists(st.tuples(st.floats(0, 300), st.floats(0, 300)), max_size=6), st.integers(1, 900))
def test_never_beyond_what_the_pen_allows(found_and_left: list[tuple[float, float]], days: int) -> None:
    advice = advise_visits(_visits(*found_and_left, days=days))
    assert MONTHS_MIN <= advice.months <= MONTHS_MAX
    assert advice.reason


def test_what_counts_of_a_whole_calibration() -> None:
    """As left is what the verification found; a refused calibration leaves the pen as it was."""
    accepted, refused = make.calibration(1), make.calibration(2, bent_after_um=300.0)
    assert accepted.decision.accepted and not refused.decision.accepted
    for made in (accepted, refused):
        seen = visit(made)
        found = [abs(t.error_um) for t in made.taken if t.point.phase is Phase.AS_FOUND]
        fresh = [abs(t.error_um) for t in made.taken if t.point.phase is Phase.VERIFICATION]
        assert seen.as_found_um == max(found)
        assert seen.as_left_um == (max(fresh) if made is accepted else max(found))
        assert seen.accept_um == pytest.approx(100.0 - made.budget.expanded)
    assert advise([accepted]).months == MONTHS_MAX
