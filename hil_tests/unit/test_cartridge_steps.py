"""The cartridge part step by step, on a chip that is a list of bytes: what it does in which pass, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from needlepen.cartridges.records import Record, make_memory
from needlepen.cartridges.tables import load_types
from needlepen.emulator.ds2431 import make_rom
from needlepen.firmware_modules import firmware_module

part = firmware_module("pen.cartridge")
chips = firmware_module("pen.ds2431")
layout = firmware_module("pen.cartridge_record")
uses = firmware_module("pen.cartridge_use")
S = firmware_module("pen.states")
faults = firmware_module("pen.faults")
places = firmware_module("pen.places")
board = firmware_module("pen.board")

KEY, ROM, PEN_ID = bytes(range(32)), make_rom(b"\1\2\3\4\5\6"), bytes(range(8))
DAY_S, EXPIRY = 86_400, date(2028, 2, 29)
EXPIRY_DAY = (EXPIRY - date(2000, 1, 1)).days
MEMORY = bytes(make_memory(Record(load_types().with_needles(24), "L1", EXPIRY), ROM, KEY))[
    : chips.MEMORY_BYTES
]
UNREADABLE, FOREIGN, USED = (
    S.BLOCK_CARTRIDGE_UNREADABLE, S.BLOCK_CARTRIDGE_FOREIGN, S.BLOCK_CARTRIDGE_USED,
)  # fmt: skip
READING, ABSENT, EXPIRED = S.BLOCK_CARTRIDGE_READING, S.BLOCK_CARTRIDGE_ABSENT, S.BLOCK_CARTRIDGE_EXPIRED
READ_ALL = [("identify",), ("read", 0, chips.MEMORY_BYTES)]
ACCEPTED = [*READ_ALL, ("prepare", 0x40)]


class Chip:
    """Does what Ds2431 does. `calls`: each command; `fails`: what the next commands raise; `slices`: device time of the
    slices that a command is made of, us."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.rom, self.memory = clock, ROM, bytearray(MEMORY)
        self.calls: list[tuple[Any, ...]] = []
        self.fails: list[str] = []
        self.slices: list[int] = []

    def _do(self, *call: Any) -> Generator[None]:
        self.calls.append(call)
        for us in self.slices:
            self.clock.us += us
            yield
        self._fail()

    def _fail(self) -> None:
        if self.fails:
            raise chips.ChipError(self.fails.pop(0))

    def identify(self) -> Generator[None, None, bytes]:
        yield from self._do("identify")
        return self.rom

    def read(self, address: int, count: int) -> Generator[None, None, bytes]:
        yield from self._do("read", address, count)
        return bytes(self.memory[address : address + count])

    def prepare(self, address: int, row: bytes) -> Generator[None]:
        yield from self._do("prepare", address)
        self.scratchpad = row

    def verify(self, address: int, row: bytes) -> Generator[None]:
        yield from self._do("verify", address)
        assert row == self.scratchpad

    def write(self, address: int, row: bytes) -> Generator[None]:
        yield from self._do("write", address)
        self.memory[address : address + 8] = row

    def copy_now(self, address: int, wanted: bytes) -> None:
        self.calls.append(("copy", address, wanted))
        self._fail()
        self.memory[address : address + 8] = self.scratchpad


class Clock:
    """Time passes when it is told to."""

    def __init__(self) -> None:
        self.us = 0

    def ticks_us(self) -> int:
        return self.us

    @staticmethod
    def ticks_diff(later: int, earlier: int) -> int:
        return later - earlier


