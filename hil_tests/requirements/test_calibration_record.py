"""SR-05: what a calibration record has to be before the pen runs with it. The firmware's own code, without a chip.

Each bit and byte of the record is changed in hil_tests/unit/test_records.py, and some on the emulated chip.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from support.flash import UNIQUE_ID, RecordedFlash, files, settle, store
from support.measuring import Measure

from needlepen import board, provision, requirements
from needlepen.firmware_modules import firmware_module
from needlepen.records import making
from needlepen.records.calibration import Calibration

S = firmware_module("pen.states")
records = firmware_module("pen.calibration_records")
reason_texts = firmware_module("pen.store.reason_texts")
LIMIT = requirements.load().limit
WARN_MONTHS, BLOCK_MONTHS = (int(LIMIT("SR-05", f"{name}_months")) for name in ("warn", "block"))
CHECK_DAYS = int(LIMIT("SR-05", "check_days"))
WARN_H, BLOCK_H = (int(LIMIT("SR-05", f"{name}_h")) for name in ("warn", "block"))
OTHER_ID = bytes.fromhex("e660000000000002")
DAYS = [date(2026, 1, 15), date(2027, 11, 30), date(2028, 2, 29), date(2026, 8, 31)]
DAY_S = 86_400


def _pen(day: date = DAYS[0], run_s: int = 0, used_s: int = 0) -> Any:
    """A pen calibrated on a day, after `run_s` of running, which has run for `used_s` since."""
    counters = firmware_module("pen.store.counters").Counters(run_s=run_s + used_s, hours_unknown=False)
    made = making.calibration([(0, 0), (2500, 2500)], day=day, run_s=run_s)
    image = provision.provisioned(
        bytes(RecordedFlash().buffer), board.load(), UNIQUE_ID, calibration=made, counters=counters
    )
    pen = store(RecordedFlash(image))
    settle(pen)
    return pen


def _verdict(pen: Any) -> str:
    """fine, warns or inhibits: what the calibration does to the pen."""
    if pen.blockers:
        assert pen.blockers == S.BLOCK_CALIBRATION_EXPIRED
        return "inhibits"
    return "warns" if pen.warnings & S.WARN_CALIBRATION_DUE else "fine"


def _on(pen: Any, day: date) -> str:
    assert pen.set_time(making.day_number(day) * DAY_S + 43_200) is None
    return _verdict(pen)


def _months_later(day: date, months: int) -> date:
    year, month = day.year + (day.month - 1 + months) // 12, (day.month - 1 + months) % 12 + 1
    last = (date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).day
    return date(year, month, min(day.day, last))


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_age_counts_from_the_day_of_calibration_where_the_date_is_known(day: date) -> None:
    pen = _pen(day)
    one = timedelta(days=1)
    due, over = _months_later(day, WARN_MONTHS), _months_later(day, BLOCK_MONTHS)
    seen = [(when, _on(pen, when)) for when in (day, due - one, due, due + one, over - one, over, over + one)]
    expected = ["fine", "fine", "fine", "warns", "warns", "warns", "inhibits"]
    assert [verdict for _, verdict in seen] == expected, seen


def test_without_a_date_age_does_not_count() -> None:
    assert _verdict(_pen(date(2001, 1, 1))) == "fine"


@pytest.mark.parametrize("run_s", [0, 1_000_000])
def test_running_hours_since_the_calibration_count_always(measure: Measure, run_s: int) -> None:
    verdicts = {}
    for hours in (0, WARN_H, BLOCK_H):
        for offset_s in (-1, 0, 1):
            used_s = 3600 * hours + offset_s
            verdicts[used_s] = "fine" if used_s < 0 else _verdict(_pen(run_s=run_s, used_s=used_s))
    first = {v: min(s for s in verdicts if verdicts[s] == v) / 3600 for v in ("warns", "inhibits")}
    measure("SR-05", "warn_h", first["warns"], "use at which the pen begins to warn", relation="==")
    measure("SR-05", "block_h", first["inhibits"], "use at which running is inhibited", relation="==")


def test_hours_are_counted_while_the_pen_is_used() -> None:
    """The warning comes with the run that reaches the limit, not at the next boot."""
    pen = _pen(used_s=3600 * WARN_H - 5)
    pen.count_run(400, 4_000)
    assert _verdict(pen) == "fine"
    pen.count_run(100, 1_000)
    assert _verdict(pen) == "warns"


def test_counters_that_went_back_inhibit_running() -> None:
    """Fewer hours than at the calibration: the counters are not those of this pen's life."""
    pen = _pen(run_s=3_600)
    pen.counters.run_s = 3_599
    pen._judge()
    assert _verdict(pen) == "inhibits"


