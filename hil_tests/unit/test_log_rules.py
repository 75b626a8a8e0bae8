"""The event log on files in RAM: where each event lies, what is found at the next start, what is read back."""

from __future__ import annotations

from typing import Any

import pytest
from ram_files import RamFiles

from needlepen.firmware_modules import firmware_module

logs = firmware_module("pen.store.log")
event = firmware_module("pen.store.event")
E = firmware_module("pen.events")
S = firmware_module("pen.states")
UNIQUE_ID = bytes(range(8))
JOURNAL = "/log/journal"
MAY_RUN = {S.ARMED, S.RUNNING, S.STOPPING, S.SERVICE}
STATES = [S.BOOT, S.SELF_TEST, S.LOCKED_OUT, S.IDLE, S.ARMED, S.RUNNING, S.STOPPING, S.SAFE, S.SERVICE]


def raw(sequence: int, state: int = S.IDLE, boot: int = 6, uptime_ms: int = 0) -> bytes:
    """A stored event."""
    made: bytes = event.pack(UNIQUE_ID, sequence, uptime_ms, 0, boot, E.RATE_SET, state, (sequence, 0, 0))
    return made


def raws(first: int, count: int) -> bytes:
    return b"".join(raw(first + k) for k in range(count))


def segment(number: int) -> str:
    return f"/log/{number:06d}"


def loaded(held: dict[str, bytes]) -> tuple[Any, RamFiles, list[Any]]:
    """A log over these files, after `load`."""
    files = RamFiles(**held)
    log = logs.Log(files, UNIQUE_ID)
    return log, files, log.load()


def numbers(data: bytes | list[bytes]) -> list[int]:
    """Sequence numbers of raw events."""
    parts = data if isinstance(data, list) else [data[at : at + 32] for at in range(0, len(data), 32)]
    return [event.unpack(UNIQUE_ID, part)[0] for part in parts]


def written(log: Any, count: int) -> None:
    """So many events, each stored."""
    for _ in range(count):
        log.add(E.RATE_SET, 1)
        log.flush()


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


# ---------------------------------------------------------------------- at the start
def test_a_new_log_is_empty() -> None:
    files = RamFiles()
    log = logs.Log(files, UNIQUE_ID)
    assert vars(log) == {
        "_files": files, "_unique_id": UNIQUE_ID, "state": 0, "boot": 0, "date_s": 0, "uptime_ms": 0,
        "added_ms": 0, "lost": 0, "last_uptime_ms": 0, "was_armed": False, "in_run": False, "_first_lost": 0,
        "_happened": 0, "_warnings": 0, "_queue": [], "_journal_used": 0, "_journal_moved": True, "_segments": [],
        "_segment_used": 0, "_number": 0, "_next": 1, "_last_state": 0, "_resume": (-1, 0, 0),
    }  # fmt: skip
    assert log.load() == [] and files.calls == [("make_folder", "/log")]
    assert (log.boot, log.was_armed, log.last_sequence, log.pending) == (0, False, 0, 0)
    assert log.read(0, 9) == []
    written(log, 9)
    log.settle()
    assert set(files.held) == {JOURNAL, segment(1)} and numbers(files.held[segment(1)]) == [*range(1, 10)]


@pytest.mark.parametrize("state", STATES)
def test_the_last_event_tells_boot_time_and_whether_the_motor_could_run(state: int) -> None:
    log, _, aside = loaded({JOURNAL: raw(4, S.ARMED, 5, 1) + raw(5, state, 6, 777)})
    assert (log.boot, log.last_uptime_ms, log.was_armed, aside) == (6, 777, state in MAY_RUN, [])
    assert log.last_sequence == 6, "one number stays out at each boot"
    log.add(E.RATE_SET)
    assert numbers(log._queue) == [7]


def test_segments_are_files_of_six_digits_and_no_number_comes_twice() -> None:
    held = {segment(2): raws(1, 3), segment(3): raws(4, 3), JOURNAL: b""}
    held |= {
        "/log/12345x": b"x",
        "/log/000009.bad": b"x",
        "/log/0000041": b"y",
        "/log/readme": b"z",
        "/log/readmes": b"z",
    }
    log, files, aside = loaded(held)
    assert log._segments == [2, 3] and aside == [] and log.last_sequence == 7
    log._segment_used = 120
    written(log, 1)
    log.settle()
    assert numbers(files.held[segment(10)]) == [8]


