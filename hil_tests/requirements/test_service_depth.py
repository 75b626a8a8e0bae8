"""SR-01 and SR-05 in service: the whole range is measured there, by a calibration on trial too, and nothing starts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from support import access
from support.bench import LIMIT, MS, Pens, never_driven, start
from support.flash import pen_log
from support.forks import each_in_fork, in_fork
from support.monitoring import fault, state, status
from support.nights import mostly_nightly

from needlepen.access import Role
from needlepen.cartridges.emulated import emulated_cartridge
from needlepen.emulator.factory import factory_calibration
from needlepen.emulator.factory_image import unique_id
from needlepen.emulator.parameters import PenParameters
from needlepen.emulator.pen import EmulatedPen
from needlepen.errors import Refused
from needlepen.link.client import messages
from needlepen.link.operations import Operations
from needlepen.link.values import About
from needlepen.records import making
from needlepen.records.calibration import Calibration

S = 1e9
DEEPEST_UM = round(1e3 * float(LIMIT("PR-05", "depth_max_mm")))
STEP_UM = round(1e3 * float(LIMIT("PR-05", "depth_step_mm")))
PROFILE_UM = round(1e3 * float(LIMIT("SR-01", "default_cap_mm")))
OFF_UM = 300
"""By so much the calibration on trial is wrong on purpose, so that it shows where the needles are."""
FACTORY = factory_calibration(PenParameters(), 0)
KEY = making.technician_key(making.development_keys(unique_id(0)).pen)


def _seat(pen: EmulatedPen, needles: int, depth_limit_um: int | None = None) -> None:
    pen.unseat_cartridge()
    pen.run_for(600 * MS)
    pen.seat_cartridge(emulated_cartridge(needles, 77, depth_limit_um=depth_limit_um))
    pen.run_for(1 * S)


def _open(pen: EmulatedPen) -> None:
    pen.command(messages.OPEN_SERVICE)
    pen.wait_state("service")
    assert pen.run_until(lambda: status(pen).service, 2 * S, 1 * MS)


def _rest(pen: EmulatedPen) -> None:
    """Until the axis stands and the pen knows it."""
    pen.run_for(100 * MS)
    assert pen.run_until(
        lambda: not pen.axis.moving and "depth_moving" not in status(pen).blockers, 5 * S, 1 * MS
    )
    pen.run_for(60 * MS)


def _to(pen: EmulatedPen, um: int) -> float:
    """Set a depth; where the needles are then, in um."""
    pen.command(messages.SET_DEPTH, um)
    _rest(pen)
    return 1e3 * float(pen.axis.protrusion_mm)


def _pressed(pen: EmulatedPen) -> tuple[str, bool]:
    """State after a press, and whether the motor was left alone."""
    before_ns = float(pen.now_ns)
    pen.press()
    pen.run_for(500 * MS)
    seen = state(pen), never_driven(pen, before_ns)
    pen.release()
    pen.run_for(500 * MS)
    return seen


def _record(made: Calibration, key: bytes = KEY, pen_id: bytes | None = None) -> bytes:
    return making.calibration_record(made, key, unique_id(0) if pen_id is None else pen_id)


# What the pen gives is OFF_UM more than this says, so that it takes the needles out by so much less.
TRIAL = dataclasses.replace(
    FACTORY, points=tuple((travel, true + OFF_UM) for travel, true in FACTORY.points if true < 2_250)
)
WITHDRAWN = making.calibration([], day=date(2026, 2, 1), status="withdrawn", certificate="NP-260201-7F3K2Q")


# ---------------------------------------------------------------------- the range in service
def test_in_service_the_profile_limit_does_not_count_and_the_others_do(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> dict[str, Any]:
        _seat(pen, 12)  # whose own limit is no smaller than the pen's
        seen: dict[str, Any] = {"before": pen.request(messages.SET_DEPTH, PROFILE_UM + STEP_UM).refused}
        _open(pen)
        seen["cap_mm"] = status(pen).depth_cap_mm
        seen["deepest_um"] = _to(pen, DEEPEST_UM)
        seen["pen"] = pen.request(messages.SET_DEPTH, DEEPEST_UM + STEP_UM).refused
        _to(pen, 0)
        _seat(pen, 24, 1_000)
        seen["cartridge"] = pen.request(messages.SET_DEPTH, 1_000 + STEP_UM).refused
        return seen

    seen = in_fork(run, pens.ready())
    assert (
        seen["before"] == "1.55 mm is above the profile limit 1.50 mm" and seen["cap_mm"] == DEEPEST_UM / 1e3
    )
    assert seen["deepest_um"] == pytest.approx(DEEPEST_UM, abs=1e3 * float(LIMIT("PR-06", "error_mm")))
    assert seen["pen"] == "2.55 mm is above the pen limit 2.50 mm"
    assert seen["cartridge"] == "1.05 mm is above the cartridge limit 1.00 mm"


def test_in_service_nothing_starts_above_the_profile_limit(pens: Pens) -> None:
    def run(pen: EmulatedPen, um: int) -> tuple[tuple[str, bool], tuple[str, ...]]:
        _open(pen)
        _to(pen, um)
        return _pressed(pen), status(pen).blockers

    pressed, blockers = in_fork(run, pens.ready(), PROFILE_UM + STEP_UM)
    assert pressed == ("service", True) and "bench_setting" in blockers
    pressed, blockers = in_fork(run, pens.ready(), PROFILE_UM)
    assert pressed == ("running", False), "a test of the test"
    assert "bench_setting" not in blockers


def _close(pen: EmulatedPen) -> None:
    pen.command(messages.CLOSE_SERVICE)
    assert pen.run_until(lambda: pen.telemetry is None, 1 * S)
    pen.power_up()


def _fail(pen: EmulatedPen) -> None:
    """A fault in service and its acknowledgement: from then on the pen is armed again, though the access stays open."""
    _to(pen, 0)
    start(pen, 100)
    pen.electronics.jam(pen.now_ns, True)
    pen.wait_state("safe")
    pen.electronics.jam(pen.now_ns, False)
    pen.release()
    pen.run_for(11 * S)
    pen.command(messages.ACKNOWLEDGE)
    pen.wait_state("armed")
    pen.run_for(600 * MS)


@pytest.mark.parametrize("leave", mostly_nightly([_close, _fail], _fail), ids=["closed", "fault"])
def test_outside_of_service_the_profile_limit_counts_as_before(
    pens: Pens, leave: Callable[[EmulatedPen], None]
) -> None:
    def run(pen: EmulatedPen) -> tuple[float, str | None, float]:
        _seat(pen, 12)
        _open(pen)
        _to(pen, DEEPEST_UM)
        leave(pen)
        protrusion_mm = float(pen.axis.protrusion_mm)
        return (
            protrusion_mm,
            pen.request(messages.SET_DEPTH, PROFILE_UM + STEP_UM).refused,
            status(pen).depth_cap_mm,
        )

    protrusion_mm, refused, cap_mm = in_fork(run, pens.ready())
    assert abs(protrusion_mm) < float(LIMIT("PR-06", "error_mm")) and cap_mm == PROFILE_UM / 1e3
    assert refused == "1.55 mm is above the profile limit 1.50 mm"


# ---------------------------------------------------------------------- a calibration on trial
def _trial(pen: EmulatedPen, made: Calibration = TRIAL) -> None:
    _open(pen)
    _try(pen, _record(made))
    _rest(pen)


def _try(pen: EmulatedPen, record: bytes) -> None:
    Operations.try_calibration(pen, record)  # type: ignore[arg-type]


def _put(pen: EmulatedPen, record: bytes) -> None:
    Operations.put_calibration(pen, record)  # type: ignore[arg-type]


def _stored(pen: EmulatedPen) -> bytes | None:
    return Operations.read_calibration(pen)  # type: ignore[arg-type]


def _settled_log(pen: EmulatedPen) -> list[str]:
    pen.run_for(3 * S)
    return [event.name for event in pen_log(pen)]


def test_a_calibration_on_trial_is_used_at_once_and_stored_nowhere(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> dict[str, Any]:
        _open(pen)
        seen: dict[str, Any] = {"old_um": _to(pen, 1_000), "old": _stored(pen)}
        pen.command(messages.SET_DEPTH, 0)
        _rest(pen)
        _try(pen, _record(TRIAL))
        _rest(pen)
        seen["home_um"] = 1e3 * float(pen.axis.protrusion_mm)
        seen["new_um"] = _to(pen, 1_000)
        _to(pen, 0)
        seen["stored"] = _stored(pen)
        seen["pressed"], seen["blockers"] = _pressed(pen), status(pen).blockers
        seen["log"] = _settled_log(pen)
        return seen

    seen = in_fork(run, pens.ready())
    tolerance_um = 1e3 * float(LIMIT("PR-06", "error_mm"))
    assert seen["old_um"] == pytest.approx(1_000, abs=tolerance_um) and abs(seen["home_um"]) < tolerance_um
    assert seen["new_um"] == pytest.approx(1_000 - OFF_UM, abs=tolerance_um)
    assert seen["stored"] == seen["old"] == _record(FACTORY)
    assert seen["pressed"] == ("service", True) and "bench_setting" in seen["blockers"]
    assert "CALIBRATION_TRIED" in seen["log"] and "CALIBRATION_CHANGED" not in seen["log"]


def _cut(pen: EmulatedPen) -> None:
    pen.cut_power()
    pen.run_for(300 * MS)
    pen.restore_power()
    pen.power_up()


def _reset(pen: EmulatedPen) -> None:
    pen.chip.reset("run_pin")
    pen.power_up()


def _acknowledge(pen: EmulatedPen) -> None:
    """Acknowledged after a fault that comes at rest: the motor cannot start with a trial."""
    pen.axis.turn(pen.now_ns, -300.0)
    pen.wait_state("safe")
    pen.run_for(2 * S)
    pen.command(messages.ACKNOWLEDGE)
    pen.wait_state("armed")


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(_close, id="close", marks=pytest.mark.nightly),
        pytest.param(_cut, id="cut"),
        pytest.param(_reset, id="reset", marks=pytest.mark.nightly),
        pytest.param(_acknowledge, id="acknowledged"),
    ],
)
def test_whatever_ends_the_service_ends_the_trial(pens: Pens, end: Callable[[EmulatedPen], None]) -> None:
    def run(pen: EmulatedPen) -> tuple[bytes | None, float, tuple[str, bool]]:
        _trial(pen)
        _to(pen, 1_000)
        end(pen)
        pen.run_for(2 * S)
        stored = _stored(pen)
        return stored, _to(pen, 1_000), _pressed(pen)

    stored, um, pressed = in_fork(run, pens.ready())
    assert stored == _record(FACTORY) and pressed == ("running", False)
    assert um == pytest.approx(1_000, abs=1e3 * float(LIMIT("PR-06", "error_mm")))


def _untried() -> dict[str, tuple[bytes, str]]:
    """Records, and why none of them is tried."""
    good, other = _record(TRIAL), making.technician_key(making.development_keys(unique_id(1)).pen)
    damaged = bytearray(good)
    damaged[60] ^= 0x10
    return {
        "of another pen": (_record(TRIAL, other, unique_id(1)), "belongs to another pen"),
        "not signed": (_record(TRIAL, other), "not signed with this pen's key"),
        "signed with the pen's own key": (
            _record(TRIAL, making.development_keys(unique_id(0)).pen), "not signed with this pen's key",
        ),
        "damaged": (bytes(damaged), "damaged: checksum wrong"),
        "cut short": (good[:-1], "cut short"),
        "a withdrawal": (_record(WITHDRAWN), "withdrawn: the pen failed its calibration"),
    }  # fmt: skip


def test_what_is_no_calibration_of_this_pen_is_not_tried_and_says_why(pens: Pens) -> None:
    cases = _untried()

    def attempt(pen: EmulatedPen, name: str) -> tuple[str, float]:
        with pytest.raises(Refused) as refused:
            _try(pen, cases[name][0])
        return str(refused.value), _to(pen, 1_000)

    def run(pen: EmulatedPen) -> list[tuple[str, float]]:
        _open(pen)
        return each_in_fork(pen, attempt, list(cases))

    for name, (refused, um) in zip(cases, in_fork(run, pens.ready()), strict=True):
        assert cases[name][1] in refused, name
        assert um == pytest.approx(1_000, abs=1e3 * float(LIMIT("PR-06", "error_mm"))), name


def test_outside_of_service_nothing_is_tried(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> str | None:
        return pen.request(messages.TRY_CALIBRATION, len(_record(TRIAL))).refused

    assert in_fork(run, pens.ready()) == "send the record in service first"


# ---------------------------------------------------------------------- withdrawal, reading back
def test_a_withdrawn_pen_says_so_and_does_not_run_until_it_is_calibrated(pens: Pens) -> None:
    def look(pen: EmulatedPen) -> tuple[str, str, bool, tuple[str, bool]]:
        about = About.of(pen.command(messages.GET_ABOUT))
        blocked = "calibration_refused" in status(pen).blockers
        return about.calibration, about.calibration_reason, blocked, _pressed(pen)

    def put(pen: EmulatedPen, made: Calibration) -> None:
        _open(pen)
        _put(pen, _record(made))
        _rest(pen)

    def run(pen: EmulatedPen) -> dict[str, Any]:
        put(pen, WITHDRAWN)
        seen: dict[str, Any] = {"service": look(pen), "stored": _stored(pen)}
        pen.command(messages.CLOSE_SERVICE)
        assert pen.run_until(lambda: pen.telemetry is None, 1 * S)
        pen.connect()
        pen.wait_state("idle")
        pen.run_for(2 * S)
        seen["idle"], seen["read"] = look(pen), _stored(pen)
        put(pen, FACTORY)
        _close(pen)
        pen.run_for(1 * S)
        seen["again"] = look(pen)
        seen["log"] = _settled_log(pen)
        return seen

    seen = in_fork(run, pens.ready())
    reason = "withdrawn: the pen failed its calibration"
    assert seen["service"] == ("refused", reason, True, ("service", True))
    assert seen["idle"] == ("refused", reason, True, ("idle", True))
    assert seen["stored"] == seen["read"] == _record(WITHDRAWN)
    assert seen["again"] == ("valid", "", False, ("running", False))
    assert "CALIBRATION_WITHDRAWN" in seen["log"] and "CALIBRATION_CHANGED" in seen["log"]


def test_a_record_reads_back_as_it_was_put(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[bytes | None, bytes | None]:
        factory = _stored(pen)
        _open(pen)
        _put(pen, _record(whole_record))
        _rest(pen)
        return factory, _stored(pen)

    whole_record = dataclasses.replace(
        FACTORY,
        firmware=b"f00df00d",
        as_found=FACTORY.points[1:],
        gauge="ID-C112 1234",
        operator="A. B.",
        certificate="NP-260115-7F3K2Q",
    )
    factory, whole = in_fork(run, pens.ready())
    assert factory == _record(FACTORY) and whole == _record(whole_record)
    assert making.read_calibration(whole, KEY, unique_id(0)) == whole_record


def test_a_technicians_key_alone_makes_a_record_for_a_production_pen(pens: Pens) -> None:
    """Nothing of the pen's own key is needed, and the engineer's signs nothing."""

    def run(pen: EmulatedPen) -> tuple[str, bytes | None]:
        access.take(pen, Role.TECHNICIAN)
        _open(pen)
        with pytest.raises(Refused) as refused:
            _put(pen, _record(FACTORY, access.key_of(Role.ENGINEER).reveal()))
        _put(pen, made)
        _rest(pen)
        return str(refused.value), _stored(pen)

    made = _record(FACTORY, access.key_of(Role.TECHNICIAN).reveal())
    refused, stored = in_fork(run, access.ready(pens))
    assert "not signed with this pen's key" in refused and stored == made


def test_a_pen_without_a_record_says_so(pens: Pens) -> None:
    def run() -> bytes | None:
        pen = pens.new(calibration=None)
        pen.connect()
        pen.wait_state("idle")
        pen.run_for(2 * S)
        return _stored(pen)

    assert in_fork(run) is None


# ---------------------------------------------------------------------- daily check
def _date(pen: EmulatedPen, day: date) -> None:
    pen.command(messages.SET_TIME, 86_400 * making.day_number(day) + 43_200)
    pen.run_for(1_200 * MS)


def test_a_daily_check_is_kept_and_shown_when_the_next_is_due(pens: Pens) -> None:
    day = date(2026, 2, 2)

    def run(pen: EmulatedPen) -> dict[str, Any]:
        _date(pen, day)
        seen: dict[str, Any] = {"never": status(pen).warnings}
        Operations.note_check(pen, day, -42, True)  # type: ignore[arg-type]
        _cut(pen)
        for days in (0, 1, 2):
            _date(pen, day.replace(day=day.day + days))
            seen[f"after {days}"] = status(pen).warnings
        Operations.note_check(pen, day.replace(day=4), 20, True)  # type: ignore[arg-type]
        pen.run_for(1_200 * MS)
        seen["passed"] = status(pen).warnings
        Operations.note_check(pen, day.replace(day=4), 120, False)  # type: ignore[arg-type]
        pen.run_for(1_200 * MS)
        seen["failed"] = status(pen).warnings
        start(pen, 100)
        seen["state"], seen["fault"] = state(pen), fault(pen)
        pen.release()
        pen.run_for(5 * S)
        seen["log"] = [event.text for event in pen_log(pen) if event.name == "CHECK_NOTED"]
        return seen

    seen = in_fork(run, pens.ready())
    due = {name for name, warnings in seen.items() if "check_due" in warnings}
    assert due == {"after 2", "failed"}, seen
    assert (seen["state"], seen["fault"]) == ("running", "none"), "it warns, and the pen goes on"
    assert seen["log"] == [  # the power went before that of the first was stored; its result was
        "daily check of 2026-02-04 passed: worst error 20 um",
        "daily check of 2026-02-04 failed: worst error 120 um",
    ]
