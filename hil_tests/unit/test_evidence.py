"""Verdicts of measurements and of whole runs: unset is never a pass, and an incomplete run never passes."""

import json
import math
from datetime import date

import pytest

from needlepen.evidence import CutOff, Digital, Measurement, RunRecord, Series
from needlepen.evidence_report.verdicts import known_failure_expired


def measurement(value, limit=10.0, relation="<=", lower=None):
    return Measurement("drive removed", value, "ms", limit, relation, "SR-12", lower=lower)


@pytest.mark.parametrize(
    ("today", "expired"), [("2027-06-29", False), ("2027-06-30", True), ("2027-07-01", True)]
)
def test_a_known_failure_is_one_until_its_day_has_come(today, expired):
    said = known_failure_expired("the spring is weak (by 2027-06-30)", date.fromisoformat(today))
    assert bool(said) == expired


@pytest.mark.parametrize(
    ("relation", "lower", "value", "verdict"),
    [
        ("<=", None, 9.999, "pass"), ("<=", None, 10.0, "pass"), ("<=", None, 10.001, "fail"),
        (">=", None, 9.999, "fail"), (">=", None, 10.0, "pass"), (">=", None, 10.001, "pass"),
        ("==", None, 9.999, "fail"), ("==", None, 10.0, "pass"), ("==", None, 10.001, "fail"),
        ("in", 4.0, 3.999, "fail"), ("in", 4.0, 4.0, "pass"), ("in", 4.0, 10.0, "pass"),
        ("in", 4.0, 10.001, "fail"),
    ],
)  # fmt: skip
def test_verdict_turns_exactly_at_the_limit(relation, lower, value, verdict):
    made = measurement(value, relation=relation, lower=lower)
    assert made.verdict == verdict, f"{value} ms {relation} {lower} .. 10 ms"


@pytest.mark.parametrize("relation", ["<=", ">=", "=="])
@pytest.mark.parametrize("value", [None, math.nan])
def test_a_value_that_was_not_measured_is_unset_and_never_a_pass(relation, value):
    made = measurement(value, relation=relation)
    assert (made.verdict, made.margin, made.margin_fraction) == ("unset", None, None)


@pytest.mark.parametrize(("relation", "never"), [("<=", math.inf), (">=", -math.inf), ("==", math.inf)])
def test_what_never_happened_fails_and_still_is_valid_json(relation, never):
    made = measurement(never, relation=relation)
    assert made.verdict == "fail"
    read = json.loads(json.dumps(made.as_dict(), allow_nan=False))
    assert (read["value"], read["margin"], read["verdict"]) == (None, None, "fail")


@pytest.mark.parametrize(
    ("relation", "lower", "value", "margin", "fraction"),
    [
        ("<=", None, 8.0, 2.0, 0.2),
        (">=", None, 8.0, -2.0, -0.2),
        ("in", 4.0, 9.0, 1.0, 1 / 3),
        ("==", None, 8.0, -2.0, None),
    ],
)
def test_margin_is_the_distance_to_the_nearest_limit(relation, lower, value, margin, fraction):
    made = measurement(value, relation=relation, lower=lower)
    assert made.margin == pytest.approx(margin)
    assert made.margin_fraction == (None if fraction is None else pytest.approx(fraction))


def test_margin_against_a_limit_of_zero_has_no_fraction():
    made = Measurement("heap", 0.0, "B", 0.0, "<=", "PR-07")
    assert (made.verdict, made.margin, made.margin_fraction) == ("pass", 0.0, None)


@pytest.mark.parametrize(("value", "marginal"), [(8.9, False), (9.1, True), (10.0, True), (10.1, False)])
def test_a_pass_with_less_than_a_tenth_left_is_marginal(value, marginal):
    assert measurement(value).marginal is marginal


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ({"relation": "<"}, "relation"),
        ({"relation": "in"}, "lower bound"),
        ({"lower": 1.0}, "lower bound"),
        ({"relation": "in", "lower": 11.0}, "above the limit"),
        ({"limit": math.inf}, "can not fail"),
        ({"limit": math.nan}, "can not fail"),
    ],
)
def test_a_comparison_that_can_not_be_judged_is_refused(kind, match):
    with pytest.raises(ValueError, match=match):
        measurement(1.0, **kind)


