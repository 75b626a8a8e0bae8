"""The event log of a pen in words: from a file system image, or from events read over the link."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from needlepen import access_table, events as event_table, supervision
from needlepen.cartridges.tables import load_profiles
from needlepen.firmware_modules import firmware_module

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MOST_KEPT = 1 << 20
_RESETS = {1: "switched on", 3: "restarted"}  # machine.reset_cause(): power, and watchdog or machine.reset()


@dataclass(frozen=True)
class LoggedEvent:
    """One event. `date` is None where the host had not given the pen a date; `state` is the supervisor's.

    `fault` is the name of the fault that it tells of, empty for none.
    """

    sequence: int
    boot: int
    uptime_ms: int
    date: datetime | None
    name: str
    state: str
    values: tuple[int, int, int]
    text: str
    fault: str = ""


@dataclass(frozen=True)
class Gap:
    """Numbers that are not in the log: how many, from which one on.

    `at_boot`: the one that each boot leaves out: the record that was under way when the power went may be missing
    there. Any other gap is events that were reported and are lost.
    """

    first_sequence: int
    count: int
    at_boot: bool


def read_log(files: Any, unique_id: bytes) -> list[LoggedEvent]:
    """All events in the files of a pen (see ImageFiles), oldest first."""
    log = firmware_module("pen.store.log").Log(files, unique_id)
    log.load()
    return decode(log.read(0, _MOST_KEPT), unique_id)


def decode(raw_events: Iterable[bytes], unique_id: bytes) -> list[LoggedEvent]:
    """Events as the pen stores and sends them, 32 bytes each; damaged ones and those of other pens are left out."""
    event = firmware_module("pen.store.event")
    unpacked = (event.unpack(unique_id, raw) for raw in raw_events)
    return [_event(fields) for fields in unpacked if fields is not None]


def gaps(events: Sequence[LoggedEvent]) -> list[Gap]:
    """Where numbers are missing between the first and the last event."""
    found = []
    for before, after in itertools.pairwise(events):
        missing = after.sequence - before.sequence - 1
        if missing > 0:
            found.append(Gap(before.sequence + 1, missing, after.name == "BOOT" and missing == 1))
    return found


def _event(fields: tuple[int, ...]) -> LoggedEvent:
    sequence, uptime_ms, date_s, boot, code, state = fields[:6]
    values = (fields[6], fields[7], fields[8])
    known = {event.number: (name, event) for name, event in event_table.load().items()}
    tables = supervision.load()
    if code in known:
        name, event = known[code]
        text = event.sentence(_words(name, dict(zip(event.values, values, strict=False))))
    else:
        name, text = f"EVENT_{code}", f"event {code} of newer firmware, values {values}"
    date = EPOCH + timedelta(seconds=date_s) if date_s else None
    number = firmware_module("pen.store.event").unpack_run(values)[0] if name == "FAULT" else 0
    fault = tables.fault_name(number) if number else ""
    return LoggedEvent(sequence, boot, uptime_ms, date, name, tables.state_name(state), values, text, fault)


def _words(name: str, values: dict[str, int]) -> dict[str, Any]:
    """The values, unsigned where they are IDs or masks, and the words that belong to them."""
    words: dict[str, Any] = {
        key: value & 0xFFFFFFFF if key in ("rom_low", "rom_high", "warnings", "blockers") else value
        for key, value in values.items()
    }
    if "run_a" in values:
        words["run"] = _run(name, (values["run_a"], values["run_b"], values["run_c"]))
    if "kind" in values:
        kinds = firmware_module("pen.store.envelope").KIND_NAMES
        words["kind_name"] = kinds.get(values["kind"], f"kind {values['kind']}")
    if "role" in values:
        roles = dict(enumerate(access_table.ROLES))
        words["role_name"] = roles.get(values["role"], f"role {values['role']}")
    if "reason" in values:
        words["reason_text"] = firmware_module("pen.store.reason_texts").text(values["reason"])
    for key in ("was_armed", "entered", "present"):
        if key in values:
            words[f"{key}_text"] = "yes" if values[key] else "no"
    if "passed" in values:
        words["passed_text"] = "passed" if values["passed"] else "failed"
    return words | _named(values)


def _named(values: dict[str, int]) -> dict[str, str]:
    """The names behind numbers and masks."""
    tables = supervision.load()
    words = {}
    if "reset_cause" in values:
        words["cause_text"] = _RESETS.get(values["reset_cause"], f"reset of cause {values['reset_cause']}")
    if "fault" in values:
        words["fault_name"] = tables.fault_name(values["fault"])
    if "warnings" in values:
        words["warning_names"] = _listed(tables.warning_names(values["warnings"] & 0xFFFFFFFF))
    if "blockers" in values:
        words["blocker_names"] = _listed(tables.blocker_names(values["blockers"] & 0xFFFFFFFF))
    if "day" in values:
        words["day_text"] = f"{EPOCH + timedelta(days=min(max(0, values['day']), 99_999)):%Y-%m-%d}"
    if "profile" in values:
        names = [profile.name for profile in load_profiles() if profile.number == values["profile"]]
        words["profile_name"] = names[0] if names else "unknown to these tools"
    return words


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names).replace("_", " ") or "none"


def _run(name: str, values: tuple[int, int, int]) -> str:
    number, run_ms, strokes, happened, warnings = firmware_module("pen.store.event").unpack_run(values)
    tables = supervision.load()
    cause = tables.fault_name(number) if name == "FAULT" else tables.note_text(number)
    parts = [cause or "trigger released"]
    if run_ms:
        parts.append(f"after {run_ms / 1000:.1f} s and {strokes} strokes")
    names = [
        key.lower() for key, e in event_table.load().items() if e.number < 24 and happened >> e.number & 1
    ]
    if names:
        parts.append("meanwhile: " + ", ".join(names))
    if warnings:
        parts.append("warnings: " + ", ".join(tables.warning_names(warnings)))
    return "; ".join(parts)
