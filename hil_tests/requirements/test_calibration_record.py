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

S = firmware_module("pen.states")
LIMIT = requirements.load().limit
WARN_MONTHS, BLOCK_MONTHS = (int(LIMIT("SR-05", f"{name}_months")) for name in ("warn", "block"))
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
        forged = making.calibration_record(made, making.development_keys(OTHER_ID), UNIQUE_ID)
        for copy in "ab":
            target.write(f"/data/calibration.{copy}", forged)
    elif how == "no key":
        for copy in "ab":
            target.remove(f"/data/keys.{copy}")
    pen = store(flash)
    wanted = S.BLOCK_CALIBRATION_MISSING if how == "missing" else S.BLOCK_CALIBRATION_REFUSED
    assert pen.calibration is None and pen.blockers & wanted
    text = firmware_module("pen.store.reason_texts").text(pen.calibration_reason)
    assert text in {"belongs to another pen", "not signed with this pen's key", "the pen has no key to check it",
                    "not there"}  # fmt: skip
