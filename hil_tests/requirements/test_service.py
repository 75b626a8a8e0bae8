"""SR-22 and SR-05: what the service access allows, when it opens, and what it never does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.bench import MS, Pens, never_driven, start
from support.flash import pen_log
from support.forks import each_in_fork, in_fork
from support.monitoring import fault, state, status

from needlepen.emulator.factory import FACTORY_DAY, factory_calibration
from needlepen.emulator.factory_image import unique_id
from needlepen.emulator.parameters import PenParameters
from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages
from needlepen.records import making

S = 1e9
PART_BYTES = 64
OPENS_ONLY = "service opens only from idle, armed or locked out"
CLOSED = "open the service access first"
NEW_RANGE_UM = 1_750


def _open(pen: EmulatedPen) -> None:
    pen.command(messages.OPEN_SERVICE)
    pen.wait_state("service")
    pen.run_for(600 * MS)
    assert status(pen).service


def _restarted(pen: EmulatedPen, ask: int) -> float:
    """A request after which the pen starts anew: seconds until it is armed."""
    begun_ns = pen.now_ns
    pen.command(ask)
    assert pen.run_until(lambda: pen.telemetry is None, 1_000 * MS), "no restart"
    pen.power_up()
    return (pen.now_ns - begun_ns) / S


# ---------------------------------------------------------------------- bench profile
def _plug_in(pen: EmulatedPen) -> tuple[str, str]:
    start(pen, 100)
    pen.set_vbus(True)
    pen.run_for(500 * MS)
    return state(pen), fault(pen)


def test_with_the_service_access_open_external_power_does_not_stop_a_run(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[tuple[str, str], str]:
        _open(pen)
        seen = _plug_in(pen)
        pen.release()
        pen.run_for(600 * MS)
        return seen, state(pen)

    assert in_fork(run, pens.ready()) == (("running", "none"), "service")
    assert in_fork(_plug_in, pens.ready()) == ("safe", "external power"), "a test of the test"


def test_with_the_service_access_open_a_run_starts_on_external_power(pens: Pens) -> None:
    def run(pen: EmulatedPen, service: bool) -> str:
        pen.set_vbus(True)
        pen.run_for(1 * S)
        if service:
            _open(pen)
        pen.run_for(300 * MS)
        pen.press()
        pen.run_for(500 * MS)
        return state(pen)

    assert in_fork(run, pens.ready(), True) == "running"
    assert in_fork(run, pens.ready(), False) == "idle"


def test_other_protections_stay_in_service(pens: Pens) -> None:
    """The bench profile lifts external power alone."""

    def jam(pen: EmulatedPen) -> tuple[str, str]:
        start(pen, 100)
        pen.electronics.jam(pen.now_ns, True)
        pen.run_for(300 * MS)
        return state(pen), fault(pen)

    def unseat(pen: EmulatedPen) -> tuple[str, str]:
        pen.unseat_cartridge()
        pen.run_for(1 * S)
        pen.press()
        pen.run_for(500 * MS)
        return state(pen), fault(pen)

    def run(pen: EmulatedPen, then: Callable[[EmulatedPen], tuple[str, str]]) -> tuple[str, str]:
        _open(pen)
        return then(pen)

    # The blocked rotor's current may pass the latch before the missing index edge is due.
    assert in_fork(run, pens.ready(), jam) in {("safe", "stall"), ("safe", "overcurrent")}
    assert in_fork(run, pens.ready(), unseat) == ("service", "none")


# ---------------------------------------------------------------------- when it opens, and closes
def _running(pen: EmulatedPen) -> None:
    start(pen, 100)


def _safe(pen: EmulatedPen) -> None:
    start(pen, 100)
    pen.set_vbus(True)
    pen.wait_state("safe")


def _idle(pen: EmulatedPen) -> None:
    pen.unseat_cartridge()
    pen.wait_state("idle")


def _self_test(pen: EmulatedPen) -> None:
    _safe(pen)
    pen.set_vbus(False)
    pen.release()
    pen.run_for(500 * MS)
    pen.command(messages.ACKNOWLEDGE)
    pen.wait_state("self_test")


def _locked_out(pen: EmulatedPen) -> None:
    pen.chip.clocks.crystal_error = 0.06
    pen.wait_state("locked_out")


@pytest.mark.parametrize("bring", [_running, _safe, _self_test], ids=lambda fn: fn.__name__[1:])
def test_the_service_access_does_not_open_here(pens: Pens, bring: Callable[[EmulatedPen], None]) -> None:
    def run(pen: EmulatedPen) -> tuple[str | None, bool]:
        bring(pen)
        refused = pen.request(messages.OPEN_SERVICE).refused
        pen.run_for(600 * MS)
        return refused, status(pen).service

    assert in_fork(run, pens.ready()) == (OPENS_ONLY, False)


@pytest.mark.parametrize(
    "bring",
    [
        pytest.param(_idle, id="idle"),
        pytest.param(lambda pen: None, id="armed"),
        pytest.param(_locked_out, id="locked_out"),
    ],
)
def test_the_service_access_opens_here_and_is_in_the_log(
    pens: Pens, bring: Callable[[EmulatedPen], None]
) -> None:
    def run(pen: EmulatedPen) -> list[str]:
        bring(pen)
        _open(pen)
        pen.run_for(2 * S)
        return [event.name for event in pen_log(pen)]

    assert "SERVICE" in in_fork(run, pens.ready())


def test_in_the_service_of_a_locked_out_pen_nothing_moves(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[str | None, bool, str, str]:
        _locked_out(pen)
        _open(pen)
        refused = pen.request(messages.SET_DEPTH, 500).refused
        before_ns = float(pen.now_ns)
        pen.press()
        pen.run_for(500 * MS)
        return refused, never_driven(pen, before_ns), state(pen), fault(pen)

    assert in_fork(run, pens.ready()) == ("not in this state", True, "service", "clock fault")


def test_closing_it_restarts_the_pen_with_everything_tested(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[str | None, float, bool, tuple[str, str]]:
        early = pen.request(messages.CLOSE_SERVICE).refused
        _open(pen)
        took_s = _restarted(pen, messages.CLOSE_SERVICE)
        pen.run_for(600 * MS)
        return early, took_s, status(pen).service, _plug_in(pen)

    early, took_s, open_then, plugged = in_fork(run, pens.ready())
    assert early is not None and "not open" in early
    assert 0.5 < took_s < 5 and not open_then and plugged == ("safe", "external power")


# ---------------------------------------------------------------------- calibration over the link
def _calibration(top_um: int = NEW_RANGE_UM, seed: int = 0) -> Any:
    whole = factory_calibration(PenParameters(), seed)
    points = [point for point in whole.points if point[0] <= top_um]
    return making.calibration(points, day=FACTORY_DAY, hall_uv_per_mm=whole.hall_uv_per_mm)


def _record(pen_seed: int = 0, key_seed: int = 0) -> bytes:
    key = making.technician_key(making.development_keys(unique_id(key_seed)).pen)
    return making.calibration_record(_calibration(), key, unique_id(pen_seed))


def _send(pen: EmulatedPen, record: bytes) -> str | None:
    """In parts, then as a whole; the first refusal."""
    for offset in range(0, max(1, len(record)), PART_BYTES):
        part = record[offset : offset + PART_BYTES]
        refused = pen.request(messages.PUT_CALIBRATION, offset, part).refused
        if refused:
            return refused
    return pen.request(messages.COMMIT_CALIBRATION, len(record)).refused


def _deepest(pen: EmulatedPen) -> str | None:
    """The calibrated limit in the refusal of a depth just above the new range; None if that is not refused."""
    return pen.request(messages.SET_DEPTH, NEW_RANGE_UM + 50).refused


def _without_profile(pens: Pens) -> Any:
    """So that the calibrated range is what limits the depth."""
    return pens.variant(
        "calibrated_range", {"pen/app.py": ("= PROFILES[number]", "= (65_535,) + PROFILES[number][1:]")}
    )


def test_a_good_record_counts_at_once_and_after_a_power_cut(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[str | None, list[str | None], list[str]]:
        limits = [_deepest(pen)]
        pen.command(messages.SET_DEPTH, 0)
        pen.run_for(1 * S)
        _open(pen)
        refused = _send(pen, _record())
        pen.run_for(3 * S)
        limits.append(_deepest(pen))
        pen.cut_power()
        pen.run_for(300 * MS)
        pen.restore_power()
        pen.power_up()
        limits.append(_deepest(pen))
        return refused, limits, [event.name for event in pen_log(pen)]

    refused, limits, names = in_fork(run, pens.ready(firmware=_without_profile(pens)))
    expected = f"{(NEW_RANGE_UM + 50) / 1e3:.2f} mm is above the calibrated limit {NEW_RANGE_UM / 1e3:.2f} mm"
    assert refused is None and limits == [None, expected, expected]
    assert "CALIBRATION_CHANGED" in names


def _flipped(record: bytes, bit: int) -> bytes:
    damaged = bytearray(record)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def _bad_records() -> dict[str, tuple[bytes, str]]:
    """Record, and what the pen has to say about it."""
    good = _record()
    checksum_bits = [8 * k + k % 8 for k in range(6, len(good), 17)]
    return {
        "signed for another pen": (_record(1, 1), "belongs to another pen"),
        "not signed with its key": (_record(0, 1), "not signed with this pen's key"),
        "cut short": (good[:-1], "cut short"),
        "empty": (b"", "empty: its first writing was interrupted"),
        "too long": (good + b"\0", "longer than it says"),
        "something else": (bytes(range(200)), "not a record of this pen's format"),
        **{f"bit {bit} flipped": (_flipped(good, bit), "") for bit in checksum_bits},
    }


def test_a_bad_record_is_refused_with_its_reason_and_the_old_one_goes_on_counting(pens: Pens) -> None:
    cases = _bad_records()

    def attempt(pen: EmulatedPen, name: str) -> tuple[str | None, str | None, tuple[str, ...]]:
        refused = _send(pen, cases[name][0])
        pen.run_for(600 * MS)
        return refused, _deepest(pen), status(pen).blockers

    def run(pen: EmulatedPen) -> list[Any]:
        _open(pen)
        return each_in_fork(pen, attempt, list(cases))

    seen = dict(zip(cases, in_fork(run, pens.ready(firmware=_without_profile(pens))), strict=True))
    for name, (refused, deepest, blockers) in seen.items():
        assert refused and (not cases[name][1] or refused == cases[name][1]), (name, refused)
        assert deepest is None and "calibration_refused" not in blockers, name


def test_outside_of_service_no_record_is_taken(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> list[str | None]:
        return [
            pen.request(messages.PUT_CALIBRATION, 0, _record()[:PART_BYTES]).refused,
            pen.request(messages.COMMIT_CALIBRATION, 100).refused,
        ]

    refused = in_fork(run, pens.ready())
    assert refused == [CLOSED, "send the record in service first"]


def test_a_part_beyond_the_longest_record_is_refused(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> list[str | None]:
        _open(pen)
        return [
            pen.request(messages.PUT_CALIBRATION, offset, b"").refused for offset in (960, 961, 1_024, 65_535)
        ]

    refused = in_fork(run, pens.ready())
    assert refused[0] is None and set(refused[1:]) == {"the record is longer than 1024 bytes"}


def test_a_calibration_is_not_stored_while_the_motor_runs(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[str | None, str, str]:
        _open(pen)
        start(pen, 100)
        refused = _send(pen, _record())
        pen.run_for(300 * MS)
        return refused, state(pen), fault(pen)

    assert in_fork(run, pens.ready()) == ("the motor may turn: not now", "running", "none")