def test_a_number_of_six_digits_counts_whole() -> None:
    log, files, _ = loaded({segment(123_456): raws(1, 120)})
    written(log, 1)
    log.settle()
    assert segment(123_457) in files.held


def test_only_the_newest_segment_is_looked_at_and_filled_up() -> None:
    log, files, aside = loaded({segment(1): b"damaged" * 9, segment(2): raws(200, 119)})
    assert aside == [] and log.last_sequence == 319
    written(log, 1)
    log.settle()
    assert len(files.held[segment(2)]) == 120 * 32
    written(log, 1)
    log.settle()
    assert numbers(files.held[segment(3)]) == [321]


def test_events_of_the_journal_that_a_segment_holds_too_are_not_stored_again() -> None:
    log, files, aside = loaded({segment(1): raws(1, 9), JOURNAL: raws(1, 9)})
    assert aside == [] and log._journal_moved and not log.untidy and log.last_sequence == 10
    written(log, 1)
    assert numbers(files.held[JOURNAL]) == [11], "the journal is replaced"


def test_events_of_the_journal_that_no_segment_holds_go_on() -> None:
    log, files, _ = loaded({segment(1): raws(1, 9), JOURNAL: raws(2, 9)})
    assert not log._journal_moved and log.untidy and log.last_sequence == 11
    written(log, 1)
    assert numbers(files.held[JOURNAL]) == [*range(2, 11), 12]


def test_a_damaged_segment_is_stored_anew_before_it_is_set_aside() -> None:
    damaged = flipped(raws(1, 5), 40)
    log, files, aside = loaded({segment(3): b"", segment(7): damaged, JOURNAL: b""})
    assert aside == [(7, 4, 1)]
    assert files.calls[1:] == [("write", segment(8)), ("rename", segment(7))]
    assert files.held["/log/000007.bad"] == damaged and numbers(files.held[segment(8)]) == [1, 3, 4, 5]
    assert log._segments == [3, 8] and log._segment_used == 4 and log.last_sequence == 6
    written(log, 1)
    log.settle()
    assert numbers(files.held[segment(8)])[-1] == 7


def test_a_segment_without_a_sound_event_leaves_the_journal_to_tell() -> None:
    log, files, aside = loaded({segment(1): b"x" * 33, JOURNAL: raw(3)})
    assert aside == [(1, 0, 2)] and log.last_sequence == 4 and files.held[segment(2)] == b""


def test_the_sound_events_of_a_damaged_journal_wait_again() -> None:
    damaged = raws(1, 2) + flipped(raw(3), 9) + raw(4)
    log, files, aside = loaded({segment(1): raw(1), JOURNAL: damaged})
    assert aside == [(0, 3, 1)] and files.held["/log/000000.bad"] == damaged and JOURNAL not in files.held
    assert numbers(log._queue) == [2, 4] and log.pending == 2 and log._journal_moved
    log.flush()
    assert numbers(files.held[JOURNAL]) == [2, 4]


def test_a_damaged_journal_without_news_leaves_nothing_to_store() -> None:
    log, _, aside = loaded({segment(1): raws(1, 2), JOURNAL: raws(1, 2) + b"x"})
    assert aside == [(0, 2, 1)] and log.pending == 0 and log._journal_moved and log.last_sequence == 3


def test_a_sound_log_changes_nothing_at_the_start() -> None:
    _, files, aside = loaded({segment(1): raws(1, 3), JOURNAL: raws(4, 3)})
    assert aside == [] and files.calls == [("make_folder", "/log")]


def test_four_damaged_files_are_kept_and_the_oldest_goes() -> None:
    held = {f"/log/00000{k}.bad": b"" for k in (2, 3, 4, 5, 6)} | {segment(7): b"x"}
    _, files, _ = loaded(held)
    assert [name for name in files.names("/log") if name.endswith(".bad")] == [
        "000004.bad", "000005.bad", "000006.bad", "000007.bad",
    ]  # fmt: skip
    few = {f"/log/00000{k}.bad": b"" for k in (2, 3, 4)} | {segment(7): b"x"}
    assert ("remove", "/log/000002.bad") not in loaded(few)[1].calls


