"""The control tick on CPython, with the chip's registers as a table: when it stops the motor, and with which reason.

SR-02 to SR-14 to their last microsecond; what the real chip does with it is measured on the emulated pen.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator

import pytest

from needlepen import requirements
from needlepen.firmware_modules import firmware_module

control = firmware_module("pen.control")
board = firmware_module("pen.board")
p = firmware_module("pen.places")
LIMIT = requirements.load().limit

GPIO_IN, GPIO_SET, GPIO_CLEAR, TIMER = 0xD000_0004, 0xD000_0014, 0xD000_0018, 0x4005_4028
PWM_LEVEL = 0x4005_0020
PIO0, PIO0_BEATS, PIO0_FLAGS, PIO0_HEARTBEAT_AT = 0x5020_0000, 0x5020_0014, 0x5020_0030, 0x5020_00EC
PIO1, PIO1_CLEAR = 0x5030_0000, 0x5030_3000
CODES, EDGES, WRITE_AT = 0x2000_1000, 0x2000_2000, 0x2000_3000  # the rings that DMA fills
CUT = 0x10
TICK_BIT, TRIGGER, KICK, OTHER, UNWATCHED = (
    1 << pin for pin in (board.PIN_TICK, board.PIN_TRIGGER_N, board.PIN_WDT_KICK, 20, 21)
)
PERIOD = board.PWM_N_PERIOD_CLOCKS
BEAT = 62  # 48 us each: 3 ms (SR-10)
NOW_US = 50_000_000
THRESHOLD_HZ = float(LIMIT("SR-06", "threshold_hz"))
TURN_US, HALF_US = math.floor(1e6 / (THRESHOLD_HZ - 0.8)), math.floor(0.5e6 / (THRESHOLD_HZ + 0.2))
AHEAD_US = math.floor(1e6 / (THRESHOLD_HZ + 0.2))
STALL_US = 1_000 * int(LIMIT("SR-08", "brake_ms")) - 2_000
FIRST_US = 24_000
MAIN_MS, DEPTH_MS, LINE_MS = 100, int(LIMIT("SR-02", "trip_ms")) // 2, 2


class Pointer:
    """A cast address: `[i]` reads and writes the word or half word there."""

    def __init__(self, chip: Chip, address: int, size: int) -> None:
        self._chip, self._address, self._size = chip, address, size

    def __getitem__(self, i: int) -> int:
        return self._chip.read(self._address + self._size * i)

    def __setitem__(self, i: int, value: int) -> None:
        self._chip.writes.append((self._address + self._size * i, value))


class Chip:
    """Registers and memory; `writes` in their order. A steady run at 100 Hz until a test says otherwise."""

    def __init__(self) -> None:
        self.cost_us = 40
        self.writes: list[tuple[int, int]] = []
        self.memory = {GPIO_IN: UNWATCHED, PIO0: 7, PIO1: 3, PIO0_FLAGS: 0xEF, PIO0_HEARTBEAT_AT: 21}
        self.memory |= {CODES + 2 * k: 0 for k in range(32)} | {EDGES + 4 * k: 0 for k in range(16)}
        self.memory[WRITE_AT] = EDGES
        self._clock = 0

    def read(self, address: int) -> int:
        if address == TIMER:
            self._clock += 1
            return NOW_US + (self.cost_us if self._clock > 1 else 0)
        return self.memory[address]

    def codes(self, channel: int, codes: list[int]) -> None:
        for k, code in enumerate(codes):
            self.memory[CODES + 2 * (4 * k + channel)] = code

    def last(self, address: int) -> int | None:
        """What was written there last, None for nothing."""
        return next((value for place, value in reversed(self.writes) if place == address), None)


class Tick:
    def __init__(self, chip: Chip) -> None:
        self.chip, self.s = chip, control.state
        for place in range(p.SIZE):
            self.s[place] = 0
        self.put(
            EDGE_RING=EDGES, EDGE_WRITE=WRITE_AT, ADC_RING=CODES, TICKS=10, GRID_US=NOW_US - 1_000, DRIVE=1,
            EDGES=100, EDGE_US=NOW_US - 1_000, QUARTER_US=2_500, TURN_US=10_000, HALF_US=5_000, AHEAD_US=10_000,
            WATCHED=1, LINE_MASK=TRIGGER | OTHER, DEPTH_HIGH_SUM=30_000, RATE_MHZ=100_000, SET_MHZ=100_000,
            TARGET_MHZ=100_000, CURRENT_LIMIT_MA=1_500,
        )  # fmt: skip
        chip.codes(3, [1_600] * 8)

    def put(self, **places: int) -> Tick:
        for name, value in places.items():
            self.s[getattr(p, name)] = value
        return self

    def get(self, name: str) -> int:
        return int(self.s[getattr(p, name)])

    def go(self) -> Tick:
        control.tick(None)
        return self

    def goes_on(self) -> bool:
        """Tick once; whether the motor goes on, fed and driven, or was stopped in every way that there is."""
        self.go()
        beat, level = self.chip.last(PIO0_BEATS), self.chip.last(PWM_LEVEL)
        if self.get("DRIVE"):
            assert self.get("STOP_REASON") == 0
            assert (beat, level) == (BEAT, PERIOD - self.get("ON_COUNTS")) and 0 < self.get(
                "ON_COUNTS"
            ) < PERIOD
            return True
        overspeed = self.get("STOP_REASON") == p.STOP_OVERSPEED
        assert (beat, level) == (0, None if overspeed else PERIOD) and self.get("STOP_REASON") != 0
        return False

    def stops_for(self, reason: int) -> None:
        assert not self.goes_on() and self.get("STOP_REASON") == reason


@pytest.fixture
def tick(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tick]:
    chip = Chip()
    for name, size in (("ptr32", 4), ("ptr16", 2)):
        monkeypatch.setattr(
            control, name, lambda at, size=size: Pointer(chip, at, size) if isinstance(at, int) else at
        )
    yield Tick(chip)


def test_a_steady_run_goes_on(tick: Tick) -> None:
    assert tick.goes_on()


# ---------------------------------------------------------------------- time
def test_each_tick_begins_and_ends_with_its_pin_and_keeps_its_time(tick: Tick) -> None:
    tick.put(MAIN_AGE_MS=7).go()
    assert tick.chip.writes[0] == (GPIO_SET, TICK_BIT) and tick.chip.writes[-1] == (GPIO_CLEAR, TICK_BIT)
    assert [tick.get(name) for name in ("NOW_US", "GRID_US", "TICKS", "MAIN_AGE_MS")] == [
        NOW_US,
        NOW_US,
        11,
        8,
    ]


@pytest.mark.parametrize(
    ("grid_us", "ticks", "drive", "before", "jitter"),
    [
        (1_007, 10, 1, 0, 7),
        (993, 10, 1, 0, 7),
        (1_007, 10, 1, 6, 7),
        (1_007, 10, 1, 8, 8),
        (1_007, 1, 1, 0, 7),
        (1_007, 0, 1, 0, 0),
        (1_007, 10, 0, 0, 0),
    ],
)
def test_jitter_is_the_worst_distance_from_1_ms_while_driven(
    tick: Tick, grid_us: int, ticks: int, drive: int, before: int, jitter: int
) -> None:
    tick.put(GRID_US=NOW_US - grid_us, TICKS=ticks, DRIVE=drive, JITTER_US=before).go()
    assert tick.get("JITTER_US") == jitter


@pytest.mark.parametrize(("before_us", "cost_us"), [(0, 40), (39, 40), (41, 41)])
def test_the_longest_tick_is_kept(tick: Tick, before_us: int, cost_us: int) -> None:
    assert tick.put(COST_US=before_us).go().get("COST_US") == cost_us


# ---------------------------------------------------------------------- converter
def test_current_cell_and_depth_are_those_of_their_last_eight_codes(tick: Tick) -> None:
    """Each code has a weight of its own, so that none counts twice and none is left out."""
    sums = {0: 2_048, 1: 1_024, 2: 0, 3: 3_072}
    for k in range(8):
        for channel, code in sums.items():
            tick.chip.codes(channel, [code if k == j else 0 for j in range(8)])
        tick.put(DRIVE=0, I2_SUM=5).go()
        ma = sums[0] * board.ADC_MOTOR_CURRENT_MA_PER_LSB_Q16 // 8 // 65_536
        assert (tick.get("CURRENT_MA"), tick.get("I2_SUM")) == (ma, 5 + ma * ma // 1_024)
        assert tick.get("CELL_MV") == sums[3] // 8 * board.ADC_BATTERY_MV_PER_LSB_Q16 // 65_536
        assert tick.get("DEPTH_SUM") == sums[1]


def test_means_of_full_scale(tick: Tick) -> None:
    for channel in range(4):
        tick.chip.codes(channel, [4_095] * 8)
    tick.put(DRIVE=0).go()
    assert tick.get("CURRENT_MA") == 4_095 * board.ADC_MOTOR_CURRENT_MA_PER_LSB_Q16 // 65_536
    assert tick.get("CELL_MV") == 4_095 * board.ADC_BATTERY_MV_PER_LSB_Q16 // 65_536


@pytest.mark.parametrize(
    ("depth", "bad_ms"), [(800, 0), (799, 4), (1_600, 0), (1_601, 4)], ids=["least", "less", "most", "more"]
)
def test_a_depth_outside_its_window_is_counted_and_inside_forgotten(
    tick: Tick, depth: int, bad_ms: int
) -> None:
    tick.chip.codes(1, [depth, 0, 0, 0, 0, 0, 0, 0])
    tick.put(DEPTH_LOW_SUM=800, DEPTH_HIGH_SUM=1_600, DEPTH_BAD_MS=3)
    assert tick.goes_on() and tick.get("DEPTH_BAD_MS") == bad_ms


# ---------------------------------------------------------------------- index edges
def _ring(tick: Tick, times: dict[int, int], write: int) -> None:
    tick.chip.memory |= {EDGES + 4 * slot: at_us for slot, at_us in times.items()}
    tick.chip.memory[WRITE_AT] = EDGES + 4 * write


def test_new_edges_are_taken_one_after_the_other_around_the_ring(tick: Tick) -> None:
    last_us = NOW_US - 3_000
    _ring(tick, {10: last_us - 7_600, 11: last_us - 5_001, 15: last_us + 2_501, 0: last_us + 2_900}, 1)
    tick.put(EDGE_SLOT=15, EDGE_US=last_us).go()
    assert (tick.get("EDGES"), tick.get("EDGE_SLOT"), tick.get("EDGE_US")) == (102, 1, last_us + 2_900)
    assert (tick.get("QUARTER_US"), tick.get("HALF_US")) == (399, 2_900)
    tick.s[p.EDGES] = 4
    _ring(tick, {12: last_us - 2_000, 0: last_us + 2_900}, 1)
    tick.put(EDGE_SLOT=0, EDGE_US=last_us).go()
    assert tick.get("TURN_US") == 4_900, "the fourth edge before it"


def test_without_a_new_edge_nothing_is_taken(tick: Tick) -> None:
    tick.chip.memory[WRITE_AT] = EDGES + 4 * 9
    tick.put(EDGE_SLOT=9).go()
    assert (tick.get("EDGES"), tick.get("EDGE_SLOT"), tick.get("QUARTER_US")) == (100, 9, 2_500)


def test_times_between_edges_survive_a_clock_that_runs_full(tick: Tick) -> None:
    _ring(tick, {5: 1_201, 1: -8_800}, 6)
    tick.put(EDGE_SLOT=5, EDGE_US=-1_300).go()
    assert (tick.get("QUARTER_US"), tick.get("TURN_US")) == (2_501, 10_001)


def test_times_between_edges_keep_29_bits(tick: Tick) -> None:
    _ring(tick, {5: 0x1FFF_FFFF, 1: 0}, 6)
    tick.put(EDGE_SLOT=5, EDGE_US=0).go()
    assert (tick.get("QUARTER_US"), tick.get("TURN_US")) == (0x1FFF_FFFF, 0x1FFF_FFFF)
    _ring(tick, {6: 0x2000_0001, 2: 0}, 7)
    tick.put(EDGE_SLOT=6, EDGE_US=0).go()
    assert (tick.get("QUARTER_US"), tick.get("TURN_US")) == (1, 1)


# ---------------------------------------------------------------------- SR-12, SR-14: lines
def test_a_released_trigger_stops_at_once(tick: Tick) -> None:
    tick.chip.memory[GPIO_IN] = TRIGGER
    tick.stops_for(p.STOP_RELEASED)


@pytest.mark.parametrize(("before_ms", "stops"), [(LINE_MS - 1, False), (LINE_MS, True)])
def test_another_line_stops_in_its_third_tick(tick: Tick, before_ms: int, stops: bool) -> None:
    tick.chip.memory[GPIO_IN] = OTHER | UNWATCHED
    tick.put(LINE_MS=before_ms)
    if stops:
        tick.stops_for(p.STOP_LINE)
        assert tick.get("STOPPED_LINES") == OTHER
    else:
        assert tick.goes_on() and tick.get("LINE_MS") == before_ms + 1 and tick.get("STOPPED_LINES") == 0


def test_a_line_that_is_good_again_is_forgotten(tick: Tick) -> None:
    assert tick.put(LINE_MS=2).goes_on() and tick.get("LINE_MS") == 0


def test_a_release_counts_beside_another_line(tick: Tick) -> None:
    tick.chip.memory[GPIO_IN] = TRIGGER | OTHER
    tick.put(LINE_MS=5).stops_for(p.STOP_RELEASED)


# ---------------------------------------------------------------------- who else stops it
def test_a_reason_that_the_main_loop_gives_stops_and_stays(tick: Tick) -> None:
    tick.chip.memory[PIO0_FLAGS] = CUT
    tick.put(STOP_REASON=p.STOP_STALL).stops_for(p.STOP_STALL)
    assert tick.get("CUT_AGE_US") == 0


def test_a_cut_by_the_hardware_is_taken_over_with_its_circumstances(tick: Tick) -> None:
    tick.chip.memory[PIO0_FLAGS] = CUT
    tick.stops_for(p.STOP_HARDWARE_CUT)
    assert (tick.get("CUT_AGE_US"), tick.get("HEARTBEAT_AT")) == (1_000, 21)


@pytest.mark.parametrize("watched", [0, 1])
@pytest.mark.parametrize(
    ("pio0", "pio1", "lacks"),
    [
        (7, 3, False), (7, 7, False), (15, 3, False), (6, 3, True), (5, 3, True), (0, 3, True), (7, 2, True),
        (7, 1, True), (7, 0, True), (3, 3, None),
    ],
)  # fmt: skip
def test_every_machine_that_watches_has_to_run(
    tick: Tick, pio0: int, pio1: int, lacks: bool | None, watched: int
) -> None:
    """The index window from the moment on that it watches."""
    tick.chip.memory |= {PIO0: pio0, PIO1: pio1}
    tick.put(WATCHED=watched, EDGES=40)
    if lacks or (lacks is None and watched):
        tick.stops_for(p.STOP_UNSUPERVISED)
        assert tick.get("SUPERVISED") == 0
    else:
        assert tick.goes_on() and tick.get("SUPERVISED") == 1


@pytest.mark.parametrize(("edges", "watched", "goes_on"), [(40, 0, True), (41, 0, False), (41, 1, True)])
def test_from_the_41st_edge_on_the_index_window_has_to_watch(
    tick: Tick, edges: int, watched: int, goes_on: bool
) -> None:
    tick.put(EDGES=edges, WATCHED=watched)
    if goes_on:
        assert tick.goes_on()
    else:
        tick.stops_for(p.STOP_UNSUPERVISED)


@pytest.mark.parametrize(("age_ms", "goes_on"), [(MAIN_MS - 1, True), (MAIN_MS, False)])
def test_a_main_loop_that_is_100_ms_late_stops(tick: Tick, age_ms: int, goes_on: bool) -> None:
    tick.put(MAIN_AGE_MS=age_ms)
    if goes_on:
        assert tick.goes_on()
    else:
        tick.stops_for(p.STOP_MAIN_LATE)


@pytest.mark.parametrize(("bad_ms", "goes_on"), [(DEPTH_MS - 1, True), (DEPTH_MS, False)])
def test_a_depth_outside_its_window_stops_within_half_of_its_time(
    tick: Tick, bad_ms: int, goes_on: bool
) -> None:
    """SR-02: the other half is for what follows."""
    tick.put(DEPTH_LOW_SUM=1, DEPTH_BAD_MS=bad_ms)
    if goes_on:
        assert tick.goes_on()
    else:
        tick.stops_for(p.STOP_DEPTH)


# ---------------------------------------------------------------------- SR-06, SR-08: rate
@pytest.mark.parametrize("place", ["TURN_US", "HALF_US", "AHEAD_US"])
@pytest.mark.parametrize("faster_us", [0, 1])
def test_a_turn_below_its_least_time_is_an_overspeed(tick: Tick, place: str, faster_us: int) -> None:
    least_us = {"TURN_US": TURN_US, "HALF_US": HALF_US, "AHEAD_US": AHEAD_US}[place]
    tick.put(**{place: least_us - faster_us})
    if faster_us:
        tick.stops_for(p.STOP_OVERSPEED)
    else:
        assert tick.goes_on()


@pytest.mark.parametrize(
    ("edges", "since_us", "goes_on"),
    [
        (5, STALL_US, True), (5, STALL_US + 1, False), (100, STALL_US + 1, False), (4, STALL_US + 1, True),
        (4, FIRST_US, True), (4, FIRST_US + 1, False), (0, FIRST_US, True), (0, FIRST_US + 1, False),
    ],
)  # fmt: skip
def test_no_edge_for_too_long_is_a_stall(tick: Tick, edges: int, since_us: int, goes_on: bool) -> None:
    tick.put(EDGES=edges, EDGE_US=NOW_US - since_us)
    if goes_on:
        assert tick.goes_on()
    else:
        tick.stops_for(p.STOP_STALL)


def test_before_the_first_turn_no_rate_is_judged(tick: Tick) -> None:
    assert tick.put(EDGES=4, TURN_US=0, HALF_US=0, AHEAD_US=0).goes_on()


# ---------------------------------------------------------------------- at rest
def test_a_braked_motor_stays_braked_and_its_rate_runs_out(tick: Tick) -> None:
    tick.chip.memory[GPIO_IN] = TRIGGER
    tick.put(DRIVE=0, EDGE_US=NOW_US - 5_000, MAIN_AGE_MS=500).go()
    assert (tick.chip.last(PWM_LEVEL), tick.chip.last(PIO0_BEATS)) == (PERIOD, None)
    assert tick.get("RATE_MHZ") == 250_000_000 // 5_000 and tick.get("STOP_REASON") == 0


@pytest.mark.parametrize(("bad_ms", "stopped"), [(DEPTH_MS - 1, None), (DEPTH_MS, 1 << 3)])
def test_a_depth_outside_its_window_takes_the_steps_away_at_rest(
    tick: Tick, bad_ms: int, stopped: int | None
) -> None:
    tick.put(DRIVE=0, DEPTH_LOW_SUM=1, DEPTH_BAD_MS=bad_ms).go()
    assert tick.chip.last(PIO1_CLEAR) == stopped
    assert stopped is None or stopped == 1 << (board.PIO_DEPTH_STEPS_SM - 4)


# ---------------------------------------------------------------------- SR-10: the external watchdog
@pytest.mark.parametrize("ticks", range(17))
def test_the_watchdog_gets_an_edge_every_4_ms_and_one_of_each_kind_every_8(tick: Tick, ticks: int) -> None:
    tick.put(TICKS=ticks, DRIVE=0).go()
    kicks = [(place, value) for place, value in tick.chip.writes if value == KICK]
    assert kicks == {0: [(GPIO_SET, KICK)], 4: [(GPIO_CLEAR, KICK)]}.get(ticks % 8, [])


@pytest.mark.parametrize(
    ("age_ms", "pio0", "kicked"), [(MAIN_MS - 1, 7, True), (MAIN_MS, 7, False), (0, 6, False)]
)
def test_the_watchdog_is_fed_only_while_the_whole_chain_is_alive(
    tick: Tick, age_ms: int, pio0: int, kicked: bool
) -> None:
    tick.chip.memory[PIO0] = pio0
    tick.put(TICKS=8, DRIVE=0, MAIN_AGE_MS=age_ms).go()
    assert ((GPIO_SET, KICK) in tick.chip.writes) is kicked


def test_the_table_of_registers_knows_no_other(tick: Tick) -> None:
    """A test of the test: an address that the tick has no business with is an error."""
    with pytest.raises(KeyError):
        Pointer(tick.chip, 0x4000_0000, 4)[0]


def test_before_anything_is_set_the_tick_has_nothing_but_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    """The motor is not driven, and no reason is given, before the main loop says anything."""
    monkeypatch.setattr(sys.modules["pen"], "control", control)  # put back what the import replaces
    monkeypatch.delitem(sys.modules, "pen.control")
    anew = firmware_module("pen.control")
    assert anew is not control and list(anew.state) == [0] * p.SIZE
