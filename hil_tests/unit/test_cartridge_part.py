"""Cartridge part: what is accepted, when, and for how long; nothing that was used before is accepted again."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from support.cartridge_bench import Bench, PowerCut, board, chips, faults, part, places, states
from support.measuring import Measure

from needlepen import requirements
from needlepen.cartridges.emulated import emulated_cartridge
from needlepen.emulator.ds2431 import DS2431, PROGRAMMING_NS
from needlepen.firmware_modules import firmware_module

layout = firmware_module("pen.cartridge_record")
LIMIT = requirements.load().limit
KEY = bytes(range(32))
USE_MS = 60_000 * int(LIMIT("SR-15", "use_min"))
WINDOW_MS = 3_600_000 * int(LIMIT("SR-15", "window_h"))
DAY_S = 86_400
USED, EXPIRED = states.BLOCK_CARTRIDGE_USED, states.BLOCK_CARTRIDGE_EXPIRED
READING, ABSENT = states.BLOCK_CARTRIDGE_READING, states.BLOCK_CARTRIDGE_ABSENT
UNREADABLE, FOREIGN = states.BLOCK_CARTRIDGE_UNREADABLE, states.BLOCK_CARTRIDGE_FOREIGN
Make = Callable[..., Bench]


def _chip(serial: int = 1, **details: Any) -> DS2431:
    return emulated_cartridge(serial=serial, **{"key": KEY, **details}).chip


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """make(chip, clock_s=None, key=KEY) is a pen that has just booted with that chip seated."""

    def bench(chip: DS2431 | None, clock_s: int | None = None, key: bytes | None = KEY) -> Bench:
        return Bench(monkeypatch, chip, key, clock_s)

    return bench


def _marked(bench: Bench) -> Bench:
    """Bring a bench into a session."""
    assert bench.decided() == 0 and bench.part.mark_used() is None
    return bench


# ---------------------------------------------------------------------- reading
@pytest.mark.parametrize("needles", [12, 24, 36])
def test_a_fresh_cartridge_is_accepted_with_what_its_record_says(make: Make, needles: int) -> None:
    bench = make(_chip(needles=needles, depth_limit_um=1200))
    assert bench.part.blockers == ABSENT
    begun_us = bench.now_us
    assert bench.decided() == 0 and bench.part.accepted
    assert (bench.part.needles, bench.part.depth_limit_um) == (needles, 1200)
    assert bench.part.minimum_rate_hz(1200) == layout.minimum_rate_hz(needles, 1200)
    print(f"accepted after {(bench.now_us - begun_us) / 1e3:.0f} ms, longest pass {bench.longest_poll_us} us")
    assert bench.now_us - begun_us < 500_000 and bench.longest_poll_us <= 4_000


def test_nothing_is_accepted_without_a_seated_contact(make: Make) -> None:
    bench = make(_chip())
    bench.contact = 1
    for _ in range(400):
        bench.poll()
        assert bench.part.blockers == ABSENT and not bench.part.accepted
    assert bench.bus.bits == 0 and bench.part.needles == 0


def test_a_contact_that_bounces_is_not_read(make: Make) -> None:
    bench = make(_chip())
    for k in range(100):
        bench.contact = k % 5 == 0
        bench.poll()
    assert bench.bus.bits == 0


def test_taking_the_cartridge_out_blocks_in_the_same_pass(make: Make) -> None:
    bench = make(_chip())
    assert bench.decided() == 0
    bench.unseat()
    bench.poll()
    assert bench.part.blockers == ABSENT and bench.part.fault == faults.NONE
    assert bench.part.mark_used() is not None


@pytest.mark.parametrize(
    ("chip", "key", "clock_s", "blocker"),
    [
        (_chip(key=bytes(32)), KEY, None, FOREIGN),
        (_chip(), bytes(32), None, FOREIGN),
        (_chip(), None, None, states.BLOCK_KEYS_MISSING),
        (DS2431(_chip().rom), KEY, None, UNREADABLE),
        (DS2431(_chip(2).rom, bytes(_chip(1).memory)), KEY, None, FOREIGN),
        (_chip(expiry=date(2026, 1, 31)), KEY, 9528 * DAY_S, EXPIRED),
    ],
    ids=["other key", "other pen's key", "no key", "blank", "copied to another chip", "past its date"],
)
def test_what_is_wrong_with_a_cartridge_blocks_the_start(
    make: Make, chip: DS2431, key: bytes | None, clock_s: int | None, blocker: int
) -> None:
    bench = make(chip, clock_s, key)
    assert bench.decided() == blocker and not bench.part.accepted
    assert bench.part.mark_used() is not None and (bench.part.reason or blocker == EXPIRED)
    assert bytes(chip.memory[0x40:0x60]) == b"\xff" * 0x20, "a refused cartridge stays as it is"


def test_the_expiry_day_itself_is_allowed_and_an_unknown_date_too(make: Make) -> None:
    last_day = (date(2026, 1, 31) - date(2000, 1, 1)).days
    for clock_s in (None, last_day * DAY_S, (last_day + 1) * DAY_S - 1):
        assert make(_chip(expiry=date(2026, 1, 31)), clock_s).decided() == 0
    assert make(_chip(expiry=date(2026, 1, 31)), (last_day + 1) * DAY_S).decided() == EXPIRED


def test_a_chip_that_falls_silent_at_any_bit_of_the_reading_is_not_accepted(make: Make) -> None:
    whole = make(_chip())
    assert whole.decided() == 0
    for bits in range(1, whole.bus.bits, 7):
        bench = make(_chip())
        bench.bus.silent_after = bits
        assert bench.decided() == UNREADABLE, f"silent after {bits} bits"
        assert not bench.part.accepted


def test_an_unreadable_cartridge_is_read_again_when_its_contacts_have_recovered(make: Make) -> None:
    chip = _chip()
    bench = make(chip)
    bench.unplug()
    assert bench.decided() == UNREADABLE
    bench.seat(chip)
    bench.rest(3000)
    assert bench.part.blockers == 0


def test_a_chip_that_dies_at_rest_is_noticed_before_the_next_start(make: Make) -> None:
    for marked in (False, True):
        bench = make(_chip())
        assert bench.decided() == 0
        if marked:
            _marked(bench)
        bench.unplug()
        bench.rest(3000)
        assert bench.part.blockers == UNREADABLE


# ---------------------------------------------------------------------- the mark
def test_the_mark_is_on_the_chip_when_the_start_is_allowed(make: Make) -> None:
    chip = _chip()
    bench = make(chip, clock_s=9000 * DAY_S + 5)
    assert bench.decided() == 0
    assert bytes(chip.memory[0x40:0x60]) == b"\xff" * 0x20, "armed is not used"
    begun_us = bench.now_us
    assert bench.part.mark_used() is None
    print(f"mark_used {bench.now_us - begun_us} us")
    assert bytes(chip.memory[0x40:0x48]) == layout.mark_row(9000, b"\xbe\xef") and bench.part.marked
    bits = bench.bus.bits
    assert bench.part.mark_used() is None and bench.bus.bits == bits, "later presses cost nothing"


def test_a_date_that_comes_while_armed_is_in_the_mark(make: Make) -> None:
    chip = _chip()
    bench = make(chip)
    assert bench.decided() == 0
    bench.clock_s = 9000 * DAY_S
    bench.rest(3000)
    assert bench.part.blockers == 0 and bench.part.mark_used() is None
    assert bytes(chip.memory[0x44:0x46]) == (9000).to_bytes(2, "little")


def _cut_times_us(begun_us: int, end_us: int) -> list[int]:
    """Every slot of the command and of the read-back, every 40 us of the copy, and just after the end."""
    return [*range(begun_us + 1, end_us, 40), end_us, end_us + 1, end_us + 1000]


@pytest.mark.parametrize(("torn", "seed"), [*itertools.product(["subset", "scrambled"], range(4))])
def test_a_power_cut_at_any_moment_never_leaves_a_used_cartridge_without_a_mark(
    make: Make, torn: str, seed: int
) -> None:
    """The motor turns only after mark_used() has returned None: then the cartridge is never accepted again."""
    timed = make(_chip())
    assert timed.decided() == 0
    begun_us = timed.now_us
    assert timed.part.mark_used() is None
    seen = set()
    for cut_us in _cut_times_us(begun_us, timed.now_us):
        chip = _chip(torn=torn, seed=seed)
        bench = make(chip)
        assert bench.decided() == 0 and bench.now_us == begun_us
        bench.cut_us = cut_us
        started = False
        try:
            started = bench.part.mark_used() is None
            bench.pass_us(10_000)  # the motor turns
        except PowerCut:
            pass
        bench.boot()
        verdict = bench.decided()
        assert verdict in (0, USED)
        assert not (started and verdict == 0), f"used and accepted again, cut at {cut_us - begun_us} us"
        seen.add((started, verdict))
    assert seen == {(False, 0), (False, USED), (True, USED)}, "the sweep met all three"


def test_a_chip_lost_at_any_bit_of_the_marking_is_refused_and_a_fault(make: Make) -> None:
    bench = make(_chip())
    assert bench.decided() == 0
    reading = bench.bus.bits
    assert bench.part.mark_used() is None
    for bits in range(1, bench.bus.bits - reading + 2):  # two resets count as well
        case = make(_chip())
        assert case.decided() == 0
        case.bus.silent_after = bits
        assert case.part.mark_used() is not None
        assert (case.part.blockers, case.part.fault) == (UNREADABLE, faults.CARTRIDGE_MARK)
        case.unseat()
        case.poll()
        assert (case.part.blockers, case.part.fault) == (ABSENT, faults.NONE), "another cartridge clears it"


def test_another_chip_on_the_bus_is_not_marked_in_place_of_the_one_that_was_read(make: Make) -> None:
    bench = make(_chip(1))
    assert bench.decided() == 0
    other = _chip(2)
    bench.unplug()
    bench.chip = other
    assert bench.part.mark_used() is not None and bench.part.fault == faults.CARTRIDGE_MARK
    assert bytes(other.memory[0x40:0x60]) == b"\xff" * 0x20


def test_a_chip_that_cannot_keep_the_mark_is_refused(make: Make) -> None:
    """Each bit of the mark in turn does not stay 0."""
    for place in range(32):
        chip = _chip()
        bench = make(chip)
        assert bench.decided() == 0
        settle = chip.settle

        def stuck(t_ns: float, chip: DS2431 = chip, settle: Any = settle, place: int = place) -> None:
            settle(t_ns)
            if not chip.programming:
                chip.memory[0x40 + place // 8] |= 1 << place % 8

        chip.settle = stuck  # type: ignore[method-assign]
        assert bench.part.mark_used() is not None


@pytest.mark.parametrize("noise", [0.0005, 0.005, 0.05])
def test_noise_on_the_bus_never_makes_a_used_cartridge_fresh(make: Make, noise: float) -> None:
    for seed in range(60):
        chip = _chip(seed=seed)
        chip.memory[0x40:0x48] = layout.mark_row(None, b"\1\2")
        bench = make(chip)
        bench.bus.noise = noise
        bench.bus.chance.seed(seed)
        for _ in range(3):
            assert bench.decided() in (USED, UNREADABLE, FOREIGN)


@pytest.mark.parametrize("noise", [0.0005, 0.005, 0.05])
def test_noise_while_marking_is_noticed_or_harmless(make: Make, noise: float) -> None:
    for seed in range(60):
        chip = _chip(seed=seed)
        bench = make(chip)
        assert bench.decided() == 0
        bench.bus.noise = noise
        bench.bus.chance.seed(seed)
        if bench.part.mark_used() is None:
            assert bytes(chip.memory[0x40:0x44]) == bytes(4)


# ---------------------------------------------------------------------- sessions
def test_after_a_reset_a_marked_cartridge_is_refused(make: Make) -> None:
    bench = _marked(make(_chip()))
    bench.boot()
    assert bench.decided() == USED


@pytest.mark.parametrize("place", range(128))
def test_any_cleared_bit_of_the_use_page_means_used(make: Make, place: int) -> None:
    chip = _chip()
    chip.memory[0x40 + place // 8] ^= 1 << place % 8
    assert make(chip).decided() == USED


def test_the_same_cartridge_seated_again_goes_on_with_its_session(make: Make) -> None:
    chip = _chip()
    bench = _marked(make(chip))
    bench.run(90_000)
    bench.rest(1000)
    bench.unseat()
    bench.rest(1000)
    bench.seat(chip)
    assert bench.decided() == 0 and bench.part.marked
    assert bench.part.use.used_ms >= 90_000, "its time goes on"


def test_after_another_cartridge_the_first_one_is_refused(make: Make) -> None:
    first, second = _chip(1), _chip(2)
    bench = _marked(make(first))
    bench.unseat()
    bench.poll()
    bench.seat(second)
    _marked(bench)
    bench.unseat()
    bench.poll()
    bench.seat(first)
    assert bench.decided() == USED


def test_a_cartridge_that_somebody_else_used_meanwhile_is_refused(make: Make) -> None:
    for place, value in ((0x44, 0x12), (0x46, 0x00), (0x48, 0xFC)):
        chip = _chip()
        bench = _marked(make(chip))
        bench.unseat()
        bench.poll()
        chip.memory[place] &= value
        bench.seat(chip)
        assert bench.decided() == USED


# ---------------------------------------------------------------------- time of use
def test_use_ends_at_60_minutes_and_not_before(make: Make, measure: Measure) -> None:
    bench = _marked(make(_chip()))
    bench.part.use.add(USE_MS - 30_000)
    bench.run(29_000)
    bench.rest(500)
    assert bench.part.blockers == 0 and bench.part.warnings == states.WARN_CARTRIDGE_TIME
    while bench.part.blockers == 0:
        allowed_ms = bench.part.use.used_ms
        bench.run(20)
        bench.rest(500)
    assert bench.part.blockers == EXPIRED
    measure("SR-15", "use_min", allowed_ms / 60_000, "longest use after which a start is allowed")


def test_a_run_across_the_60_minutes_is_ended_with_a_note(make: Make, measure: Measure) -> None:
    bench = _marked(make(_chip()))
    bench.part.use.add(USE_MS - 1000)
    bench.state[places.DRIVE] = 1
    noted_ms = None
    bench.poll(awake=True, ms=10)
    begun_ms = bench.now_ms
    for _ in range(120):
        bench.poll(awake=True, ms=10)
        if noted_ms is None and bench.part.stop_note == states.NOTE_CARTRIDGE_TIME:
            noted_ms = bench.now_ms - begun_ms
    assert noted_ms is not None and noted_ms > 200
    measure("SR-15", "use_min", (USE_MS - 1000 + noted_ms) / 60_000, "use when a run is ended")


@pytest.mark.parametrize("clock", [False, True], ids=["powered time", "clock time"])
def test_the_window_ends_2_hours_after_the_first_use(make: Make, measure: Measure, clock: bool) -> None:
    bench = make(_chip(), 9000 * DAY_S if clock else None)
    _marked(bench)
    if bench.clock_s is not None:
        bench.clock_s += WINDOW_MS // 1000 - 5
    else:
        bench.now_us += 1000 * (WINDOW_MS - 5000)
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
    bench = make(_chip(), 9000 * DAY_S)
    _marked(bench)
    bench.clock_s = 9000 * DAY_S + 7000
    bench.rest(500)
    bench.clock_s = 8000 * DAY_S
    bench.rest(500)
    assert bench.part.use.window_ms >= 7_000_000


def test_minutes_are_written_at_standstill_one_bit_each_and_nothing_while_awake(make: Make) -> None:
    chip = _chip()
    bench = _marked(make(chip))
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
        chip = _chip()
        bench = _marked(make(chip))
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
        chip = _chip(seed=passes)
        bench = _marked(make(chip))
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
    chip = _chip()
    bench = _marked(make(chip))
    chip.programming_ns = 6 * PROGRAMMING_NS
    bench.run(1000)
    bench.until(lambda: bench.part.blockers != 0)
    for _ in range(600):
        bench.poll()
        assert bench.part.blockers in (READING, UNREADABLE)


# ---------------------------------------------------------------------- losing it
def test_losing_it_while_running_is_a_fault_until_the_contact_is_quiet(make: Make) -> None:
    chip = _chip()
    bench = _marked(make(chip))
    bench.state[places.DRIVE] = 1
    bench.poll(awake=True)
    bench.unseat()
    bench.state[places.DRIVE] = 0  # the tick has stopped the motor
    bench.state[places.STOP_REASON] = places.STOP_LINE
    bench.state[places.STOPPED_LINES] = 1 << board.PIN_CARTRIDGE_N
    bench.poll(awake=True)
    assert (bench.part.fault, bench.part.blockers) == (faults.CARTRIDGE_LOST, ABSENT)
    for k in range(6):
        bench.contact = k % 2
        bench.rest(900)
        assert bench.part.fault == faults.CARTRIDGE_LOST, "a loose contact is not quiet"
    bench.seat(chip)
    bench.rest(1500)
    assert bench.part.fault == faults.NONE and bench.part.blockers == 0 and bench.part.marked


def test_a_spike_of_the_contact_that_the_tick_ignores_changes_nothing(make: Make) -> None:
    bench = _marked(make(_chip()))
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
    bench = _marked(make(_chip()))
    bench.unseat()
    bench.state[places.STOP_REASON] = places.STOP_LINE
    bench.state[places.STOPPED_LINES] = 1 << board.PIN_VBUS_SENSE
    bench.poll(awake=True)
    assert bench.part.fault == faults.NONE


def test_the_modules_speak_of_the_same_chip() -> None:
    assert layout.PROTECTION_ADDRESS + len(layout.PROTECTION) <= chips.MEMORY_BYTES
    assert part.layout is layout