class Pen:
    """A part with its chip seated; `now_ms` is the time of the passes."""

    def __init__(self, clock: Clock, keys: Any) -> None:
        self.chip = Chip(clock)
        self.contact = 0
        self.state = [0] * places.SIZE
        self.clock_s: int | None = None
        self.now_ms = 0
        self.part = part.Cartridge(
            self.chip,
            lambda: self.contact,
            self.state,
            lambda a, b: a - b,
            PEN_ID,
            lambda: self.clock_s,
            keys,
        )

    def poll(self, ms: int = 8, awake: bool = False) -> int:
        """A pass so many ms after the one before; the blockers."""
        self.now_ms += ms
        self.part.poll(self.now_ms, awake)
        blockers: int = self.part.blockers
        return blockers

    def calls(self) -> list[tuple[Any, ...]]:
        """The commands since the last time."""
        found = list(self.chip.calls)
        self.chip.calls.clear()
        return found

    def seated(self) -> Pen:
        """The contact has settled: the next pass begins to read."""
        assert self.poll() == READING and self.poll(50) == READING and not self.calls()
        return self

    def accepted(self) -> Pen:
        """Read, its mark in the scratchpad, nothing of it used."""
        self.seated().until(lambda: self.part.accepted)
        assert self.calls() == ACCEPTED
        return self

    def marked(self) -> Pen:
        assert self.accepted().part.mark_used() is None
        self.poll()
        self.chip.calls.clear()
        return self

    def until(self, holds: Callable[[], bool]) -> None:
        for _ in range(20):
            if holds():
                return
            self.poll()
        raise AssertionError(self.part.reason)

    def refused(self) -> tuple[int, str]:
        """Blockers and reason when reading has ended."""
        self.until(lambda: not self.part.blockers & (READING | ABSENT))
        self.chip.calls.clear()
        return self.part.blockers, self.part.reason

    def unseat(self) -> None:
        self.contact = 1
        self.poll()

    def run(self, ms: int) -> None:
        """The motor turns for so long; seen at begin and end."""
        self.state[places.DRIVE] = 1
        self.poll(awake=True)
        self.state[places.TICKS] += ms
        self.poll(ms, awake=True)
        self.state[places.DRIVE] = 0
        self.poll(awake=True)


@pytest.fixture
def pen(monkeypatch: pytest.MonkeyPatch) -> Pen:
    clock = Clock()
    monkeypatch.setattr(part, "time", clock)
    return Pen(clock, SimpleNamespace(cartridge=KEY, development=False))


# ---------------------------------------------------------------------- seating and reading
def test_at_the_start_nothing_is_known(pen: Pen) -> None:
    for name, value in {
        "fault": faults.NONE, "blockers": ABSENT, "warnings": 0, "busy": False, "stop_note": S.NOTE_NONE,
        "rom": None, "record": None, "reason": "", "_job": None, "_tries": 0, "_refusal": 0, "_mark": b"",
        "_seen": b"", "_running": False, "_started": False, "_in_run": False, "_ticks": 0, "_last_ms": 0,
        "_moved_ms": 0, "_checked_ms": 0, "present": False, "accepted": False, "marked": False, "left_ms": 0,
        "needles": 0, "depth_limit_um": 0,
    }.items():  # fmt: skip
        assert getattr(pen.part, name) == value, name
    assert pen.part.minimum_rate_hz(1_000) == 0


def test_a_cartridge_is_read_50_ms_after_it_was_seated(pen: Pen) -> None:
    pen.contact = 1
    assert pen.poll(5_000) == ABSENT and not pen.part.busy
    pen.contact = 0
    assert pen.poll() == READING and pen.part.present and pen.part.busy
    assert pen.poll(49) == READING and pen.part._phase == 1 and pen.part.busy
    assert pen.poll(1) == READING and pen.part._phase == 2 and not pen.calls() and pen.part.busy
    pen.until(lambda: pen.part.accepted)
    assert pen.calls() == ACCEPTED and pen.part.left_ms == uses.WHOLE_MS
    assert not pen.part.busy and not pen.part.marked and pen.part.reason == "" and pen.part.warnings == 0
    assert (pen.part.rom, pen.part.needles, pen.part.depth_limit_um) == (ROM, 24, 2_000)
    assert pen.part.minimum_rate_hz(1_000) == layout.minimum_rate_hz(24, 1_000) > 0
    assert pen.chip.scratchpad == layout.mark_row(None, PEN_ID) and pen.part._seen == b""


def test_a_contact_that_opens_meanwhile_settles_anew(pen: Pen) -> None:
    pen.poll()
    pen.poll(40)
    pen.unseat()
    assert pen.part.blockers == ABSENT and not pen.part.present
    pen.contact = 0
    pen.poll()
    pen.poll(49)
    assert pen.part._phase == 1
    pen.poll(1)
    assert pen.part._phase == 2


