"""SR-02, SR-04, SR-23: how the axis finds home and brings the needles in, on a small axis of rotor, switch and sensor.

The rotor follows the coils to the nearest place that their pattern means; from two steps away it feels no force. Places
are half steps of 12.5 um outward from the resting place of coil A+ at which the assembly has put the switch.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from needlepen.firmware_modules import firmware_module

homing = firmware_module("pen.axis_homing")
profile = firmware_module("pen.axis_profile")
faults = firmware_module("pen.faults")
board = firmware_module("pen.board")

HALF_UM = board.DEPTH_STEP_UM / 2
REAR, FRONT = -round(board.DEPTH_BEHIND_HOME_UM / HALF_UM), round(board.HARD_STOP_UM / HALF_UM)
SAFE_US = 1_000_000 // board.DEPTH_START_RATE_HZ  # starts and stops at any step
SETTLED_US = 10_000  # of the rotor
OUT = 24  # half steps: 0.30 mm
ZERO_SUM = 9_000
ANYWHERE = (-3, 0, 1, 7, 30, 101, FRONT)


class Rig:
    """What `axis_homing` sees as its axis, its stepper and its sensor, with the truth beside it.

    `rotor`: where it truly stands; `half`: where the axis believes it does. `switch`: the home switch is closed at this
    place and behind it; when it has opened it may close elsewhere the next time. `moves`: of each move the
    places of the rotor and how long each pattern stays, `until_home` and what the sensor was allowed to say.
    """

    def __init__(
        self, rotor: int, believed: int | None = None, switches: tuple[int | None, ...] = (1,)
    ) -> None:
        self.rotor, self.half = rotor, rotor if believed is None else believed
        self.switches = list(switches)
        self.schedule = profile.Schedule()
        self.stepper = self.sensor = self
        self.asleep = self.homed = True
        self.fault, self.target_um, self.goal = faults.NONE, 1_000, 80
        self.sound = True
        self.off_um = 0.0  # of the sensor, at home
        self.gain = 1.0
        self.sums = [ZERO_SUM]
        self.zero_sum = None
        self.allowed = "its place"
        self.moves: list[tuple[bool, str, list[tuple[int, int]]]] = []
        self.aborted = 0

    # the stepper
    def wake(self) -> None:
        self.asleep = False

    @property
    def at_home(self) -> bool:
        return self.switches[0] is not None and self.rotor <= self.switches[0]

    # the sensor
    @property
    def nominal_um(self) -> float:
        return self.off_um + self.gain * HALF_UM * self.rotor

    @property
    def sum(self) -> int:
        return self.sums.pop(0) if len(self.sums) > 1 else self.sums[0]

    def allow_sound(self) -> None:
        self.allowed = "sound"

    def allow_any(self) -> None:
        self.allowed = "any"

    # the axis
    def abort(self) -> None:
        """At rest there is nothing to end, and what was known stays."""
        self.aborted += 1

    def go(self, until_home: bool = False) -> Generator[None, None, None]:
        yield
        assert self.aborted == 1 and not self.homed and not self.asleep
        executed, went = 0, []
        for word in self.schedule.words[: self.schedule.count]:
            if until_home and self.at_home:
                break
            self._pull(profile.COILS.index(word & 15))
            went.append((self.rotor, (word >> 4) + 4))
            executed += 1
        self.moves.append((until_home, self.allowed, went))
        self.half = self.schedule.half_at(executed)

    def _pull(self, pattern: int) -> None:
        """The rotor takes the nearest place of this pattern, if any is nearer than two steps, up to its stops."""
        by = (pattern - self.rotor + 4) % 8 - 4
        was_home = self.at_home
        if by != -4:
            self.rotor = max(REAR, min(FRONT, self.rotor + by))
        if was_home and not self.at_home and len(self.switches) > 1:
            self.switches.pop(0)

    def at_home_now(self) -> Generator[None, None, None]:
        if self.half & 1:
            self.schedule.begin(self.half)
            self.schedule.creep_to(self.half - 1)
            yield from self.go()
        self.half = 0

    def found_home(self, zero_sum: int) -> None:
        self.zero_sum, self.homed = zero_sum, True

    def ends(self, sequence: Generator[None, None, None]) -> int:
        """Carry a sequence out; the fault that it ends with."""
        try:
            for _ in sequence:
                pass
        except homing.Failed as failed:
            return int(failed.args[0])
        return int(faults.NONE)

    def finds(self) -> int:
        return self.ends(homing.find(self))

    def legs(self) -> list[tuple[int, bool]]:
        """Where each move ended, and whether it was to end at the switch."""
        return [(went[-1][0], until_home) for until_home, _, went in self.moves if went]


# ---------------------------------------------------------------------- finding home
@pytest.mark.parametrize("asleep", [True, False])
@pytest.mark.parametrize("switch", [0, 1])
@pytest.mark.parametrize("rotor", ANYWHERE)
def test_home_is_the_same_place_from_anywhere(rotor: int, switch: int, asleep: bool) -> None:
    """Where nobody knows where the rotor stands (after sleep), and where the axis does."""
    for believed in range(rotor, rotor + 8) if asleep else (rotor,):
        rig = Rig(rotor, believed, (switch,))
        rig.asleep = asleep
        assert rig.finds() == faults.NONE
        assert (rig.homed, rig.half, rig.rotor, rig.zero_sum) == (True, 0, 0, ZERO_SUM), believed


def test_from_the_rear_stop_home_is_found_within_a_step() -> None:
    rig = Rig(REAR, 40)
    assert rig.finds() == faults.NONE and rig.homed and rig.rotor in (-2, 0)


def test_the_switch_is_sought_at_a_rate_that_may_end_at_any_step_and_the_sensor_watched() -> None:
    rig = Rig(FRONT)
    rig.finds()
    sweep, approach = (went for until_home, _, went in rig.moves if until_home)
    assert {us for _, us in sweep} == {SAFE_US} and len(sweep) == FRONT // 2
    fast = [place for place, us in approach if us == SAFE_US]
    slow = [place for place, us in approach[len(fast) :]]
    assert fast == [23, 21, 19, 17, 15, 13, 11, 9], "by full steps to 0.1 mm before home"
    assert slow == [8, 7, 6, 5, 4, 3, 2, 1], "by half steps to the switch"
    assert {us for _, us in approach[len(fast) :]} == {SETTLED_US}
    assert {allowed for _, allowed, _ in rig.moves} == {"sound"} and rig.fault == faults.NONE


def test_home_is_left_by_a_third_of_a_millimetre_to_find_it_again() -> None:
    rig = Rig(50)
    rig.finds()
    assert rig.legs()[1:] == [(1, True), (0, False), (OUT, False), (1, True), (0, False)]
    out = rig.moves[3][2]
    assert out[0] == (1, SAFE_US) and {us for _, us in out[:-1]} == {SAFE_US} and out[-1] == (OUT, SETTLED_US)


def test_after_sleep_the_rotor_is_brought_to_a_place_that_pulls_it_from_anywhere() -> None:
    """From three half steps beyond: one of the two patterns is not opposite to where it stands."""
    for rotor in range(8):
        rig = Rig(rotor, 4)
        list(homing._to_rest(rig.schedule, rig, rig.half) or ())
        patterns = [profile.COILS.index(word & 15) for word in rig.schedule.words[: rig.schedule.count]]
        assert patterns == [6, 5, 4] and not rig.asleep and rig.schedule.half_at(3) == 4
    for half, words in ((5, 4), (6, 3)):
        rig.asleep = True
        homing._to_rest(rig.schedule, rig, half)
        found = (rig.schedule.half_at(0), rig.schedule.end_half, rig.schedule.count)
        assert found == (half + 3, half & ~1, words)


@pytest.mark.parametrize(("half", "words"), [(4, 0), (5, 1)])
def test_an_axis_that_is_awake_begins_at_the_even_place_behind(half: int, words: int) -> None:
    rig = Rig(half)
    rig.asleep = False
    homing._to_rest(rig.schedule, rig, half)
    assert (rig.schedule.count, rig.schedule.end_half) == (words, 4)


@pytest.mark.parametrize("further", [-16, -17])
def test_the_switch_is_looked_for_0_2_mm_behind_home_and_no_further(further: int) -> None:
    rig = Rig(60, switches=(17, 16 + further))
    rig.off_um = -16 * HALF_UM
    assert rig.finds() == (faults.NONE if further == -16 else faults.DEPTH_HOME)
    assert rig.homed == (further == -16)


def test_the_zero_is_the_mean_of_four_readings() -> None:
    rig = Rig(40)
    rig.sums = [9_000, 9_003, 9_010, 9_018, 5]
    assert rig.finds() == faults.NONE and rig.zero_sum == 36_031 // 4


@pytest.mark.parametrize(
    "switches", [(None,), (FRONT,), (0, None)], ids=["never closes", "always closed", "closes only once"]
)
def test_a_switch_that_is_broken_is_a_fault_of_home(switches: tuple[int | None, ...]) -> None:
    rig = Rig(60, switches=switches)
    rig.gain = float(switches[0] != FRONT)  # a sensor that says home, where it would outvote the switch
    assert rig.finds() == faults.DEPTH_HOME
    assert not rig.homed and rig.zero_sum is None


@pytest.mark.parametrize(("says_um", "fault"), [(350, faults.DEPTH_SENSOR), (350.5, faults.DEPTH_HOME)])
def test_a_switch_that_closes_where_the_sensor_says_far_out_is_a_fault_of_home(
    says_um: float, fault: int
) -> None:
    """Up to 0.35 mm it is the sensor's zero that is judged, at the end."""
    rig = Rig(60)
    rig.off_um = says_um - HALF_UM
    assert rig.finds() == fault
    assert len(rig.moves) == (2 if fault == faults.DEPTH_HOME else 6)


