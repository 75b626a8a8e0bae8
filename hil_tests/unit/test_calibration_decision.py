"""The decision: each criterion at its limit, the guard band, and that nothing missing is taken for good."""

from __future__ import annotations

import pytest

from needlepen.calibration import decision
from needlepen.calibration.decision import decide, drift_um, rule, within_as_found
from needlepen.calibration.fit import fit
from needlepen.calibration.model import FitResult, GaugeIdentity, Phase, Point, Reading, Taken
from needlepen.calibration.uncertainty import depth_budget
from needlepen.errors import Refused

BUDGET = depth_budget(GaugeIdentity(kind="manual"))
VERIFIED = (300, 800, 1300, 1800, 2300)
TRAVELS = range(0, 2501, 250)
GOOD = fit([(t, t) for t in TRAVELS for _ in range(10)], [(t, t) for t in range(150, 2500, 300)])


def taken(set_um: int, error_um: float = 0.0, phase: Phase = Phase.VERIFICATION) -> Taken:
    return Taken(
        point=Point(phase=phase, number=0, set_um=set_um),
        reading=Reading(raw="", value_mm=(set_um + error_um) / 1e3),
        travel_um=set_um,
        hall_um=set_um,
        nose_c=23.0,
        cell_v=3.9,
    )


def verified(worst_um: float = 0.0) -> list[Taken]:
    return [taken(um, worst_um if (um, run) == (1300, 1) else 0.0) for run in range(3) for um in VERIFIED]


AS_FOUND = [taken(um, phase=Phase.AS_FOUND) for um in (0, 150, 450, 750, 1050, 1350, 1650, 1950, 2250, 2500)]


def failed(
    made: FitResult = GOOD, verification: list[Taken] | None = None, drift: float = 0.0, **other: object
) -> list[str]:
    options = {"budget": BUDGET, "as_found": AS_FOUND} | other
    fresh = verified() if verification is None else verification
    found = decide(made, options["budget"], fresh, drift, as_found=options["as_found"])  # type: ignore[arg-type]
    for check in found.checks:
        assert check.passed == (not check.reason), "a reason where it failed, and only there"
        assert (
            check.value <= check.limit if check.relation == "<=" else check.value >= check.limit
        ) == check.passed
    assert found.accepted == all(check.passed for check in found.checks)
    return [check.name for check in found.checks if not check.passed]


def test_good_pen_is_accepted() -> None:
    assert failed() == []


def test_guard_band_is_0_089_mm() -> None:
    assert f"{decision.accept_um(BUDGET) / 1e3:.3f}" == "0.089"
    for sign in (-1, 1):
        assert failed(verification=verified(sign * 88.9)) == []
        assert failed(verification=verified(sign * 89.0)) == ["largest error of the verification"]


@pytest.mark.parametrize(
    ("field", "limit", "name"),
    [
        ("residual_um", 30.0, "fit residual"),
        ("repeatability_um", 30.0, "repeatability (2 s)"),
        ("reversal_um", 50.0, "reversal"),
    ],
)  # fmt: skip
def test_limits_of_the_mechanics(field: str, limit: float, name: str) -> None:
    assert failed(GOOD.model_copy(update={field: limit})) == []
    assert failed(GOOD.model_copy(update={field: limit + 0.1})) == [name]


def test_drift() -> None:
    assert failed(drift=-50.0) == []
    assert failed(drift=-50.1) == ["drift"]
    before = [taken(um, 10.0, Phase.CALIBRATION) for um in TRAVELS]
    assert drift_um([*before, taken(1250, -15.0, Phase.DRIFT)]) == pytest.approx(-25.0)
    with pytest.raises(Refused, match="drift"):
        drift_um(before)


def test_error_foreseen_at_home() -> None:
    """A home switch 0.089 mm off is the last that is accepted: 0.00 mm is home itself, and no curve mends it."""
    inside = fit([(t, t + 88) for t in TRAVELS])
    outside = fit([(t, t + 90) for t in TRAVELS])
    assert "largest error foreseen at any setting" not in failed(inside)
    assert "largest error foreseen at any setting" in failed(outside)
    reason = next(
        c.reason for c in decide(outside, BUDGET, verified(), 0.0, as_found=AS_FOUND).checks if c.reason
    )
    assert "home switch" in reason


def test_a_drift_counts_at_home_where_nothing_is_verified() -> None:
    """Home 60 um off, and 30 um more since the runs: 0.00 mm is out, though each is within its limit."""
    for sign in (-1, 1):
        off = fit([(t, t + sign * 60) for t in TRAVELS])
        assert failed(off) == failed(off, drift=-sign * 30.0) == []
        assert failed(off, drift=sign * 28.0) == []
        assert failed(off, drift=sign * 30.0) == ["largest error foreseen at any setting"]


def test_error_between_the_points() -> None:
    """75 um beside what rounding leaves is 89 at most; 80 um is more."""
    assert failed(GOOD.model_copy(update={"leftover_um": 75.0})) == []
    assert failed(GOOD.model_copy(update={"leftover_um": 90.0})) == ["largest error between the points"]
    coarse = GOOD.model_copy(update={"fine_errors_um": [], "between": [(125, -90.0)]})
    assert failed(coarse) == ["largest error between the points"]


def test_coarse_gauge() -> None:
    coarse = depth_budget(GaugeIdentity(kind="manual", error_um=15.0, repeatability_um=9.0))
    assert failed(budget=coarse) == ["test uncertainty ratio"]


def test_missing_readings_are_not_good_ones() -> None:
    assert failed(verification=[]) == ["verification readings"]
    assert failed(verification=verified()[:-1]) == ["verification readings"]
    assert failed(as_found=AS_FOUND[:5]) == ["as-found readings"]


def test_curve_that_no_pen_takes() -> None:
    impossible = GOOD.model_copy(update={"points_um": [(0, 0), (1000, 400), (2500, 1900)]})
    assert "record refused by the pen" in failed(impossible)
    wrong_hall = GOOD.model_copy(update={"hall_uv_per_mm": 2_000_000})
    assert failed(wrong_hall) == ["record refused by the pen"]


def test_as_found() -> None:
    assert within_as_found([taken(150, -80.0), taken(450, 20.0)], BUDGET).accepted
    verdict = within_as_found([taken(150, -95.0), taken(450, 20.0)], BUDGET)
    assert not verdict.accepted
    assert "0.055 mm at 0.15 mm" in verdict.checks[0].reason
    with pytest.raises(Refused, match="as-found"):
        within_as_found([], BUDGET)


def test_rule_in_words() -> None:
    said = rule(BUDGET)
    for part in ("guard band", "ILAC-G8", "±0.10 mm", "U = 0.011 mm", "k = 2", "±0.089 mm"):
        assert part in said, said


def test_wide_scatter_widens_the_guard_band() -> None:
    scattering = depth_budget(GaugeIdentity(kind="manual"), 12.0, readings=88)
    assert failed(verification=verified(80.0)) == []
    assert failed(verification=verified(80.0), budget=scattering) == ["largest error of the verification"]