def test_a_reading_ends_when_it_is_taken_out(pen: Pen) -> None:
    pen.seated().poll()
    assert pen.calls() and pen.part._job is not None
    pen.unseat()
    pen.contact = 0
    pen.seated()
    assert pen.poll() == READING and pen.calls() == READ_ALL, "from the beginning"


def test_a_pass_does_slices_for_2_ms_and_rests_when_there_is_nothing_to_do(pen: Pen) -> None:
    pen.seated()
    pen.chip.slices = [1_999, 1, 700, 1_300, 2_000, 5]
    for us in (2_000, 4_000, 6_000):
        assert pen.poll() == READING and pen.chip.clock.us == us and pen.part.busy
    assert pen.part._job is not None


def test_reading_pauses_after_the_memory_and_after_the_check(pen: Pen) -> None:
    """Each of the two takes its time."""
    pen.seated()
    for _ in range(2):
        assert pen.poll() == READING and pen.calls() in (READ_ALL, []) and pen.part.busy
    assert pen.poll() == 0 and pen.calls() == [("prepare", 0x40)]


def test_a_pass_while_awake_drops_the_work_and_leaves_the_bus_alone(pen: Pen) -> None:
    pen.seated()
    pen.poll()
    assert pen.part._job is not None and pen.calls()
    assert pen.poll(awake=True) == READING and pen.part._job is None and not pen.part.busy and not pen.calls()
    pen.until(lambda: pen.part.accepted)
    assert pen.calls() == ACCEPTED, "from the beginning"


def test_while_awake_what_is_said_is_renewed_every_100_ms(pen: Pen) -> None:
    pen.accepted()
    pen.poll(100, awake=True)
    pen.part.blockers = 77
    assert pen.poll(99, awake=True) == 77
    assert pen.poll(1, awake=True) == 0
    pen.part.blockers = 77
    pen.contact = 1
    assert pen.poll(1, awake=True) == ABSENT, "and at once without a cartridge"


# ---------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"memory": b"\xff" * 0x88}, (UNREADABLE, "the cartridge holds no record")),
        ({"rom": make_rom(b"\1\2\3\4\5\7")}, (FOREIGN, layout.COUNTERFEIT)),
        ({"memory": MEMORY[:0x40] + bytes(8) + MEMORY[0x48:]}, (USED, "used in another session")),
        ({"memory": MEMORY[:0x48] + b"\xfe" + MEMORY[0x49:]}, (USED, "used in another session")),
    ],
)
def test_what_reads_alike_twice_is_refused(pen: Pen, change: dict[str, Any], told: tuple[int, str]) -> None:
    for name, value in change.items():
        setattr(pen.chip, name, value)
    pen.seated()
    assert pen.refused() == told and pen.part.rom == pen.chip.rom and not pen.part.busy
    assert pen.part.left_ms == 0 and not pen.part.accepted and pen.part.present
    assert (pen.part.record is not None) == (told[0] == USED)


def test_a_first_reading_that_is_refused_is_read_again(pen: Pen) -> None:
    pen.chip.memory[2] ^= 1
    pen.seated()
    pen.until(lambda: pen.part._tries == 1)
    assert pen.part.blockers == READING and pen.calls() == READ_ALL
    pen.chip.memory[2] ^= 1
    pen.until(lambda: pen.part.accepted)
    assert pen.part._seen == b"" and pen.part._tries == 0


def test_readings_that_differ_are_unreadable_at_the_third(pen: Pen) -> None:
    pen.seated()
    for count in range(1, 4):
        pen.chip.memory[20] = count
        pen.until(lambda count=count: pen.part._tries == count)  # type: ignore[misc]
        assert pen.part.blockers == (UNREADABLE if count == 3 else READING)
    assert pen.part.reason == "the record is damaged"


def test_a_development_build_says_why_it_takes_no_treatment_cartridge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(part, "time", clock)
    for development, reason in (
        (True, "development build: no treatment cartridges"),
        (False, layout.COUNTERFEIT),
    ):
        pen = Pen(clock, SimpleNamespace(cartridge=bytes(32), development=development)).seated()
        assert pen.refused() == (FOREIGN, reason)
    other = Pen(clock, SimpleNamespace(cartridge=KEY, development=True))
    other.chip.memory[0x80] = 0
    assert other.seated().refused() == (FOREIGN, "its memory is not locked")