# ---------------------------------------------------------------------- reporting
def test_an_event_holds_time_date_boot_and_state() -> None:
    log, _, _ = loaded({})
    log.state, log.boot, log.date_s, log.uptime_ms = S.IDLE, 12, 820_000_000, 4_321
    log.add(E.RATE_SET, 5, 6, 7)
    log.add(E.RATE_SET)
    assert event.unpack(UNIQUE_ID, log._queue[0]) == (1, 4_321, 820_000_000, 12, E.RATE_SET, S.IDLE, 5, 6, 7)
    assert event.unpack(UNIQUE_ID, log._queue[1])[6:] == (0, 0, 0)
    assert log.added_ms == 4_321 and log.pending == 2 and log.last_sequence == 2


def test_what_happens_in_a_run_is_told_by_its_record_alone() -> None:
    log, _, _ = loaded({})
    for _ in range(2):
        log.begin_run()
        log.add(E.WARNING, 4)
        log.add(E.WARNING, 1)
        log.add(E.RATE_SET, 99)
        log.add(E.TIME_SET, 99)
        assert log.in_run and log.pending == 0
        log.end_run(E.RUN_ENDED, 3, 1_500, 250)
        assert not log.in_run
        found = event.unpack(UNIQUE_ID, log._queue.pop())
        assert found[4] == E.RUN_ENDED
        assert event.unpack_run(found[6:]) == (3, 1_500, 250, 1 << E.RATE_SET | 1 << E.TIME_SET, 5)
        log.begin_run()
        log.end_run(E.RUN_ENDED, 3, 1, 1)
        assert event.unpack_run(event.unpack(UNIQUE_ID, log._queue.pop())[6:])[3:] == (0, 0), (
            "each run its own"
        )


def test_a_fault_outside_a_run_has_a_record_without_length() -> None:
    log, _, _ = loaded({})
    log.begin_run()
    log.add(E.WARNING, 1)
    log.fault(17)
    assert not log.in_run
    found = event.unpack(UNIQUE_ID, log._queue[0])
    assert found[4] == E.FAULT and event.unpack_run(found[6:]) == (17, 0, 0, 0, 0)


def test_a_full_queue_drops_its_oldest_and_tells_number_and_place() -> None:
    log, files, _ = loaded({})
    for _ in range(logs.QUEUE_EVENTS):
        log.add(E.RATE_SET)
    assert log.lost == 0 and logs.QUEUE_EVENTS == 32
    for _ in range(3):
        log.add(E.RATE_SET)
    assert log.lost == 3 and log.pending == logs.QUEUE_EVENTS and numbers(log._queue)[0] == 4
    log.flush()
    assert log.lost == 0 and numbers(files.held[JOURNAL]) == [*range(4, 19)]
    while log.pending:
        log.flush()
    told = event.unpack(UNIQUE_ID, log.read(36, 1)[0])
    assert told[4] == E.LOG_GAP and told[6:] == (3, 1, 0)
    for _ in range(logs.QUEUE_EVENTS + 1):
        log.add(E.RATE_SET)
    log.flush()
    assert event.unpack(UNIQUE_ID, log._queue[-1])[6:] == (1, 37, 0), "each gap has its own beginning"


@pytest.mark.parametrize("state", STATES)
def test_arming_is_told_once_and_only_when_no_event_says_so_already(state: int) -> None:
    log, _, _ = loaded({})
    log.state = state
    log.add(E.RATE_SET)
    log.note_state()
    assert log.pending == 1, "the newest event says it already, or the pen is not armed"
    log.state = S.ARMED
    for _ in range(2):
        log.note_state()
    codes = [event.unpack(UNIQUE_ID, one)[4] for one in log._queue]
    assert codes == ([E.RATE_SET] if state in MAY_RUN else [E.RATE_SET, E.ARMED])
    if state not in MAY_RUN:
        assert event.unpack(UNIQUE_ID, log._queue[1])[5:] == (S.ARMED, 0, 0, 0)