@pytest.mark.parametrize("how", ["foreign pen", "other pen's key", "no key", "missing"])
def test_a_calibration_that_is_not_this_pens_inhibits_running(how: str) -> None:
    flash = RecordedFlash(
        provision.provisioned(
            bytes(RecordedFlash().buffer),
            board.load(),
            OTHER_ID if how == "foreign pen" else UNIQUE_ID,
            calibration=None if how == "missing" else "nominal",
        )
    )
    target = files(flash)
    if how == "other pen's key":
        made = provision.nominal_calibration()
        other = making.technician_key(making.development_keys(OTHER_ID).pen)
        forged = making.calibration_record(made, other, UNIQUE_ID)
        for copy in "ab":
            target.write(f"/data/calibration.{copy}", forged)
    elif how == "no key":
        for copy in "ab":
            target.remove(f"/data/keys.{copy}")
    pen = store(flash)
    wanted = S.BLOCK_CALIBRATION_MISSING if how == "missing" else S.BLOCK_CALIBRATION_REFUSED
    assert pen.calibration is None and pen.blockers & wanted
    text = reason_texts.text(pen.calibration_reason)
    assert text in {"belongs to another pen", "not signed with this pen's key", "the pen has no key to check it",
                    "not there"}  # fmt: skip


# ---------------------------------------------------------------------- withdrawn
def _record(made: Calibration) -> bytes:
    key = making.technician_key(making.development_keys(UNIQUE_ID).pen)
    return making.calibration_record(made, key, UNIQUE_ID)


def test_a_withdrawal_inhibits_running_until_a_calibration_is_accepted() -> None:
    flash = RecordedFlash(provision.provisioned(bytes(RecordedFlash().buffer), board.load(), UNIQUE_ID))
    pen = store(flash)
    settle(pen)
    assert records.accept(pen, _record(making.calibration([], day=DAYS[0], status="withdrawn"))) is None
    settle(pen)
    for seen in (pen, store(flash)):
        assert seen.calibration is None and seen.blockers == S.BLOCK_CALIBRATION_REFUSED
        assert reason_texts.text(seen.calibration_reason) == "withdrawn: the pen failed its calibration"
    sound = making.calibration([(0, 0), (2500, 2500)], day=DAYS[0])
    assert records.accept(pen, _record(sound)) is None
    settle(pen)
    assert [seen.blockers for seen in (pen, store(flash))] == [0, 0]


def test_a_withdrawal_without_the_pens_key_changes_nothing() -> None:
    pen = _pen()
    made = making.calibration([], day=DAYS[0], status="withdrawn")
    other = making.technician_key(making.development_keys(OTHER_ID).pen)
    for key in (other, making.development_keys(UNIQUE_ID).pen, bytes(32)):
        forged = making.calibration_record(made, key, UNIQUE_ID)
        assert records.accept(pen, forged) == "not signed with this pen's key"
    assert pen.blockers == 0


def test_a_withdrawal_does_not_make_up_for_lost_running_hours() -> None:
    """Lost hours stay lost until the pen is calibrated."""
    pen = _pen()
    pen.counters.hours_unknown = True
    assert records.accept(pen, _record(making.calibration([], day=DAYS[0], status="withdrawn"))) is None
    assert pen.counters.hours_unknown


# ---------------------------------------------------------------------- daily check
def _due(pen: Any, day: date) -> bool:
    _on(pen, day)
    return bool(pen.warnings & S.WARN_CHECK_DUE)


def test_a_check_that_is_too_old_warns_on_the_day_after_its_limit(measure: Measure) -> None:
    pen, day = _pen(), DAYS[0]
    assert records.note_check(pen, making.day_number(day), 40, 1) is None
    ages = [days for days in range(10) if not _due(pen, day + timedelta(days=days))]
    assert ages == list(range(len(ages)))
    measure("SR-05", "check_days", max(ages), "oldest check without a warning", relation="==")


def test_a_failed_check_warns_at_once_until_one_passes() -> None:
    pen, number = _pen(), making.day_number(DAYS[0])
    assert not _due(pen, DAYS[0]), "a pen that is never checked does not warn"
    assert records.note_check(pen, number, -140, 0) is None
    assert pen.warnings & S.WARN_CHECK_DUE and not pen.blockers
    assert records.note_check(pen, number, 20, 1) is None
    assert not pen.warnings & S.WARN_CHECK_DUE


def test_without_a_date_no_check_is_due() -> None:
    pen = _pen()
    assert records.note_check(pen, making.day_number(DAYS[0]), 140, 0) is None
    assert not pen.warnings & S.WARN_CHECK_DUE


def test_a_check_lives_through_switching_off_and_one_of_the_future_is_refused() -> None:
    flash = RecordedFlash(provision.provisioned(bytes(RecordedFlash().buffer), board.load(), UNIQUE_ID))
    pen, number = store(flash), making.day_number(DAYS[0])
    settle(pen)
    assert records.note_check(pen, number, -37, 1) is None
    settle(pen)
    again = store(flash)
    assert again.check == (number, -37, 1)
    assert not _due(again, DAYS[0]) and _due(store(flash), DAYS[0] + timedelta(days=CHECK_DAYS + 1))
    assert records.note_check(again, number + 1, 0, 1) is None, "a host in another time zone"
    assert records.note_check(again, number + 2, 0, 1) == "the day of the check lies ahead"
    assert again.check == (number + 1, 0, 1)