def test_without_keys_it_is_read_again_every_2_s_until_there_are_some(pen: Pen) -> None:
    keys, pen.part.keys = pen.part.keys, None
    pen.seated()
    assert pen.refused() == (S.BLOCK_KEYS_MISSING, "the pen has no key to check it")
    assert pen.poll(1_999) == S.BLOCK_KEYS_MISSING and not pen.calls()
    pen.part.keys = keys
    pen.poll(1)
    assert pen.calls() == READ_ALL
    pen.until(lambda: pen.part.accepted)


def test_only_what_may_be_mended_is_read_again(pen: Pen) -> None:
    pen.chip.memory[0] = 0
    pen.seated()
    assert pen.refused() == (FOREIGN, "not a cartridge of this pen")
    for _ in range(3):
        assert pen.poll(2_500) == FOREIGN and not pen.calls()


def test_a_refused_cartridge_that_fails_again_stays_refused(pen: Pen) -> None:
    pen.chip.memory[:] = b"\xff" * len(pen.chip.memory)
    pen.seated()
    assert pen.refused()[0] == UNREADABLE
    pen.part._tries = 0
    pen.chip.fails = ["no answer"]
    assert pen.poll(2_000) == UNREADABLE and pen.part.reason == "no answer" and pen.calls() == READ_ALL[:1]
    assert pen.part._tries == 1
    assert pen.poll(1_999) == UNREADABLE and not pen.calls(), "not before 2 s have passed"
    pen.poll(1)
    assert pen.calls() == READ_ALL[:1] + READ_ALL[1:]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_three_errors_in_a_row_refuse(pen: Pen, count: int) -> None:
    pen.chip.fails = ["no answer"] * count
    pen.seated()
    for _ in range(count):
        pen.poll()
    assert pen.calls() == READ_ALL[:1] * count
    if count == 3:
        assert (pen.part.blockers, pen.part.reason) == (UNREADABLE, "no answer")
    else:
        assert pen.part.blockers == READING and pen.part.busy
        pen.until(lambda: pen.part.accepted)
        assert pen.part._tries == 0


def test_errors_with_one_cartridge_do_not_count_for_the_next(pen: Pen) -> None:
    pen.chip.fails = ["no answer"] * 2
    pen.seated()
    pen.poll()
    pen.poll()
    pen.unseat()
    assert pen.part._tries == 0 and pen.calls()
    pen.contact = 0
    pen.chip.fails = ["no answer"] * 2
    pen.seated()
    pen.poll()
    assert pen.poll() == READING


def test_taking_it_out_forgets_all_about_it(pen: Pen) -> None:
    pen.accepted()
    pen.unseat()
    assert (pen.part.rom, pen.part.record, pen.part.reason, pen.part.blockers) == (None, None, "", ABSENT)
    pen.contact = 0
    pen.chip.memory[2] ^= 1
    pen.seated()
    assert pen.refused()[0] == UNREADABLE
    pen.unseat()
    assert pen.part.reason == "" and pen.part._seen == b"" and not pen.part.busy
    pen.contact = 0
    pen.seated()
    pen.until(lambda: pen.part._tries == 1)
    assert pen.part.blockers == READING, "it is read twice again"


# ---------------------------------------------------------------------- waiting with the mark in the scratchpad
def test_the_scratchpad_is_verified_every_2_s(pen: Pen) -> None:
    pen.accepted()
    assert pen.poll(1_999) == 0 and not pen.calls()
    assert pen.poll(1) == 0 and pen.calls() == [("verify", 0x40)]
    assert pen.poll(1_999) == 0 and not pen.calls()
    pen.chip.fails = ["check sum"]
    assert pen.poll(1) == READING and pen.calls() == [("verify", 0x40)] and pen.part._tries == 1
    pen.until(lambda: pen.part.accepted)
    assert pen.calls() == ACCEPTED


def test_an_error_of_the_verification_is_looked_at_at_once(pen: Pen) -> None:
    pen.accepted()
    pen.part._tries = 2
    pen.poll(1)
    assert pen.calls() == [("verify", 0x40)] and pen.part._tries == 0 and pen.part.blockers == 0


