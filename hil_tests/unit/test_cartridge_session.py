"""SR-15: a cartridge belongs to one session, which ends by use, by time, by a reset and by another cartridge."""

from __future__ import annotations

import pytest
from support.cartridge_bench import Make, board, chip_of, faults, layout, marked, places, states
from support.measuring import Measure

from needlepen import requirements
from needlepen.emulator.ds2431 import PROGRAMMING_NS

LIMIT = requirements.load().limit
USE_MS = 60_000 * int(LIMIT("SR-15", "use_min"))
WINDOW_MS = 3_600_000 * int(LIMIT("SR-15", "window_h"))
DAY_S = 86_400
USED, EXPIRED = states.BLOCK_CARTRIDGE_USED, states.BLOCK_CARTRIDGE_EXPIRED
READING, ABSENT = states.BLOCK_CARTRIDGE_READING, states.BLOCK_CARTRIDGE_ABSENT
UNREADABLE = states.BLOCK_CARTRIDGE_UNREADABLE


def test_after_a_reset_a_marked_cartridge_is_refused(make: Make) -> None:
    bench = marked(make(chip_of()))
    bench.boot()
    assert bench.decided() == USED


@pytest.mark.parametrize("place", range(128))
def test_any_cleared_bit_of_the_use_page_means_used(make: Make, place: int) -> None:
    chip = chip_of()
    chip.memory[0x40 + place // 8] ^= 1 << place % 8
    assert make(chip).decided() == USED


def test_the_same_cartridge_seated_again_goes_on_with_its_session(make: Make) -> None:
    chip = chip_of()
    bench = marked(make(chip))
    bench.run(90_000)
    bench.rest(1000)
    bench.unseat()
    bench.rest(1000)
    bench.seat(chip)
    assert bench.decided() == 0 and bench.part.marked
    assert bench.part.use.used_ms >= 90_000, "its time goes on"


def test_after_another_cartridge_the_first_one_is_refused(make: Make) -> None:
    first, second = chip_of(1), chip_of(2)
    bench = marked(make(first))
    bench.unseat()
    bench.poll()
    bench.seat(second)
    marked(bench)
    bench.unseat()
    bench.poll()
    bench.seat(first)
    assert bench.decided() == USED


def test_a_cartridge_that_somebody_else_used_meanwhile_is_refused(make: Make) -> None:
    for place, value in ((0x44, 0x12), (0x46, 0x00), (0x48, 0xFC)):
        chip = chip_of()
        bench = marked(make(chip))
        bench.unseat()
        bench.poll()
        chip.memory[place] &= value
        bench.seat(chip)
        assert bench.decided() == USED


# ---------------------------------------------------------------------- time of use
def test_use_ends_at_60_minutes_and_not_before(make: Make, measure: Measure) -> None:
    bench = marked(make(chip_of()))
    bench.part.use.add(USE_MS - 30_000)
    bench.run(26_000)
    bench.rest(500)
    assert bench.part.blockers == 0 and bench.part.warnings == states.WARN_CARTRIDGE_TIME
    while bench.part.blockers == 0:
        allowed_ms = bench.part.use.used_ms
        bench.run(20)
        bench.rest(500)
    assert bench.part.blockers == EXPIRED
    measure("SR-15", "use_min", allowed_ms / 60_000, "longest use after which a start is allowed")


@pytest.mark.parametrize("every_ms", [10, 160])
def test_a_run_across_the_60_minutes_is_ended_with_a_note(
    make: Make, measure: Measure, every_ms: int
) -> None:
    bench = marked(make(chip_of()))
    bench.part.use.add(USE_MS - 6000)
    bench.wake()
    bench.state[places.DRIVE] = 1
    begun_ms = bench.now_ms
    while bench.part.stop_note == states.NOTE_NONE:
        bench.part.poll(bench.now_ms, True)
        bench.drive(every_ms)
    assert bench.part.stop_note == states.NOTE_CARTRIDGE_TIME
    ended_ms = bench.now_ms - begun_ms
    assert ended_ms > 2000
    measure(
        "SR-15",
        "use_min",
        (USE_MS - 6000 + ended_ms) / 60_000,
        f"use when a run is ended, looked at each {every_ms} ms",
    )


@pytest.mark.parametrize("run_ms", [20, 50, 300, 1300])
def test_runs_between_two_looks_count_too(make: Make, run_ms: int) -> None:
    """Short presses, while the part is polled once a second only: never less than they were, and not much more."""
    bench = marked(make(chip_of()))
    for _ in range(60):
        bench.state[places.TICKS] = 40  # awake while the press is debounced
        assert bench.part.mark_used() is None
        bench.drive(run_ms)
        bench.poll(ms=1000)
    assert 60 * run_ms <= bench.part.use.used_ms <= 60 * (run_ms + 40)


@pytest.mark.parametrize("clock", [False, True], ids=["powered time", "clock time"])
def test_the_window_ends_2_hours_after_the_first_use(make: Make, measure: Measure, clock: bool) -> None:
    bench = make(chip_of(), 9000 * DAY_S if clock else None)
    marked(bench)
    if bench.clock_s is not None:
        bench.clock_s += WINDOW_MS // 1000 - 8
    else:
        bench.now_us += 1000 * (WINDOW_MS - 8000)
    bench.rest(1000)
    assert bench.part.blockers == 0 and bench.part.warnings == states.WARN_CARTRIDGE_TIME
    while bench.part.blockers == 0:
        allowed_ms = bench.part.use.window_ms
        bench.rest(100)
        if bench.clock_s is not None:
            bench.clock_s += 1
    assert bench.part.blockers == EXPIRED
    measure(
        "SR-15",
        "window_h",
        allowed_ms / 3_600_000,
        "longest time after first use at which a start is allowed",
    )


def test_a_clock_that_is_set_back_gives_no_time(make: Make) -> None:
    bench = make(chip_of(), 9000 * DAY_S)
    marked(bench)
    bench.clock_s = 9000 * DAY_S + 7000
    bench.rest(500)
    bench.clock_s = 8000 * DAY_S
    bench.rest(500)
    assert bench.part.use.window_ms >= 7_000_000


def test_minutes_are_written_at_standstill_one_bit_each_and_nothing_while_awake(make: Make) -> None:
    chip = chip_of()
    bench = marked(make(chip))
    for minutes in (1, 2, 5):
        bits = bench.bus.bits
        bench.run(60_000 * minutes - bench.part.use.used_ms - 1000)
        assert bench.bus.bits == bits, "the bus rests while awake"
        bench.rest(500)
        assert bytes(chip.memory[0x48:0x50]) == layout.minutes_row(minutes)
        assert bench.part.blockers == 0 and bench.longest_poll_us <= 4_000
    assert bytes(chip.memory[0x40:0x44]) == bytes(4), "the mark is untouched"


def test_a_press_in_the_middle_of_writing_minutes_harms_nothing(make: Make) -> None:
    """Dropped after each number of passes; then the cartridge is taken out and put back."""
    for passes in range(14):
        chip = chip_of()
        bench = marked(make(chip))
        bench.run(70_000)
        for _ in range(passes):
            bench.poll()
        bench.run(70_000)
        bench.rest(500)
        assert bytes(chip.memory[0x48:0x50]) == layout.minutes_row(3)
        bench.unseat()
        bench.poll()
        bench.seat(chip)
        assert bench.decided() == 0


def test_taking_it_out_while_minutes_are_written_keeps_its_session(make: Make) -> None:
    for passes in range(14):
        chip = chip_of(seed=passes)
        bench = marked(make(chip))
        bench.run(5 * 60_000)
        for _ in range(passes):
            bench.poll()
        bench.unseat()
        bench.poll()
        bench.seat(chip)
        assert bench.decided() == 0
        bench.rest(500)
        assert bytes(chip.memory[0x48:0x50]) == layout.minutes_row(5)


def test_minutes_that_cannot_be_written_block_the_next_start(make: Make) -> None:
    chip = chip_of()
    bench = marked(make(chip))
    chip.programming_ns = 6 * PROGRAMMING_NS
    bench.run(1000)
    bench.until(lambda: bench.part.blockers != 0)
    for _ in range(600):
        bench.poll()
        assert bench.part.blockers in (READING, UNREADABLE)


# ---------------------------------------------------------------------- losing it
@pytest.mark.parametrize("awake", [True, False], ids=["seen while awake", "seen at rest"])
def test_losing_it_while_running_is_a_fault_until_the_contact_is_quiet(make: Make, awake: bool) -> None:
    chip = chip_of()
    bench = marked(make(chip))
    bench.state[places.DRIVE] = 1
    bench.poll(awake=True)
    bench.unseat()
    bench.state[places.DRIVE] = 0  # the tick has stopped the motor
    bench.state[places.STOP_REASON] = places.STOP_LINE
    bench.state[places.STOPPED_LINES] = 1 << board.PIN_CARTRIDGE_N
    bench.poll(awake)
    assert (bench.part.fault, bench.part.blockers) == (faults.CARTRIDGE_LOST, ABSENT)
    for k in range(6):
        bench.contact = k % 2
        bench.rest(900)
        assert bench.part.fault == faults.CARTRIDGE_LOST, "a loose contact is not quiet"
    bench.seat(chip)
    bench.rest(1500)
    assert bench.part.fault == faults.NONE and bench.part.blockers == 0 and bench.part.marked
    bench.unseat()
    bench.rest(300)
    assert bench.part.fault == faults.NONE, "taken out at rest, whatever ended the last run"


def test_a_spike_of_the_contact_that_the_tick_ignores_changes_nothing(make: Make) -> None:
    bench = marked(make(chip_of()))
    bench.state[places.DRIVE] = 1
    bench.poll(awake=True)
    bench.contact = 1
    bench.poll(awake=True)
    assert bench.part.blockers == 0 and bench.part.needles == 24
    bench.contact = 0
    bench.state[places.DRIVE] = 0
    bench.poll(awake=True)
    bench.rest(3000)
    assert bench.part.blockers == 0 and bench.part.fault == faults.NONE


def test_external_power_that_stops_a_run_is_not_taken_for_a_lost_cartridge(make: Make) -> None:
    bench = marked(make(chip_of()))
    bench.unseat()
    bench.state[places.STOP_REASON] = places.STOP_LINE
    bench.state[places.STOPPED_LINES] = 1 << board.PIN_VBUS_SENSE
    bench.poll(awake=True)
    assert bench.part.fault == faults.NONE
