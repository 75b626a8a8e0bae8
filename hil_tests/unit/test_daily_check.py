"""The daily check: three depths against 0.10 mm, what it warns of before a pen goes out, its chart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.calibrating import ROOM, BenchPen, gauge_of

from needlepen.calibration import automatic, check_chart, trend
from needlepen.calibration.checking import Checking
from needlepen.calibration.model import DailyCheck, Phase, Reading
from needlepen.calibration.plan import CHECK_UM
from needlepen.errors import InfrastructureError, Refused, UsageError

U_UM = 8.0
NUMBER = "NP-260115-7F3K2Q"


def _run(pen: BenchPen, **gauge: Any) -> tuple[DailyCheck, list[DailyCheck]]:
    kept: list[DailyCheck] = []
    pen.moves_in_service_only = False
    checking = Checking.begin(pen, gauge_of(pen, **gauge), "O. Perator", ROOM, NUMBER)
    while checking.stage.point is not None:
        automatic.take_point(checking)
    return checking.finish(kept.append), kept


def test_a_calibrated_pen_passes_and_the_pen_is_told() -> None:
    pen = BenchPen(8)
    check, kept = _run(pen)
    assert check.decision.accepted and kept == [check] and check.calibration == NUMBER
    assert [t.point.set_um for t in check.taken] == list(CHECK_UM) == [500, 1000, 1500]
    assert pen.checks == [(check.at.date(), round(check.worst_error_um), True)] and pen.set_um == 0
    assert abs(check.worst_error_um) < 40 and any(f.rule == "zero" for f in check.findings)


def test_a_pen_that_is_out_fails_and_the_pen_is_told() -> None:
    pen = BenchPen(8, worn={"tip_offset_um": 140.0, "tip_offset_um_spread": 0.0})
    check, _ = _run(pen)
    failed = [c for c in check.decision.checks if not c.passed]
    assert not check.decision.accepted and all("Do not treat" in c.reason for c in failed)
    assert pen.checks[0][1] > 100 and pen.checks[0][2] is False


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"blockers": ()}, "not checked: the cartridge"), ({"nose_c": 30.0}, "nose is at 30.0 C"),
        ({"record": b""}, "calibration is none"), ({"cap_um": 1000}, "allows 1.00 mm now"),
        ({"service": True}, "open for service"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_is_refused(change: dict[str, Any], said: str) -> None:
    pen = BenchPen(8)
    for name, value in change.items():
        setattr(pen, name, value)
    with pytest.raises(Refused, match=said):
        _run(pen)
    assert not pen.checks


def test_a_doubtful_reading_waits_and_a_stopped_one_cannot_be_kept() -> None:
    pen = BenchPen(8)
    pen.moves_in_service_only = False
    checking = Checking.begin(pen, gauge_of(pen), "O. Perator", ROOM)
    checking.prepare()
    checking.take(Reading(raw="0.2", value_mm=0.2))
    for action in (checking.keep, checking.next):
        with pytest.raises(UsageError):
            action()
    checking.repeat()
    automatic.take_point(checking)
    assert checking.stage.point is not None and checking.stage.point.phase is not Phase.ZERO
    checking.prepare()
    pen.set_um += 50
    with pytest.raises(InfrastructureError, match="depth was changed"):
        checking.take(Reading(raw="0.5", value_mm=0.5))
    with pytest.raises(UsageError, match="readings are missing"):
        checking.finish(lambda check: None)


# ---------------------------------------------------------------------- trend
def _day(check: DailyCheck, day: int, errors_um: tuple[float, float, float]) -> DailyCheck:
    """The same check on another day, with other errors."""
    taken = [
        t.model_copy(update={"reading": Reading(raw="", value_mm=(t.point.set_um + e) / 1e3)})
        for t, e in zip(check.taken, errors_um, strict=True)
    ]
    at = datetime(2026, 3, 1, 8, tzinfo=UTC) + timedelta(days=day)
    return check.model_copy(update={"taken": taken, "at": at})


@pytest.fixture(scope="module")
def check() -> DailyCheck:
    return _run(BenchPen(8))[0]


def test_a_trend_that_leaves_the_tolerance_soon_warns_and_says_when(check: DailyCheck) -> None:
    days = [_day(check, day, (5.0 * day, -2.0, 3.0 + (day % 2))) for day in range(10)]
    found = trend.trends(days)
    assert [round(t.slope_um_day, 6) for t in found] == [5.0, 0.0, 0.0]
    assert found[0].days_left == pytest.approx(11.0)
    [said] = trend.warnings(days[-1], days, U_UM)
    assert "At 0.50 mm the error goes by +5.0 um a day and would be out in 11 days" in said
    assert not trend.warnings(days[3], days[:3], U_UM), "three checks are no trend"
    far = [_day(check, day, (2.0 * day, 0.0, 0.0)) for day in range(10)]
    assert not trend.warnings(far[-1], far, U_UM), "41 days are far enough"
    inward = [_day(check, day, (0.0, -8.0 * day, 0.0)) for day in range(8)]
    assert "-8.0 um a day" in trend.warnings(inward[-1], inward, U_UM)[0]
    assert trend.trends(inward)[1].days_left == pytest.approx(5.5)  # from -56 to -100 um
    slowly = [_day(check, day, (0.0, -2.0 * day, 0.0)) for day in range(10)]
    assert not trend.warnings(slowly[-1], slowly, U_UM), "inward 41 days are far enough too"


def test_scatter_is_no_trend(check: DailyCheck) -> None:
    noise = (0, 9, -8, 7, -9, 8, -7, 9, -8, 7)
    days = [_day(check, day, (40.0 + e, -e, e)) for day, e in enumerate(noise)]
    assert [t.slope_um_day for t in trend.trends(days)] == [0.0, 0.0, 0.0]
    assert not trend.warnings(days[-1], days, U_UM)


@pytest.mark.parametrize(
    ("error_um", "said"),
    [(70.0, None), (71.0, "over 70% of the tolerance"), (92.5, "may be out already"), (-93.0, "may be out"),
     (100.5, None)],
)  # fmt: skip
def test_an_error_near_the_limit_warns(error_um: float, said: str | None, check: DailyCheck) -> None:
    one = _day(check, 0, (0.0, error_um, 0.0))
    found = trend.warnings(one, [one], U_UM)
    assert (said is None and not found) or (said is not None and said in found[0]), found


def test_checks_of_an_earlier_calibration_do_not_count(check: DailyCheck) -> None:
    old = check.model_copy(update={"calibration": "NP-250115-000000"})
    assert trend.of_calibration([old, check], NUMBER) == [check]


# ---------------------------------------------------------------------- chart
def test_the_chart_is_drawn_as_page_and_as_picture(check: DailyCheck, tmp_path: Path) -> None:
    days = [_day(check, day, (3.0 * day, -2.0, 1.0)) for day in range(6)]
    for name, begins in (("a.html", b"<!doctype html"), ("a.png", b"\x89PNG"), ("a.svg", b"<?xml")):
        check_chart.write(tmp_path / name, days, U_UM)
        content = (tmp_path / name).read_bytes()
        assert content.startswith(begins) and len(content) > 5_000
    page = (tmp_path / "a.html").read_text()
    assert "guard band" in page and "0.50 mm" in page and "0.092" in page
    for wrong in ("a.txt", "a"):
        with pytest.raises(UsageError, match=r"\.html, \.png, \.svg"):
            check_chart.write(tmp_path / wrong, days, U_UM)
    with pytest.raises(UsageError, match="no checks"):
        check_chart.write(tmp_path / "b.html", [], U_UM)


def test_bars_show_the_error_on_the_scale_of_the_tolerance() -> None:
    assert check_chart.sparkline([-100, -500, 100, 400, 0]) == "▁▁██▅"