def test_a_new_day_is_put_into_the_mark(pen: Pen) -> None:
    pen.accepted()
    pen.clock_s = 9_000 * DAY_S
    assert pen.poll(2_000) == READING and pen.chip.calls == READ_ALL, "at once"
    pen.until(lambda: pen.part.accepted)
    assert pen.calls() == ACCEPTED and pen.chip.scratchpad == layout.mark_row(9_000, PEN_ID)


def test_the_date_forbids_a_cartridge_the_day_after_its_last(pen: Pen) -> None:
    pen.accepted()
    pen.clock_s = (EXPIRY_DAY + 1) * DAY_S - 1
    assert pen.poll() == 0
    pen.clock_s += 1
    assert pen.poll() == EXPIRED and pen.part.mark_used() == "the cartridge is not ready"
    pen.clock_s = None
    assert pen.poll() == 0


# ---------------------------------------------------------------------- the mark
def test_the_first_press_marks_and_later_ones_touch_nothing(pen: Pen) -> None:
    pen.accepted()
    pen.clock_s = 9_000 * DAY_S
    pen.part._job = "something"
    assert pen.part.mark_used() is None and pen.part._job is None
    assert pen.calls() == [("copy", 0x40, bytes(4))] and pen.part.marked and pen.part.blockers == 0
    assert (pen.part.use.rom, pen.part.use._mark, pen.part.use._clock_s) == (
        ROM, layout.mark_row(None, PEN_ID), 9_000 * DAY_S,
    )  # fmt: skip
    assert pen.part.left_ms == uses.WHOLE_MS and pen.part._started and pen.part._in_run
    pen.part._started = pen.part._in_run = False
    assert pen.part.mark_used() is None and not pen.calls()
    assert pen.part._started and pen.part._in_run


def test_a_press_ends_the_look_at_the_scratchpad(pen: Pen) -> None:
    pen.accepted()
    pen.chip.slices = [5_000, 5_000]
    pen.poll(2_000)
    assert pen.part.busy and pen.part._job is not None
    assert pen.part.mark_used() is None and pen.part._job is None and not pen.part.busy


def test_without_a_seated_and_accepted_cartridge_there_is_no_mark(pen: Pen) -> None:
    assert pen.part.mark_used() == "the cartridge is not ready"
    pen.accepted()
    pen.contact = 1
    assert pen.part.mark_used() == "the cartridge is not ready"
    assert not pen.calls() and not pen.part._started


def test_a_mark_that_fails_is_a_fault_until_it_is_taken_out(pen: Pen) -> None:
    pen.accepted()
    pen.chip.fails = ["copy not done"]
    assert pen.part.mark_used() == "used mark: copy not done" == pen.part.reason
    assert (pen.part.fault, pen.part.blockers, pen.part.marked) == (faults.CARTRIDGE_MARK, UNREADABLE, False)
    pen.calls()
    for _ in range(3):
        assert pen.poll(3_000) == UNREADABLE and not pen.calls() and pen.part.fault == faults.CARTRIDGE_MARK
    pen.unseat()
    assert pen.part.fault == faults.NONE


def test_the_mark_is_looked_at_every_2_s(pen: Pen) -> None:
    pen.marked()
    pen.poll(2_000)
    assert pen.calls() == [("read", 0x40, 4)] and pen.part.blockers == 0
    assert pen.poll(1_999) == 0 and not pen.calls()
    pen.chip.memory[0x43] = 1
    assert pen.poll(1) == READING
    assert pen.part._tries == 1
    assert pen.refused() == (USED, "used in another session")


def test_a_marked_cartridge_is_taken_again_in_its_session(pen: Pen) -> None:
    pen.marked()
    pen.unseat()
    pen.contact = 0
    pen.seated().until(lambda: pen.part.accepted)
    assert pen.calls() == READ_ALL and pen.part.marked and pen.part._seen == b""