@pytest.mark.parametrize("off_um", [-301, -300, 300, 301])
def test_the_sensor_says_at_most_0_3_mm_at_home(off_um: int) -> None:
    rig = Rig(60)
    rig.off_um = off_um
    assert rig.finds() == (faults.NONE if abs(off_um) == 300 else faults.DEPTH_SENSOR)
    assert rig.homed == (abs(off_um) == 300)


@pytest.mark.parametrize(("seen_um", "fault"), [(179, True), (180, False), (0, True), (-300, True)])
def test_the_sensor_has_to_follow_the_way_back_by_0_18_mm(seen_um: int, fault: bool) -> None:
    rig = Rig(REAR)
    rig.gain = seen_um / (OUT * HALF_UM)
    assert rig.finds() == (faults.DEPTH_SENSOR if fault else faults.NONE)


# ---------------------------------------------------------------------- needles in
def _retracted(rig: Rig) -> Rig:
    assert rig.ends(homing.retract(rig)) == faults.NONE
    assert (rig.half, rig.target_um, rig.goal, rig.homed) == (0, 0, 0, False)
    assert {allowed for _, allowed, _ in rig.moves} == {"any"}
    assert all(us == SAFE_US for _, _, went in rig.moves for _, us in went if us != SETTLED_US)
    return rig


