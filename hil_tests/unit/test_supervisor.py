"""The supervisor: every way into drive needs tests, proofs, no blocker and a deliberate press."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, strategies as st

from needlepen import requirements, supervision
from needlepen.firmware_modules import firmware_module

module = firmware_module("pen.supervisor")
states = firmware_module("pen.states")
faults = firmware_module("pen.faults")
TABLES = supervision.load()
LIMIT = requirements.load().limit
QUIET_MS = int(LIMIT("SR-11", "quiet_ms"))
LATCHED_MS = 1000 * int(LIMIT("SR-09", "latched_s"))
STATES = sorted(state.number for state in TABLES.states.values())
SAFE_FAULTS = [f.number for f in TABLES.faults.values() if f.severity == "safe"]
LOCKOUTS = [f.number for f in TABLES.faults.values() if f.severity == "lockout"]


def _elapsed(later_ms: int, earlier_ms: int) -> int:
    return later_ms - earlier_ms


def _supervisor(boot_fault: int = 0) -> Any:
    return module.Supervisor(0, _elapsed, boot_fault)


def _armed() -> Any:
    s = _supervisor()
    s.step(QUIET_MS, False, True, 0)
    s.tested(faults.NONE, QUIET_MS)
    s.step(QUIET_MS, False, True, 0)
    assert s.state == states.ARMED
    return s


def _running() -> Any:
    s = _armed()
    assert s.step(600, True, True, 0) == module.DO_START
    s.started(faults.NONE, 600)
    assert s.state == states.RUNNING
    return s


@pytest.mark.parametrize("now_ms", [0, 1, QUIET_MS - 1, QUIET_MS, QUIET_MS + 1])
def test_nothing_happens_before_the_quiet_time_is_over(now_ms: int) -> None:
    s = _supervisor()
    assert s.step(now_ms, True, True, 0) == module.DO_NOTHING
    assert (s.state == states.BOOT) == (now_ms < QUIET_MS)


@pytest.mark.parametrize("fault", [faults.WATCHDOG_RESET, faults.OVERCURRENT])
def test_a_boot_fault_leads_to_the_safe_state_not_to_the_tests(fault: int) -> None:
    s = _supervisor(fault)
    s.step(QUIET_MS, False, True, 0)
    assert (s.state, s.fault) == (states.SAFE, fault)


@pytest.mark.parametrize("fault", [faults.NONE, faults.PROOF_FAILED, faults.DEPTH_HOME, *LOCKOUTS])
def test_only_passed_tests_lead_to_idle(fault: int) -> None:
    s = _supervisor()
    s.step(QUIET_MS, False, True, 0)
    assert s.step(QUIET_MS + 1, True, True, 0) == module.DO_TEST
    s.tested(fault, QUIET_MS + 2)
    expected = (
        states.IDLE if fault == faults.NONE else states.LOCKED_OUT if fault in LOCKOUTS else states.SAFE
    )
    assert (s.state, s.fault) == (expected, fault)


@pytest.mark.parametrize("blocker", [0, *(b.mask for b in TABLES.blockers.values())])
def test_any_blocker_alone_keeps_the_pen_from_arming_and_a_press_is_refused_once(blocker: int) -> None:
    s = _supervisor()
    s.step(QUIET_MS, False, True, blocker)
    s.tested(faults.NONE, QUIET_MS)
    said = [s.step(600 + k, k in (1, 2, 4), True, blocker) for k in range(5)]
    if blocker:
        refuse, nothing = module.DO_REFUSE, module.DO_NOTHING
        assert said == [nothing, refuse, nothing, nothing, refuse] and s.state == states.IDLE
    else:
        assert said[1] == module.DO_START and s.state == states.ARMED


@pytest.mark.parametrize("blocker", [b.mask for b in TABLES.blockers.values()])
def test_a_blocker_that_appears_disarms(blocker: int) -> None:
    s = _armed()
    assert s.step(700, True, True, blocker) == module.DO_NOTHING
    assert s.state == states.IDLE


@pytest.mark.parametrize(
    ("state", "press", "standstill"), [*itertools.product(STATES, [True, False], [True, False])]
)
def test_a_start_is_asked_for_only_when_armed_or_in_service_and_by_a_press(
    state: int, press: bool, standstill: bool
) -> None:
    s = _armed()
    s.state = state
    action = s.step(QUIET_MS + 10, press, standstill, 0)
    assert (action == module.DO_START) == (press and state in (states.ARMED, states.SERVICE))


@pytest.mark.parametrize("blocker", [b.mask for b in TABLES.blockers.values()])
def test_service_lifts_external_power_and_no_other_blocker(blocker: int) -> None:
    s = _armed()
    assert s.open_service(600) is None and s.state == states.SERVICE
    action = s.step(700, True, True, blocker)
    assert (action == module.DO_START) == (blocker == states.BLOCK_EXTERNAL_POWER)


def test_a_run_in_service_ends_in_service() -> None:
    s = _armed()
    s.open_service(600)
    s.started(faults.NONE, 610)
    s.stopped(faults.NONE, states.NOTE_RELEASED, 700)
    s.step(710, False, True, 0)
    assert s.state == states.SERVICE


@pytest.mark.parametrize("state", STATES)
def test_service_opens_only_at_rest_and_without_a_fault_that_can_be_acknowledged(state: int) -> None:
    s = _armed()
    s.state = state
    assert (s.open_service(600) is None) == (state in (states.IDLE, states.ARMED, states.LOCKED_OUT))


@pytest.mark.parametrize("fault", SAFE_FAULTS)
def test_a_refused_start_or_a_stop_with_a_fault_ends_in_the_safe_state_and_keeps_the_first_fault(
    fault: int,
) -> None:
    s = _armed()
    s.started(fault, 600)
    assert (s.state, s.fault) == (states.SAFE, fault)
    s = _running()
    s.stopped(fault, states.NOTE_NONE, 700)
    s.fail(faults.STALL if fault != faults.STALL else faults.OVERSPEED, 710)
    assert (s.state, s.fault) == (states.SAFE, fault)


@pytest.mark.parametrize("fault", LOCKOUTS)
@pytest.mark.parametrize("state", STATES)
def test_a_lockout_locks_out_of_every_state_and_nothing_leaves_it(state: int, fault: int) -> None:
    s = _armed()
    s.state = state
    s.fail(fault, 700)
    assert s.state == states.LOCKED_OUT
    s.fail(faults.STALL, 710)
    assert s.may_acknowledge(10**6, True, True, True)
    for now_ms in range(720, 730):
        assert s.step(now_ms, True, True, 0) == module.DO_NOTHING
    assert s.state == states.LOCKED_OUT


@pytest.mark.parametrize("note", [n.number for n in TABLES.notes.values()])
def test_a_stop_without_fault_is_armed_again_at_standstill_and_says_why(note: int) -> None:
    s = _running()
    s.stopped(faults.NONE, note, 700)
    s.step(710, True, False, 0)
    assert (s.state, s.note) == (states.STOPPING, note)
    s.step(720, False, True, 0)
    assert s.state == states.IDLE
    s.step(730, False, True, 0)
    assert s.state == states.ARMED


@pytest.mark.parametrize("after_ms", [0, 1, LATCHED_MS - 1, LATCHED_MS, LATCHED_MS + 1])
@pytest.mark.parametrize(
    ("released", "standstill", "retracted"), [*itertools.product([True, False], repeat=3)]
)
def test_overcurrent_is_acknowledged_only_after_10_s_at_rest_with_the_depth_at_zero(
    after_ms: int, released: bool, standstill: bool, retracted: bool
) -> None:
    s = _running()
    s.stopped(faults.OVERCURRENT, states.NOTE_NONE, 1_000)
    refused = s.may_acknowledge(1_000 + after_ms, released, standstill, retracted)
    assert (refused is None) == (after_ms >= LATCHED_MS and released and standstill and retracted)


def test_an_acknowledgement_leads_to_new_tests_and_not_further() -> None:
    s = _running()
    s.fail(faults.STALL, 600)
    assert s.acknowledge(False, 700) and s.state == states.SAFE
    assert s.acknowledge(True, 800) is None
    assert (s.state, s.fault) == (states.SELF_TEST, faults.NONE)


@pytest.mark.parametrize(("state", "to"), [*itertools.product(STATES, STATES)])
def test_no_way_is_taken_that_the_table_does_not_list(state: int, to: int) -> None:
    name = {s.number: n for n, s in TABLES.states.items()}
    listed = any(name[state] in way.sources and name[to] == way.to for way in TABLES.ways)
    s = _armed()
    s.state = state
    s._enter(to, 700)
    stays = states.LOCKED_OUT if state == states.LOCKED_OUT else states.SAFE
    assert s.state == (to if listed else stays)
    assert listed or state == states.LOCKED_OUT or s.fault == faults.SUPERVISION_LOST


CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("step"), st.booleans(), st.booleans(), st.sampled_from([0, 0, 0, 1, 1 << 20])),
        st.tuples(st.sampled_from(["tested", "started"]), st.sampled_from([0, 0, *SAFE_FAULTS[:3]])),
        st.tuples(st.just("stopped"), st.sampled_from([0, faults.STALL]), st.just(1)),
        st.tuples(st.just("fail"), st.sampled_from([faults.STALL, faults.OVERSPEED])),
        st.tuples(st.just("open_service")),
    ),
    max_size=60,
)


@given(CALLS)
def test_no_sequence_without_acknowledgement_leaves_the_safe_state(calls: list[tuple[Any, ...]]) -> None:
    s, safe = _supervisor(), False
    for now_ms, (name, *arguments) in enumerate(calls, QUIET_MS):
        before = s.state
        if name == "step":
            s.step(now_ms, *arguments)
        else:
            getattr(s, name)(*arguments, now_ms)
        safe = safe or s.state == states.SAFE
        assert not safe or s.state == states.SAFE
        assert s.state != states.RUNNING or before in (states.ARMED, states.SERVICE, states.RUNNING)
        assert s.state != states.ARMED or before in (states.IDLE, states.ARMED)