# ---------------------------------------------------------------------- time of use
def test_time_counts_while_the_motor_turns(pen: Pen) -> None:
    pen.marked()
    use = pen.part.use
    pen.state[places.TICKS] = 500
    pen.poll(100)
    first = use.used_ms
    pen.state[places.TICKS] = 800
    pen.poll(100)
    assert use.used_ms == first, "awake, and the motor stood"
    pen.state[places.DRIVE] = 1
    pen.poll(1, awake=True)
    assert use.used_ms == first
    pen.state[places.TICKS] = 850
    pen.poll(99, awake=True)
    assert use.used_ms == first
    pen.poll(1, awake=True)
    assert use.used_ms == first + 50
    pen.poll(100, awake=True)
    assert use.used_ms == first + 50, "no tick, no time"
    pen.state[places.DRIVE], pen.state[places.TICKS] = 0, 870
    pen.poll(1, awake=True)
    assert use.used_ms == first + 70, "at the end at once"
    pen.state[places.DRIVE] = 2
    pen.state[places.TICKS] = 970
    pen.poll(100, awake=True)
    assert use.used_ms == first + 70, "it brakes"


def test_a_press_between_two_passes_counts_from_the_ticks_of_its_waking(pen: Pen) -> None:
    pen.marked()
    use = pen.part.use
    pen.state[places.TICKS] = 900
    pen.poll(100)
    begun = use.used_ms
    pen.state[places.TICKS] = 40
    assert pen.part.mark_used() is None and pen.part._ticks == 0
    pen.state[places.TICKS] = 340
    pen.poll(1_000)
    assert use.used_ms == begun + 340 and not pen.part._started
    assert pen.part.mark_used() is None and pen.part._ticks == 340, "they went on"
    pen.state[places.TICKS] = 30
    pen.poll(1_000)
    assert use.used_ms == begun + 370, "they began anew"
    pen.state[places.TICKS] = 50
    pen.poll(1_000)
    assert use.used_ms == begun + 370


def test_the_window_passes_with_each_count(pen: Pen) -> None:
    pen.marked()
    use = pen.part.use
    pen.poll(100)
    begun = use.window_ms
    pen.poll(99)
    assert use.window_ms == begun
    pen.poll(1)
    assert use.window_ms == begun + 100
    pen.clock_s = 50
    use._clock_s = 49
    pen.poll(100)
    assert use.window_ms == max(begun + 200, 1_000)


def test_the_last_five_minutes_are_a_warning_and_the_end_stops_a_run(pen: Pen) -> None:
    pen.marked()
    use = pen.part.use
    use.used_ms = uses.WHOLE_MS - 300_000
    use.minutes_written = use.minutes
    assert pen.poll() == 0 and pen.part.warnings == 0 and pen.part.left_ms == 300_000
    use.used_ms += 1
    assert pen.poll() == 0 and pen.part.warnings == S.WARN_CARTRIDGE_TIME
    pen.state[places.DRIVE] = 1
    pen.poll(1, awake=True)
    use.used_ms = uses.WHOLE_MS - 1
    pen.poll(100, awake=True)
    assert pen.part.stop_note == S.NOTE_NONE and pen.part.blockers == 0
    use.used_ms += 1
    pen.poll(100, awake=True)
    assert pen.part.stop_note == S.NOTE_CARTRIDGE_TIME and pen.part.blockers == EXPIRED
    pen.state[places.DRIVE] = 0
    pen.poll(1, awake=True)
    assert pen.part.stop_note == S.NOTE_NONE and pen.part.blockers == EXPIRED
    assert pen.part.mark_used() == "the cartridge is not ready"


def test_a_session_that_is_over_says_nothing_about_a_fresh_cartridge(pen: Pen) -> None:
    pen.accepted()
    assert pen.part.use.left_ms == 0 and pen.part.warnings == 0 and pen.part.stop_note == S.NOTE_NONE
    pen.part._running = True
    pen.part._conclude()
    assert pen.part.stop_note == S.NOTE_NONE and pen.part.blockers == 0


def test_each_begun_minute_is_written_at_rest(pen: Pen) -> None:
    pen.marked()
    pen.run(1)
    assert not pen.part.busy
    assert pen.part._minutes_due() and not pen.calls()
    pen.poll()
    assert pen.calls() == [("write", 0x48)] and not pen.part.busy and pen.part.use.minutes_written == 1
    assert pen.chip.memory[0x48:0x50] == layout.minutes_row(1) and pen.part.blockers == 0
    pen.run(59_999)
    pen.poll()
    assert ("write", 0x48) not in pen.calls()
    pen.run(1)
    pen.poll()
    assert pen.calls() == [("write", 0x48)] and pen.part.use.minutes_written == 2