def test_in_a_run_arming_is_no_event() -> None:
    log, _, _ = loaded({})
    log.begin_run()
    log.state = S.ARMED
    log.note_state()
    assert log.pending == 0


# ---------------------------------------------------------------------- storing
def test_the_journal_takes_15_events_is_moved_and_then_replaced() -> None:
    log, files, _ = loaded({})
    assert logs.JOURNAL_EVENTS == 15
    for count in range(1, 16):
        written(log, 1)
        assert numbers(files.held[JOURNAL]) == [*range(1, count + 1)] and segment(1) not in files.held
        assert log.untidy == (count >= 8)
    written(log, 1)
    assert numbers(files.held[JOURNAL]) == [16] and numbers(files.held[segment(1)]) == [*range(1, 16)]
    assert not log.untidy and log.pending == 0


def test_a_flush_takes_what_fits() -> None:
    log, files, _ = loaded({})
    written(log, 13)
    for _ in range(4):
        log.add(E.RATE_SET)
    log.flush()
    assert numbers(files.held[JOURNAL]) == [*range(1, 16)] and log.pending == 2
    log.flush()
    assert numbers(files.held[JOURNAL]) == [16, 17] and log.pending == 0


def test_the_journal_moves_when_half_full_and_once() -> None:
    log, files, _ = loaded({})
    written(log, 8)
    assert log.untidy
    log.settle()
    assert not log.untidy and numbers(files.held[segment(1)]) == [*range(1, 9)]
    assert numbers(files.held[JOURNAL]) == [*range(1, 9)], "it is replaced by the next flush only"
    written(log, 7)
    assert numbers(files.held[JOURNAL]) == [*range(9, 16)] and not log.untidy
    written(log, 1)
    assert log.untidy
    log.settle()
    assert log._segment_used == 16 and numbers(files.held[segment(1)]) == [*range(1, 17)]


def test_a_journal_that_cannot_be_read_back_moves_what_is_sound() -> None:
    log, files, _ = loaded({})
    written(log, 9)
    files.held[JOURNAL] = flipped(files.held[JOURNAL], 3)
    log.settle()
    assert numbers(files.held[segment(1)]) == [*range(2, 10)] and log._segment_used == 8
    del files.held[JOURNAL]
    log.settle()
    assert log._segment_used == 8


def test_a_segment_holds_120_events_and_18_are_kept() -> None:
    log, files, _ = loaded({})
    for _ in range(19 * 8 - 1):
        written(log, 15)
        log.settle()
    names = [name for name in files.names("/log") if name.isdigit()]
    assert names == [f"{k:06d}" for k in range(2, 20)] and logs.SEGMENTS_KEPT == 18
    assert {len(files.held[segment(k)]) for k in range(2, 19)} == {120 * 32}
    assert log._segments == [*range(2, 20)]


def test_a_write_that_fails_loses_nothing() -> None:
    log, files, _ = loaded({})
    written(log, 3)
    log.add(E.RATE_SET)
    files.refused = {"append"}
    with pytest.raises(OSError, match="told to fail"):
        log.flush()
    assert log.pending == 1 and log._journal_used == 3
    files.refused = set()
    log.flush()
    assert numbers(files.held[JOURNAL]) == [1, 2, 3, 4]


# ---------------------------------------------------------------------- reading
def _long() -> tuple[Any, RamFiles]:
    """450 events: segments of 120 events, 90 in the fourth, the last 15 of them in the journal too."""
    log, files, _ = loaded({})
    for _ in range(30):
        for _ in range(15):
            log.add(E.RATE_SET, 1)
        log.flush()
        log.settle()
    return log, files


@pytest.mark.parametrize("first", [0, 1, 2, 119, 120, 121, 240, 241, 300, 360, 361, 435, 436, 450])
def test_events_are_read_from_any_number_on(first: int) -> None:
    log, _ = _long()
    assert numbers(log.read(first, 7)) == [k for k in range(max(first, 1), max(first, 1) + 7) if k <= 450]
    assert numbers(log.read(first, 1)) == [max(first, 1)]
    assert log.read(451, 3) == []


