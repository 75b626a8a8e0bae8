"""Reading the event log in parts: from any number on, in any order, with gaps and damage, while it is written."""

from __future__ import annotations

import random
from typing import Any

import pytest
from support.flash import UNIQUE_ID, RecordedFlash, files, settle, store

from needlepen import board, provision
from needlepen.firmware_modules import firmware_module
from needlepen.records.image_files import ImageFiles

E = firmware_module("pen.events")
logs = firmware_module("pen.store.log")


def _pen(boots: int, each: int) -> tuple[RecordedFlash, Any]:
    flash = RecordedFlash(provision.provisioned(bytes(RecordedFlash().buffer), board.load(), UNIQUE_ID))
    for _ in range(boots):
        pen = store(flash)
        for number in range(each):
            pen.log.add(E.RATE_SET, number, 1)
            if number % 7 == 0:
                settle(pen, 5)
        settle(pen)
    return flash, pen


def _all(flash: RecordedFlash) -> list[bytes]:
    """Every sound event in flash once, by its number: what reading in parts has to find."""
    found: dict[int, bytes] = {}
    there = files(flash)
    paths = [f"/log/{name}" for name in there.names("/log") if len(name) == 6]
    for path in [*paths, "/log/journal"]:
        for raw in logs.decode(UNIQUE_ID, there.read(path) or b"")[0]:
            found.setdefault(logs.sequence_of(raw), raw)
    return [found[number] for number in sorted(found)]


@pytest.fixture(scope="module")
def full() -> tuple[RecordedFlash, Any]:
    return _pen(4, 130)


def test_from_any_number_on_in_any_order(full: tuple[RecordedFlash, Any]) -> None:
    flash, pen = full
    events = _all(flash)
    assert len(events) > 500 and len([n for n in files(flash).names("/log") if len(n) == 6]) >= 4
    numbers = list(range(logs.sequence_of(events[-1]) + 3))
    random.Random(1).shuffle(numbers)
    for number in numbers:
        expected = [raw for raw in events if logs.sequence_of(raw) >= number][:2]
        assert pen.log.read(number, 2) == expected, number


def test_one_answer_after_the_other_gives_the_whole_log(full: tuple[RecordedFlash, Any]) -> None:
    flash, pen = full
    found: list[bytes] = []
    number = 0
    while part := pen.log.read(number, 2):
        found += part
        number = logs.sequence_of(part[-1]) + 1
    assert found == _all(flash)


def test_what_follows_is_found_with_one_file_read(
    full: tuple[RecordedFlash, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each answer of a full log would take the pen 140 ms, longer than its main loop may be away."""
    _, pen = full
    reads: list[str] = []
    real = ImageFiles.read
    monkeypatch.setattr(
        ImageFiles, "read", lambda self, path, size=-1: reads.append(path) or real(self, path, size)
    )
    part = pen.log.read(200, 2)
    assert len(reads) <= 5, "a few heads, then the segment"
    reads.clear()
    assert pen.log.read(logs.sequence_of(part[-1]) + 1, 2) and len(reads) == 1


def test_events_that_come_meanwhile_are_read_too() -> None:
    flash, pen = _pen(1, 40)
    found: list[bytes] = []
    number = 0
    while part := pen.log.read(number, 2):
        found += part
        number = logs.sequence_of(part[-1]) + 1
        if len(found) in (10, 24, 38):
            for k in range(9):
                pen.log.add(E.RATE_SET, 900 + k, 1)
            settle(pen)
    assert found == _all(flash) and len(found) > 60


@pytest.mark.parametrize("at", [0, 5, 119])
def test_damaged_events_are_passed_over(at: int) -> None:
    """In an old segment, which the pen does not mend: its head, one in the middle, the last one."""
    flash, _ = _pen(3, 130)
    there = files(flash)
    path = "/log/" + sorted(name for name in there.names("/log") if len(name) == 6)[1]
    data = bytearray(there.read(path) or b"")
    data[32 * at + 1] ^= 0x40  # the number of this event
    there.write(path, bytes(data))
    pen = store(flash)
    settle(pen)
    events = _all(flash)
    for number in range(logs.sequence_of(events[-1]) + 2):
        assert pen.log.read(number, 2) == [raw for raw in events if logs.sequence_of(raw) >= number][:2], (
            number
        )
