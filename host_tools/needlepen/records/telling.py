"""The event log told: which part of it, with requirement and remedy of each fault, for people and for programs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from needlepen import supervision
from needlepen.errors import UsageError
from needlepen.records.log import Gap, LoggedEvent, gaps

_UNITS_S = {"min": 60, "h": 3600, "d": 86_400}
_COLUMNS = (
    "sequence", "boot", "uptime_ms", "date", "name", "state", "text", "fault", "requirement", "remedy",
)  # fmt: skip


def part_since(
    events: Sequence[LoggedEvent], since: str | None, now: datetime | None = None
) -> list[LoggedEvent]:
    """The events from a point on: "1234" (number of an event), "2026-11-23" or with a time, "2h", "30min", "3d" ago.

    Dates without a zone are local. Raises UsageError for another text, and if no event has the date that it needs.
    """
    if since is None:
        return list(events)
    if since.isdecimal():
        return [event for event in events if event.sequence >= int(since)]
    begin = _moment(since, now or datetime.now(UTC))
    for place, event in enumerate(events):
        if event.date is not None and event.date >= begin:
            return list(events[place:])
    if events and all(event.date is None for event in events):
        raise UsageError(
            f"--since {since}: no event has a date, since no host gave this pen one; give the number of an event"
        )
    return []


def _moment(text: str, now: datetime) -> datetime:
    ago = re.fullmatch(r"(\d{1,5})\s*(min|h|d)", text)
    if ago:
        return now - timedelta(seconds=int(ago[1]) * _UNITS_S[ago[2]])
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"--since {text}: give the number of an event, a date like 2026-11-23 or 2026-11-23T07:30, or 30min, 2h, 3d"
        ) from None


def as_dict(event: LoggedEvent) -> dict[str, Any]:
    """One event for programs; with requirement and remedy if it tells of a fault."""
    known = supervision.load().fault_named(event.fault) if event.fault else None
    return {
        "sequence": event.sequence,
        "boot": event.boot,
        "uptime_ms": event.uptime_ms,
        "date": event.date.isoformat() if event.date else None,
        "name": event.name,
        "state": event.state,
        "values": list(event.values),
        "text": event.text,
        "fault": event.fault or None,
        "requirement": known.requirement if known else None,
        "remedy": known.remedy if known else None,
    }


def as_csv(events: Sequence[LoggedEvent]) -> str:
    """A table with a head; times have their unit in the name."""
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(as_dict(event) for event in events)
    return text.getvalue()


def lines(events: Sequence[LoggedEvent], all_events: Sequence[LoggedEvent]) -> Iterator[tuple[str, str]]:
    """(kind, line) for people: kind is event, fault, remedy or gap. `all_events`: what gaps are seen in."""
    dated = any(event.date for event in events)
    holes = {gap.first_sequence + gap.count: gap for gap in gaps(all_events)}
    for event in events:
        if event.sequence in holes and event is not events[0]:
            yield "gap", f"{'':8}-- {gap_words(holes[event.sequence])}"
        yield "fault" if event.fault else "event", _line(event, dated)
        known = supervision.load().fault_named(event.fault) if event.fault else None
        if known is not None:
            yield "remedy", f"{'':10}{known.requirement}: {known.text}"
            yield "remedy", f"{'':10}What to do: {known.remedy}"


def _line(event: LoggedEvent, dated: bool) -> str:
    """Number, date in local time if any event has one, boot and uptime, state, what happened."""
    date = f"{event.date.astimezone():%Y-%m-%d %H:%M:%S}" if event.date else " " * 19
    time = f"boot {event.boot:<5} {event.uptime_ms / 1000:>10.3f} s"
    state = event.state.replace("_", " ")
    return f"{event.sequence:6}  {date + '  ' if dated else ''}{time}  {state:10}  {event.text}"


def gap_words(gap: Gap) -> str:
    """What a gap means."""
    last = gap.first_sequence + gap.count - 1
    numbers = f"event {last} is" if gap.count == 1 else f"events {gap.first_sequence} to {last} are"
    if gap.at_boot:
        return f"{numbers} missing: left out at a start, for what a loss of power may have cost"
    return f"{numbers} missing: lost"