def test_reading_goes_on_where_it_ended() -> None:
    """And looks at no file before that place."""
    log, files = _long()
    asked: list[str] = []
    read = files.read
    files.read = lambda path, size=-1: (asked.append(path), read(path, size))[1]  # type: ignore[method-assign]
    found: list[int] = []
    while part := log.read(len(found) + 1, 50):
        found += numbers(part)
        if len(found) == 250:
            asked.clear()
        if len(found) == 300:
            assert asked == [segment(3)], "no search, one file"
    assert found == [*range(1, 451)]
    assert numbers(log.read(1, 3)) == [1, 2, 3] and numbers(log.read(400, 2)) == [400, 401]
    assert numbers(log.read(402, 2)) == [402, 403] and numbers(log.read(30, 1)) == [30]


@pytest.mark.parametrize("change", ["flush", "settle"])
def test_after_a_write_the_place_is_looked_for_anew(change: str) -> None:
    log, files, _ = loaded({})
    written(log, 10)
    assert numbers(log.read(1, 4)) == [1, 2, 3, 4]
    if change == "settle":
        log.settle()
    written(log, 4)
    assert numbers(files.held[JOURNAL])[0] == (11 if change == "settle" else 1)
    assert numbers(log.read(5, 99)) == [*range(5, 15)]
    assert log.read(15, 2) == []


def test_a_settled_journal_is_read_once() -> None:
    log, _, _ = loaded({})
    written(log, 9)
    assert numbers(log.read(1, 3)) == [1, 2, 3]
    log.settle()
    assert log._resume == (-1, 0, 0)
    assert numbers(log.read(4, 99)) == [*range(4, 10)]


def test_damaged_events_and_segments_are_passed_over() -> None:
    log, files = _long()
    files.held[segment(2)] = flipped(files.held[segment(2)], 9)
    files.held[segment(3)] = flipped(files.held[segment(3)], 64 + 9)
    assert numbers(log.read(119, 5)) == [119, 120, 122, 123, 124]
    assert numbers(log.read(240, 4)) == [240, 241, 242, 244]
    assert numbers(log.read(200, 1)) == [200], "an older segment is taken when the head of one is damaged"
    del files.held[segment(3)]
    assert numbers(log.read(239, 4)) == [239, 240, 361, 362]


def test_the_journal_alone_is_read_too() -> None:
    log, _, _ = loaded({})
    written(log, 3)
    assert numbers(log.read(2, 5)) == [2, 3]
    assert log._segment_of(2) == 0


def test_the_number_of_an_event_has_four_bytes() -> None:
    assert logs.sequence_of(b"\x81\x92\xa3\xb4rest") == 0xB4A3_9281


@pytest.mark.parametrize(
    ("first", "number"),
    [(0, 1), (1, 1), (120, 1), (121, 2), (240, 2), (241, 3), (360, 3), (361, 4), (999, 4)],
)
def test_the_segment_that_holds_a_number_is_found(first: int, number: int) -> None:
    assert _long()[0]._segment_of(first) == number


def test_reading_goes_on_in_the_journal_alone() -> None:
    log, files, _ = loaded({segment(1): raws(1, 9), JOURNAL: raws(10, 6)})
    assert numbers(log.read(10, 2)) == [10, 11]
    asked: list[str] = []
    read = files.read
    files.read = lambda path, size=-1: (asked.append(path), read(path, size))[1]  # type: ignore[method-assign]
    assert numbers(log.read(12, 2)) == [12, 13] and asked == [JOURNAL]


def test_a_journal_that_was_replaced_is_read_from_its_beginning() -> None:
    """The reading had ended in it, since the segment's copy of the event is damaged."""
    log, files, _ = loaded({})
    written(log, 9)
    log.settle()
    files.held[segment(1)] = flipped(files.held[segment(1)], 8 * 32 + 9)
    assert numbers(log.read(9, 1)) == [9]
    written(log, 3)
    assert numbers(log.read(10, 5)) == [10, 11, 12]
