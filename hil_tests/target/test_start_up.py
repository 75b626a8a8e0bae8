"""What a pen has to say after it was switched on: ready in time, tests passed, a log without gaps, its calibration."""

from __future__ import annotations

import pytest
from support.link_session import now
from support.measuring import Measure
from support.targets.protocols import Link

from needlepen.records import log, making
from needlepen.records.log import LoggedEvent

EVENTS_READ = 300


def test_the_self_tests_have_passed(link: Link) -> None:
    """SR-26, SR-29: a pen in which a test or the proof of a cut-off channel failed is locked out or safe."""
    frame, status = now(link)
    assert frame.state in ("idle", "armed") and frame.fault == "none"
    assert not {"self_test", "not_proven"} & set(status.blockers)


def test_it_was_ready_in_time(link: Link, measure: Measure) -> None:
    """PR-09, as the pen itself has counted since the reset."""
    ready_ms = link.statistics()["ready_ms"]
    assert ready_ms > 0, "it never was ready since it was switched on"
    measure("PR-09", "ready_ms", ready_ms, "by the pen's own clock since its last reset")


def _newest(link: Link) -> list[LoggedEvent]:
    raw = list(link.events())[-EVENTS_READ:]
    return log.decode(raw, bytes.fromhex(link.identity.unique_id))


def test_the_log_can_be_read_and_has_no_gap(link: Link, measure: Measure) -> None:
    """SR-28: whatever was reported is there, but the one record that a power cut may take."""
    events = _newest(link)
    boots = [event for event in events if event.name == "BOOT"]
    assert boots and boots[-1].boot == link.about().boots, "this boot is in the log"
    lost = [gap for gap in log.gaps(events) if not gap.at_boot]
    assert lost == [], "events are missing"
    at_boot = [gap.count for gap in log.gaps(events)]
    note = f"{len(events)} events"  # beside the name, by which two runs are compared
    measure("SR-28", "lost_records", max(at_boot, default=0), "in one gap of the log", note=note)


def test_the_log_knows_no_event_that_this_checkout_does_not_know(link: Link) -> None:
    assert [event.text for event in _newest(link) if event.name.startswith("EVENT_")] == []


def test_the_calibration_is_what_the_pen_says_of_it(link: Link) -> None:
    """SR-05: a pen without a valid one says so, and does not start."""
    about = link.about()
    _, status = now(link)
    record = link.read_calibration()
    started_by = {"valid", "due"}
    assert (about.calibration in started_by) == ("no_calibration" not in status.blockers), (about, status)
    if about.calibration not in started_by:
        assert about.calibration_reason or about.calibration == "none"
        pytest.skip(f"the pen has no valid calibration: {about.calibration} {about.calibration_reason}")
    assert record is not None
    if not about.development:
        pytest.skip("the record of a production pen is signed with a key that this computer need not have")
    unique_id = bytes.fromhex(link.identity.unique_id)
    key = making.technician_key(making.development_keys(unique_id).pen)
    made = making.read_calibration(record, key, unique_id)
    travels = [travel for travel, _ in made.points]
    assert len(travels) >= 2 and travels == sorted(travels)