def test_no_more_minutes_are_written_than_the_chip_has_room_for(pen: Pen) -> None:
    pen.marked()
    pen.part.use.used_ms = 70 * 60_000
    pen.poll()
    assert pen.chip.memory[0x48:0x50] == bytes(8) and pen.part.use.minutes_written == 64
    pen.calls()
    pen.poll()
    assert not pen.calls() and not pen.part.busy


def test_minutes_wait_for_a_cartridge_that_is_marked(pen: Pen) -> None:
    pen.accepted()
    pen.part.use.used_ms = 90_000
    assert pen.poll() == 0 and not pen.calls() and not pen.part.busy


def test_minutes_that_fail_block_until_they_are_written(pen: Pen) -> None:
    pen.marked()
    pen.chip.fails = ["copy not done"]
    pen.run(1)
    assert pen.poll() == READING and pen.part._tries == 1 and pen.part.busy
    assert pen.calls() == [("write", 0x48)]
    for _ in range(2):
        pen.poll()
    assert pen.poll() in (0, READING) and pen.calls()[:2] == READ_ALL
    pen.until(lambda: pen.part.accepted)
    assert pen.part.use.minutes_written == 1 and pen.part._tries == 0


# ---------------------------------------------------------------------- losing it
def _lost(pen: Pen, reason: int, lines: int) -> int:
    pen.marked()
    pen.part.mark_used()
    pen.state[places.STOP_REASON], pen.state[places.STOPPED_LINES] = reason, lines
    pen.contact = 1
    pen.poll()
    fault: int = pen.part.fault
    return fault


def test_a_run_that_the_contact_ended_is_a_fault_for_a_quiet_second(pen: Pen) -> None:
    assert _lost(pen, places.STOP_LINE, 1 << board.PIN_CARTRIDGE_N | 1) == faults.CARTRIDGE_LOST
    assert pen.part.blockers == ABSENT and not pen.part._in_run
    pen.poll(999)
    assert pen.part.fault == faults.CARTRIDGE_LOST
    pen.poll(1)
    assert pen.part.fault == faults.NONE
    pen.poll()
    assert pen.part.fault == faults.NONE, "the run is over"


def test_a_contact_that_moves_is_not_quiet(pen: Pen) -> None:
    _lost(pen, places.STOP_LINE, 1 << board.PIN_CARTRIDGE_N)
    pen.poll(600)
    pen.contact = 0
    pen.poll(100)
    pen.poll(600)
    assert pen.part.fault == faults.CARTRIDGE_LOST and pen.part.present
    pen.unseat()
    pen.poll(999)
    assert pen.part.fault == faults.CARTRIDGE_LOST
    pen.poll(1)
    assert pen.part.fault == faults.NONE


@pytest.mark.parametrize(
    ("reason", "lines"),
    [
        (places.STOP_LINE, 0),
        (places.STOP_LINE, ~(1 << board.PIN_CARTRIDGE_N)),
        (places.STOP_LINE - 1, 1 << board.PIN_CARTRIDGE_N),
        (places.STOP_LINE + 1, 1 << board.PIN_CARTRIDGE_N),
    ],
)
def test_a_run_that_something_else_ended_is_none(pen: Pen, reason: int, lines: int) -> None:
    assert _lost(pen, reason, lines) == faults.NONE


def test_taken_out_at_rest_is_no_fault(pen: Pen) -> None:
    pen.marked()
    pen.part.mark_used()
    pen.poll()
    pen.state[places.STOP_REASON], pen.state[places.STOPPED_LINES] = (
        places.STOP_LINE,
        1 << board.PIN_CARTRIDGE_N,
    )
    pen.unseat()
    assert pen.part.fault == faults.NONE


def test_while_the_motor_turns_the_contact_is_for_the_tick_to_judge(pen: Pen) -> None:
    pen.marked()
    pen.part.mark_used()
    pen.state[places.DRIVE] = 1
    pen.contact = 1
    for _ in range(3):
        pen.poll(100, awake=True)
    assert pen.part.present and pen.part.blockers == 0 and pen.part._in_run


def test_without_a_fault_nothing_is_forgotten(pen: Pen) -> None:
    pen.marked()
    pen.part.fault = faults.CARTRIDGE_MARK
    pen.poll(5_000)
    assert pen.part.fault == faults.CARTRIDGE_MARK