@pytest.mark.parametrize("switch", [0, 1, 2, 3])
@pytest.mark.parametrize("rotor", ANYWHERE)
def test_needles_are_taken_in_to_the_switch(rotor: int, switch: int) -> None:
    rig = _retracted(Rig(rotor, 200, (switch,)))
    # Where the axis believed itself out there, the switch could be wrong: the rest of the way is gone too.
    assert REAR <= rig.rotor <= switch


@pytest.mark.parametrize(("rotor", "switch", "ends"), [(81, 0, -2), (80, 1, 0), (200, 2, 0), (2, 2, 2)])
def test_where_switch_and_steps_agree_the_needles_stop_at_home(rotor: int, switch: int, ends: int) -> None:
    rig = Rig(rotor, switches=(switch,))
    rig.asleep = False
    _retracted(rig)
    assert rig.rotor == ends and len([1 for until_home, _, _ in rig.moves if until_home]) == 1


def test_a_switch_that_closes_further_out_than_the_steps_say_is_not_believed() -> None:
    """Three half steps from home: the rest of the way is gone too, by the count of the steps."""
    rig = Rig(100, switches=(3,))
    rig.asleep = False
    _retracted(rig)
    assert rig.legs() == [(3, True), (0, False)]


@pytest.mark.parametrize("fault", [faults.DEPTH_HOME, faults.DEPTH_SENSOR])
def test_after_a_fault_of_the_switch_the_whole_range_is_gone(fault: int) -> None:
    rig = Rig(100, switches=(80,))
    rig.asleep, rig.fault, rig.sound = False, fault, False
    _retracted(rig)
    assert [until_home for _, until_home in rig.legs()] == [True, False]
    full = len(rig.moves[1][2]) > 100
    assert full == (fault == faults.DEPTH_HOME)
    assert rig.rotor == (REAR if full else 0)


@pytest.mark.parametrize(
    ("at_switch_um", "sound", "whole"), [(350, True, False), (351, True, True), (351, False, False)]
)
def test_a_sound_sensor_that_says_far_out_outvotes_the_switch(
    at_switch_um: int, sound: bool, whole: bool
) -> None:
    rig = Rig(100, switches=(40,))
    rig.asleep, rig.sound = False, sound
    rig.off_um = at_switch_um - 39 * HALF_UM
    _retracted(rig)
    assert (len(rig.moves[1][2]) > 100) == whole


def test_without_a_switch_the_axis_goes_in_for_its_whole_range() -> None:
    rig = Rig(FRONT, switches=(None,))
    _retracted(rig)
    assert rig.rotor == REAR and len(rig.moves) == 1
