"""SR-28: the power goes in each single flash operation of each kind of write; the records live through it.

The pure store of the firmware runs on littlefs in memory, with the flash's erase and program operations as the
emulated chip makes them. Each operation is cut early, in the middle and late, with the bits drawn from a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from support.flash import FLASH, UNIQUE_ID, RecordedFlash, files, settle, store
from support.measuring import Measure

from needlepen import board, provision
from needlepen.firmware_modules import firmware_module
from needlepen.records import making, read_log
from needlepen.records.log import gaps

E = firmware_module("pen.events")
S = firmware_module("pen.states")
faults = firmware_module("pen.faults")
logs = firmware_module("pen.store.log")
calibration_records = firmware_module("pen.calibration_records")
QUIET_MS = firmware_module("pen.store.store")._QUIET_MS
DONE = (0.0, 0.1, 0.25, 0.35, 0.6, 0.85, 0.99)
FEW = (0.1, 0.35, 0.99)
SEED = 2_026
DAY = date(2026, 1, 15)
KEYS = making.development_keys(UNIQUE_ID)


def _pen(runs: int) -> tuple[RecordedFlash, Any]:
    """A pen that has stored events, counters and settings so often that its directories stand differently each time."""
    flash = RecordedFlash(provision.provisioned(bytes(RecordedFlash().buffer), board.load(), UNIQUE_ID))
    pen = store(flash)
    pen.log.state = S.ARMED
    settle(pen)
    for k in range(runs):
        pen.log.add(E.RATE_SET, k)
        if k % 3 == 0:
            pen.count_run(100, 1_000)
        if k % 5 == 0:
            pen.change(depth_um=50 * (k % 20))
        settle(pen, 20, 200)
    assert pen.counters.hours_unknown is False
    return flash, pen


def _nothing(_: Any) -> None:
    """The write needs no preparation."""


def _flush_fault(pen: Any) -> None:
    pen.log.end_run(E.FAULT, faults.STALL, 5_000, 500)
    assert pen.flush() is None


def _flush_three(pen: Any) -> None:
    for k in range(3):
        pen.log.add(E.DEPTH_SET, k)
    assert pen.flush() is None


def _fill_journal(pen: Any) -> None:
    while not pen.log.untidy:
        pen.log.add(E.DEPTH_SET)
        assert pen.flush() is None


def _move_journal(pen: Any) -> None:
    """The move to the segment, then an event that replaces the journal."""
    assert pen.log.untidy
    pen.poll(pen._now_ms + 10, False)
    assert pen.log.untidy, "moved while somebody may be pressing buttons"
    pen.poll(pen._now_ms + QUIET_MS, False)
    assert not pen.log.untidy
    _flush_fault(pen)


def _settings(pen: Any) -> None:
    assert pen.change(rate_hz=145, depth_um=1_500) is None
    pen._save(firmware_module("pen.store.numbers").KIND_SETTINGS, pen.settings.pack())


def _counters(pen: Any) -> None:
    pen.count_run(1_000, 60_000)
    pen._save(firmware_module("pen.store.numbers").KIND_COUNTERS, pen.counters.pack())


def _put(pen: Any, made: Any) -> None:
    record = making.calibration_record(made, making.technician_key(KEYS.pen), UNIQUE_ID)
    assert calibration_records.accept(pen, record) is None


def _calibration(pen: Any) -> None:
    _put(pen, making.calibration([(0, 30), (1000, 1000), (2500, 2400)], day=DAY))


def _withdrawal(pen: Any) -> None:
    _put(pen, making.calibration([], day=DAY, status="withdrawn", certificate="NP-260115-7F3K2Q"))


def _check_before(pen: Any) -> None:
    assert calibration_records.note_check(pen, making.day_number(DAY), 31, 1) is None
    settle(pen)


def _check(pen: Any) -> None:
    assert calibration_records.note_check(pen, making.day_number(DAY) + 1, -104, 0) is None


WRITES: dict[str, tuple[Callable[[Any], None], Callable[[Any], None], int]] = {
    "one event": (_nothing, _flush_fault, 1),
    "three events at once": (_nothing, _flush_three, 3),
    "journal to segment": (_fill_journal, _move_journal, 1),
    "settings": (_nothing, _settings, 0),
    "counters": (_nothing, _counters, 0),
    "calibration": (_nothing, _calibration, 0),
    "withdrawal of the calibration": (_nothing, _withdrawal, 0),
    "daily check": (_check_before, _check, 0),
}
"""Preparation, the write that is cut, and the number of events that are in RAM only when it begins."""


def _state(pen: Any) -> dict[str, Any]:
    """What the records say, by kind."""
    c = pen.calibration
    return {
        "settings": pen.settings.pack(),
        "counters": (pen.counters.strokes, pen.counters.run_s),
        "calibration": c.points if c else None,
        "check": pen.check,
        "blockers": pen.blockers,
        "keys": pen.keys.pack() if pen.keys else None,
    }


def _cuts(flash: RecordedFlash, fractions: tuple[float, ...] = DONE) -> Iterator[tuple[str, RecordedFlash]]:
    for done in fractions:
        for k, (operation, torn) in enumerate(flash.cuts(done, SEED), 1):
            yield f"operation {k}, {operation.kind} at {operation.start:#x}, {done:g} of it done", torn


def _judge(what: str, torn: RecordedFlash, states: tuple[dict[str, Any], dict[str, Any]], boot: int,
           old: list[int], new: list[int]) -> int:  # fmt: skip
    """Check one pen after its cut: old or new whole, only the end of the log gone, the gap visible, writing works.

    Returns how many events are lost.
    """
    again = store(torn)
    for kind, found in _state(again).items():
        assert found in (states[0][kind], states[1][kind]), f"{what}: {kind}"
    assert again.fault == faults.NONE and not again.warnings & S.WARN_LOG_GAP, what
    settle(again)
    seen = read_log(files(torn), UNIQUE_ID)
    numbers = [e.sequence for e in seen if e.boot == boot]
    assert numbers == old + new[: len(numbers) - len(old)], f"{what}: more is gone than the end"
    booted = next(e.sequence for e in seen if e.boot == again.log.boot)
    assert gaps(seen)[-1].first_sequence == numbers[-1] + 1 < booted, f"{what}: the gap does not show"
    again.change(volume=3)
    again.log.add(E.PROFILE_SELECTED)
    settle(again)
    assert (
        read_log(files(torn), UNIQUE_ID)[-2].name == "PROFILE_SELECTED" and store(torn).settings.volume == 3
    )
    return len(old) + len(new) - len(numbers)


@pytest.mark.parametrize(
    "fractions", [pytest.param(FEW, id="some"), pytest.param(DONE, id="all", marks=pytest.mark.nightly)]
)
@pytest.mark.parametrize("write", WRITES)
def test_a_power_cut_in_any_flash_operation_loses_at_most_one_record(
    measure: Measure, write: str, fractions: tuple[float, ...]
) -> None:
    """After 0 to 19 earlier writes, so that each kind of operation comes up, the erase of a directory included."""
    prepare, do, in_ram = WRITES[write]
    lost: dict[str, float] = {}
    cut_kinds = set()
    for runs in range(20):
        flash, pen = _pen(runs)
        prepare(pen)
        before, old = _state(pen), [e.sequence for e in read_log(files(flash), UNIQUE_ID)]
        flash.record()
        do(pen)
        new = list(range(old[-1] + 1, pen.log.last_sequence + 1 - pen.log.pending))
        assert len(new) == in_ram
        cut_kinds |= {operation.kind for operation in flash.operations}
        for what, torn in _cuts(flash, fractions):
            what = f"after {runs} writes, {what}"
            lost[what] = _judge(what, torn, (before, _state(pen)), pen.log.boot, old, new)
    print(f"{write}: {len(lost)} power cuts, seed {SEED}")
    assert cut_kinds == {"erase", "program"}
    if in_ram == 1:
        measure.worst("SR-28", "lost_records", lost, f"{write}, seed {SEED}")
    else:
        measure.nothing(f"the limit is about one event; {in_ram} were not in the flash yet")
        assert max(lost.values()) <= in_ram


def test_a_second_cut_during_the_first_boot_loses_no_more(measure: Measure) -> None:
    """The boot after a cut writes too: cut it as well, at each of its operations."""
    flash, pen = _pen(9)
    old = {e.sequence for e in read_log(files(flash), UNIQUE_ID)}
    flash.record()
    _flush_fault(pen)
    lost: dict[str, float] = {}
    for what, torn in _cuts(flash):
        if "0.35" not in what:
            continue
        torn.record()
        settle(store(torn))
        for k, (_, twice) in enumerate(torn.cuts(0.5, SEED), 1):
            again = store(twice)
            settle(again)
            numbers = {e.sequence for e in read_log(files(twice), UNIQUE_ID)}
            assert again.fault == faults.NONE and old <= numbers
            lost[f"{what}, then {k}"] = 0.0 if pen.log.last_sequence in numbers else 1.0
    measure.worst("SR-28", "lost_records", lost, f"power cut twice, seed {SEED}")


def test_a_write_without_second_copy_and_rename_would_be_noticed() -> None:
    """A test of the test: a record overwritten in place in the flash does not live through the same cuts."""
    flash, pen = _pen(8)
    place = bytes(flash.buffer).index(b"NPen\x01")
    flash.record()
    block = place // FLASH.block_bytes
    whole = bytes(flash.buffer[block * FLASH.block_bytes : (block + 1) * FLASH.block_bytes])
    flash.erase(None, block)
    flash.prog(None, block, 0, whole)
    broken = 0
    for _, torn in _cuts(flash):
        try:
            broken += store(torn).settings.pack() != pen.settings.pack()
        except Exception:
            broken += 1
    assert broken > 0
