"""What an acknowledgement and a lockout depend on: causes that stand, latches, the service of a locked-out pen."""

from __future__ import annotations

from typing import Any

import pytest

from needlepen import requirements, supervision
from needlepen.firmware_modules import firmware_module

module = firmware_module("pen.supervisor")
states = firmware_module("pen.states")
faults = firmware_module("pen.faults")
TABLES = supervision.load()
QUIET_MS = int(requirements.load().limit("SR-11", "quiet_ms"))
LATCHED_S = int(requirements.load().limit("SR-09", "latched_s"))
STANDING = {f.number: TABLES.blockers[f.stands_while].mask for f in TABLES.faults.values() if f.stands_while}
LOCKOUTS = [f.number for f in TABLES.faults.values() if f.severity == "lockout"]
ALL_BLOCKERS = sum(blocker.mask for blocker in TABLES.blockers.values())


def _elapsed(later_ms: int, earlier_ms: int) -> int:
    return later_ms - earlier_ms


def _idle(blockers: int = 0) -> Any:
    s = module.Supervisor(0, _elapsed)
    s.step(QUIET_MS, False, True, blockers)
    s.tested(faults.NONE, QUIET_MS)
    assert s.state == states.IDLE
    return s


def test_the_answers_of_a_step_are_different_ones() -> None:
    answers = (module.DO_NOTHING, module.DO_TEST, module.DO_START, module.DO_REFUSE)
    assert len(set(answers)) == len(answers)


def test_a_new_supervisor_knows_of_nothing() -> None:
    s = module.Supervisor(0, _elapsed)
    assert (s.state, s.fault, s.note, s.blockers) == (states.BOOT, faults.NONE, states.NOTE_NONE, 0)
    assert s.sound and not s.service_open


def test_a_press_held_since_power_on_is_refused_once() -> None:
    s = module.Supervisor(0, _elapsed)
    s.step(QUIET_MS, True, True, ALL_BLOCKERS)
    s.tested(faults.NONE, QUIET_MS)
    said = [s.step(QUIET_MS + k, True, True, ALL_BLOCKERS) for k in range(3)]
    assert said == [module.DO_REFUSE, module.DO_NOTHING, module.DO_NOTHING]


# ---------------------------------------------------------------------- acknowledgement
def test_some_faults_stand_while_a_blocker_does() -> None:
    assert STANDING


@pytest.mark.parametrize(("fault", "mask"), STANDING.items())
def test_a_fault_whose_cause_still_blocks_is_not_acknowledged(fault: int, mask: int) -> None:
    s = _idle()
    s.fail(fault, 1_000)
    s.step(1_010, False, True, mask)
    assert s.acknowledge(True, 1_020) and (s.state, s.fault) == (states.SAFE, fault)
    s.step(1_030, False, True, ALL_BLOCKERS & ~mask)
    assert s.acknowledge(True, 1_040) is None and s.state == states.SELF_TEST


@pytest.mark.parametrize("fault", STANDING)
def test_what_blocks_is_what_the_last_step_was_told(fault: int) -> None:
    """A fault before the first step: nothing blocks yet."""
    s = module.Supervisor(0, _elapsed)
    s.fail(fault, 10)
    assert s.acknowledge(True, 20) is None


def test_a_blocker_that_is_no_cause_does_not_keep_a_fault() -> None:
    s = _idle()
    assert faults.STALL not in STANDING
    s.fail(faults.STALL, 1_000)
    s.step(1_010, False, True, ALL_BLOCKERS)
    assert s.acknowledge(True, 1_020) is None


@pytest.mark.parametrize("state", [s.number for s in TABLES.states.values()])
def test_only_the_safe_state_can_be_acknowledged(state: int) -> None:
    s = _idle()
    s.fail(faults.STALL, 1_000)
    s.state = state
    refusal = s.may_acknowledge(1_000, True, True, True)
    if state == states.SAFE:
        assert refusal is None, "a fault without a latch can be acknowledged at once"
    else:
        assert refusal == (
            "locked out: switch the pen off and on"
            if state == states.LOCKED_OUT
            else "there is no fault to acknowledge"
        )


@pytest.mark.parametrize("left_ms", [1, 999, 1_000, 1_001, 1_000 * LATCHED_S])
def test_the_time_that_a_latch_still_holds_is_told_in_whole_seconds_rounded_up(left_ms: int) -> None:
    s = _idle()
    s.fail(faults.OVERCURRENT, 1_000)
    refusal = s.may_acknowledge(1_000 + 1_000 * LATCHED_S - left_ms, True, True, True)
    assert refusal == f"latched for another {-(-left_ms // 1_000)} s"


# ---------------------------------------------------------------------- lockout and service
@pytest.mark.parametrize("later", [*LOCKOUTS, faults.STALL])
def test_a_locked_out_pen_keeps_its_first_fault(later: int) -> None:
    s = _idle()
    s.fail(LOCKOUTS[0], 1_000)
    s.fail(later, 1_010)
    assert (s.state, s.fault, s.since_ms(1_020)) == (states.LOCKED_OUT, LOCKOUTS[0], 20)


def test_a_lockout_takes_the_place_of_a_fault_that_can_be_acknowledged() -> None:
    s = _idle()
    s.fail(faults.STALL, 1_000)
    s.fail(LOCKOUTS[0], 1_010)
    assert (s.state, s.fault) == (states.LOCKED_OUT, LOCKOUTS[0])


@pytest.mark.parametrize("later", LOCKOUTS)
def test_opened_for_service_a_locked_out_pen_stays_open_for_its_own_fault_alone(later: int) -> None:
    s = _idle()
    s.fail(LOCKOUTS[0], 1_000)
    assert s.open_service(1_010) is None
    s.fail(later, 1_020)
    assert s.state == (states.SERVICE if later == LOCKOUTS[0] else states.LOCKED_OUT)
    assert s.fault == later and not s.sound


@pytest.mark.parametrize("fault", LOCKOUTS)
def test_a_lockout_ends_the_service_of_a_sound_pen(fault: int) -> None:
    s = _idle()
    s.open_service(1_000)
    s.fail(fault, 1_010)
    assert (s.state, s.fault) == (states.LOCKED_OUT, fault)


def test_nothing_starts_in_the_service_of_a_locked_out_pen() -> None:
    s = _idle()
    s.fail(LOCKOUTS[0], 1_000)
    s.open_service(1_010)
    assert s.step(1_020, True, True, 0) == module.DO_REFUSE


def test_a_start_in_service_runs_and_a_new_run_has_no_note_yet() -> None:
    s = _idle()
    s.open_service(1_000)
    for _ in range(2):
        s.started(faults.NONE, 1_010)
        assert (s.state, s.note) == (states.RUNNING, states.NOTE_NONE)
        s.stopped(faults.NONE, states.NOTE_RELEASED, 1_020)
        assert s.note == states.NOTE_RELEASED
        s.step(1_030, False, True, 0)
        assert s.state == states.SERVICE
