"""The session's states: every way into drive needs a proof and a deliberate press."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from needlepen import requirements
from needlepen.firmware_modules import firmware_module

session = firmware_module("pen.session")
faults = firmware_module("pen.faults")
LIMIT = requirements.load().limit
QUIET_MS = int(LIMIT("SR-11", "quiet_ms"))
LATCHED_MS = 1000 * int(LIMIT("SR-09", "latched_s"))


def _elapsed(later_ms: int, earlier_ms: int) -> int:
    return later_ms - earlier_ms


def _session(boot_fault: int = faults.NONE) -> Any:
    return session.Session(0, _elapsed, boot_fault)


def _ready() -> Any:
    s = _session()
    s.step(QUIET_MS, False, True)
    s.proven(True, QUIET_MS)
    assert s.state == session.READY
    return s


@pytest.mark.parametrize("now_ms", [0, 1, QUIET_MS - 1, QUIET_MS, QUIET_MS + 1])
def test_nothing_happens_before_the_quiet_time_is_over(now_ms: int) -> None:
    s = _session()
    assert s.step(now_ms, True, True) == session.DO_NOTHING
    assert (s.state == session.QUIET) == (now_ms < QUIET_MS)


def test_a_boot_fault_leads_to_the_safe_state_not_to_a_proof() -> None:
    s = _session(faults.WATCHDOG_RESET)
    s.step(QUIET_MS, False, True)
    assert (s.state, s.fault) == (session.SAFE, faults.WATCHDOG_RESET)


def test_only_a_proof_makes_ready_and_a_failed_one_is_a_fault() -> None:
    s = _session()
    s.step(QUIET_MS, False, True)
    assert s.step(QUIET_MS + 1, True, True) == session.DO_PROVE
    s.proven(False, QUIET_MS + 2)
    assert (s.state, s.fault) == (session.SAFE, faults.PROOF_FAILED)


@pytest.mark.parametrize("state", range(6))
@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("standstill", [True, False])
def test_a_start_is_asked_for_only_in_ready_and_by_a_press_that_counts(
    state: int, counts: bool, standstill: bool
) -> None:
    s = _ready()
    s.state = state
    action = s.step(QUIET_MS + 10, counts, standstill)
    assert (action == session.DO_START) == (state == session.READY and counts)


def test_a_refused_start_is_a_fault() -> None:
    s = _ready()
    s.started(False, 600)
    assert (s.state, s.fault) == (session.SAFE, faults.START_REFUSED)


@pytest.mark.parametrize("fault", sorted(faults.LATCHED_MS | {faults.STALL: 0, faults.OVERSPEED: 0}))
def test_a_stop_with_a_fault_ends_in_the_safe_state_and_keeps_the_first_fault(fault: int) -> None:
    s = _ready()
    s.started(True, 600)
    s.stopped(fault, 700)
    s.fail(faults.PROOF_FAILED if fault != faults.PROOF_FAILED else faults.STALL, 710)
    assert (s.state, s.fault) == (session.SAFE, fault)


def test_a_stop_without_fault_is_ready_again_at_standstill() -> None:
    s = _ready()
    s.started(True, 600)
    s.stopped(faults.NONE, 700)
    s.step(710, True, False)
    assert s.state == session.STOPPING
    s.step(720, False, True)
    assert s.state == session.READY


@pytest.mark.parametrize("after_ms", [0, 1, LATCHED_MS - 1, LATCHED_MS, LATCHED_MS + 1])
@pytest.mark.parametrize(("released", "standstill"), [*itertools.product([True, False], repeat=2)])
def test_overcurrent_is_acknowledged_only_after_10_s_at_standstill_with_the_trigger_released(
    after_ms: int, released: bool, standstill: bool
) -> None:
    s = _ready()
    s.started(True, 600)
    s.stopped(faults.OVERCURRENT, 1_000)
    refused = s.may_acknowledge(1_000 + after_ms, released, standstill)
    assert (refused is None) == (after_ms >= LATCHED_MS and released and standstill)


def test_an_acknowledgement_leads_to_a_new_proof_and_not_further() -> None:
    s = _ready()
    s.fail(faults.STALL, 600)
    assert s.acknowledge(False, 700) and s.state == session.SAFE
    assert s.acknowledge(True, 800) is None
    assert (s.state, s.fault) == (session.PROVING, faults.NONE)


CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("step"), st.booleans(), st.booleans()),
        st.tuples(st.sampled_from(["proven", "started"]), st.booleans()),
        st.tuples(st.sampled_from(["stopped", "fail"]), st.sampled_from([faults.STALL, faults.OVERSPEED])),
    ),
    max_size=60,
)


@given(CALLS)
def test_no_sequence_without_acknowledgement_leaves_the_safe_state(calls: list[tuple[Any, ...]]) -> None:
    s, safe = _session(), False
    for now_ms, (name, *arguments) in enumerate(calls, QUIET_MS):
        before = s.state
        if name == "step":
            s.step(now_ms, *arguments)
        else:
            getattr(s, name)(*arguments, now_ms)
        safe = safe or s.state == session.SAFE
        assert not safe or s.state == session.SAFE
        assert s.state != session.RUNNING or before in (session.READY, session.RUNNING)
        assert s.state != session.READY or before in (session.PROVING, session.STOPPING, session.READY)