@pytest.mark.parametrize(
    ("values", "complete", "verdict", "exit_code"),
    [
        ([1.0, 2.0], True, "pass", 0),
        ([1.0, 11.0], True, "fail", 1),
        ([1.0, None], True, "unset", 1),
        ([11.0, None], True, "fail", 1),
        ([], True, "unset", 1),
        ([1.0, 2.0], False, "unset", 2),
        ([], False, "unset", 2),
        ([1.0, 11.0], False, "fail", 1),
    ],
)
def test_run_verdict_and_exit_code(values, complete, verdict, exit_code):
    record = RunRecord("run", complete=complete, measurements=[measurement(value) for value in values])
    assert (record.verdict, record.exit_code) == (verdict, exit_code), f"values {values}, complete {complete}"


def cutoff(reaction_t_ns, unit="us", limit=50.0):
    return CutOff(
        name="overcurrent",
        requirement="SR-09",
        cause_t_ns=8_000_000_000,
        cause_text="2.5 A crossed",
        reaction_t_ns=reaction_t_ns,
        reaction_text="drive removed",
        limit=limit,
        unit=unit,
        window_s=(7.9999, 8.0002),
    )


@pytest.mark.parametrize(("unit", "value"), [("ns", 32.0), ("us", 0.032), ("ms", 32e-6), ("s", 32e-9)])
def test_a_reaction_time_keeps_its_nanoseconds_late_in_a_run(unit, value):
    assert cutoff(8_000_000_032, unit).value == pytest.approx(value, rel=1e-12)


def test_a_cut_off_without_reaction_fails():
    record = RunRecord("run", complete=True)
    made = record.add_cutoff(cutoff(None))
    assert made.verdict == "fail" and record.exit_code == 1
    assert record.measurements == [made] and len(record.cutoffs) == 1


@pytest.mark.parametrize(("reaction_ns", "verdict"), [(49_999, "pass"), (50_000, "pass"), (50_001, "fail")])
def test_a_cut_off_is_judged_at_its_limit(reaction_ns, verdict):
    made = cutoff(8_000_000_000 + reaction_ns).as_measurement()
    assert made.verdict == verdict, f"{made.value} us, limit {made.limit} us"


@pytest.mark.parametrize(("unit", "limit"), [("strokes", 4.0), ("us", 0.0), ("us", -1.0)])
def test_a_cut_off_that_can_not_be_judged_is_refused(unit, limit):
    with pytest.raises(ValueError, match=r"reaction time|can not be kept"):
        cutoff(8_000_000_032, unit, limit)


def test_digital_steps_hold_the_level_at_both_borders_of_a_window():
    line = Digital([0, 100, 200, 300], [1, 0, 1, 0])
    times, levels = line.steps(150, 250)
    assert (list(times), list(levels)) == ([150, 200, 250], [0, 1, 1])
    times, levels = line.steps(-50, 100)
    assert (list(times), list(levels)) == ([0, 100, 100], [1, 0, 0])
    times, levels = line.steps(400, 500)
    assert (list(times), list(levels)) == ([400, 500], [0, 0])
    assert len(Digital([], []).steps(0, 10)[0]) == 0


def test_a_series_window_reaches_both_borders():
    series = Series([0.0, 1.0, 2.0, 3.0, 4.0], [0, 1, 2, 3, 4], "A").window(1.5, 2.5)
    assert list(series.t_s) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("kind", [lambda: Series([0.0], [], "A"), lambda: Digital([1], [])])
def test_recordings_with_unequal_lengths_are_refused(kind):
    with pytest.raises(ValueError, match="do not fit"):
        kind()
