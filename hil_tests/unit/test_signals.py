"""What pixel and buzzer show: every state, blocker and warning, told apart by time alone, and the same everywhere."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from colorspacious import cspace_convert
from hypothesis import given, strategies as st

from needlepen import paths, signals, supervision
from needlepen.errors import UsageError
from needlepen.firmware_modules import firmware_module

SIGNALS = signals.load()
TABLES = supervision.load()
TEXT = paths.firmware_file(signals.FILE).read_text()
pen_signals = firmware_module("pen.signals")
player = firmware_module("pen.player")

SAMPLE_MS = 10
WATCH_MS = 9_000  # for how long somebody looks at the pixel; the slowest pattern repeats within 3.5 s
VISIBLE_MS = 100  # a light or a gap of this length is seen
SPEED_ERROR = (
    0.15  # people judge intervals to some 10 %, and the main loop stretches each step by up to 10 ms
)
FLASHES_IN_A_SECOND = 3  # WCAG 2.3.1
VISIONS = ("normal", "protanomaly", "deuteranomaly", "tritanomaly")
FULL_LEVEL = 102  # an LED at 40 % is as bright as anybody wants to look at: taken for the white of a screen
COLOUR_DISTANCE = 10.0  # in CAM02-UCS, where 1 is just seen side by side
SHORT_MS, LONG_MS = 100, 250  # notes up to and from


# ---------------------------------------------------------------- told apart by time
def light(pattern_ms: tuple[int, ...], speed: float, duration_ms: int) -> np.ndarray:
    """Light (1) and dark (0) over time, every SAMPLE_MS."""
    ends = np.cumsum(pattern_ms) / speed
    phase = np.arange(0, duration_ms, SAMPLE_MS) % ends[-1]
    return np.searchsorted(ends, phase, side="right") % 2 == 0


def longest_difference_ms(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    """The longest time for which one is light and the other dark, where they fit together best: over all phases and
    speeds within SPEED_ERROR."""
    best = float("inf")
    seen = light(a, 1.0, WATCH_MS)
    for speed in (1 - SPEED_ERROR, 1 - SPEED_ERROR / 2, 1.0, 1 + SPEED_ERROR / 2, 1 + SPEED_ERROR):
        period_ms = int(sum(b) / speed)
        long = light(b, speed, WATCH_MS + period_ms + SAMPLE_MS)
        for shift in range(period_ms // SAMPLE_MS + 1):
            different = seen != long[shift : shift + len(seen)]
            edges = np.flatnonzero(np.diff(np.concatenate(([0], different.astype(np.int8), [0]))))
            best = min(best, SAMPLE_MS * float((edges[1::2] - edges[::2]).max(initial=0)))
            if best < VISIBLE_MS:
                return best
    return best


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(SIGNALS.pixel, 2)))
def test_two_signals_of_the_pixel_differ_in_time_whatever_their_colour(one: str, other: str) -> None:
    a, b = SIGNALS.pixel[one].pattern_ms, SIGNALS.pixel[other].pattern_ms
    assert longest_difference_ms(a, b) >= VISIBLE_MS
    assert longest_difference_ms(b, a) >= VISIBLE_MS


@pytest.mark.parametrize("pattern_ms", [(150, 1350), (500, 500), (10_000,), (1250, 150, 250, 150)])
def test_the_comparison_does_not_tell_a_pattern_from_itself_later_or_a_little_faster(
    pattern_ms: tuple[int, ...],
) -> None:
    later = (*pattern_ms[2:], *pattern_ms[:2])
    faster = tuple(round(ms / (1 + SPEED_ERROR / 2)) for ms in pattern_ms)
    slower_twice = tuple(2 * ms for ms in pattern_ms)
    for same in (pattern_ms, later, faster):
        assert longest_difference_ms(pattern_ms, same) < VISIBLE_MS
    assert len(pattern_ms) == 1 or longest_difference_ms(pattern_ms, slower_twice) >= VISIBLE_MS


@pytest.mark.parametrize("name", SIGNALS.pixel)
def test_each_light_and_each_gap_is_long_enough_to_be_seen(name: str) -> None:
    assert min(SIGNALS.pixel[name].pattern_ms) >= VISIBLE_MS


@pytest.mark.parametrize("name", SIGNALS.pixel)
def test_nothing_flashes_more_than_three_times_in_a_second(name: str) -> None:
    pattern = SIGNALS.pixel[name].pattern_ms
    starts = [sum(pattern[: 2 * k]) for k in range(len(pattern) // 2)]
    starts += [sum(pattern) * turn + start for turn in (1, 2, 3, 4, 5, 6, 7) for start in starts]
    for begin in starts:
        assert sum(begin <= start < begin + 1000 for start in starts) <= FLASHES_IN_A_SECOND


# ---------------------------------------------------------------- colours
def appearance(rgb: tuple[int, int, int], vision: str) -> np.ndarray:
    """Where a colour lies in CAM02-UCS for somebody who sees with two kinds of cones, or with all three."""
    screen = cspace_convert(np.minimum(np.array(rgb) / FULL_LEVEL, 1.0), "sRGB1-linear", "sRGB1")
    if vision != "normal":
        lacking = {"name": "sRGB1+CVD", "cvd_type": vision, "severity": 100}
        screen = np.clip(cspace_convert(screen, lacking, "sRGB1"), 0.0, 1.0)
    return np.asarray(cspace_convert(screen, "sRGB1", "CAM02-UCS"))


@pytest.mark.parametrize("vision", VISIONS)
def test_colours_differ_for_every_kind_of_colour_vision(vision: str) -> None:
    seen = {name: appearance(rgb, vision) for name, rgb in SIGNALS.colours.items()}
    distances = {(a, b): float(np.linalg.norm(seen[a] - seen[b])) for a, b in itertools.combinations(seen, 2)}
    closest = min(distances, key=distances.__getitem__)
    print(f"{vision}: closest are {' and '.join(closest)}, {distances[closest]:.1f} in CAM02-UCS")
    assert distances[closest] >= COLOUR_DISTANCE


def test_the_colour_test_sees_what_a_red_green_blind_person_does_not() -> None:
    red, green = (60, 0, 0), (6, 14, 0)
    distance = {v: float(np.linalg.norm(appearance(red, v) - appearance(green, v))) for v in VISIONS}
    assert distance["normal"] > 5 * COLOUR_DISTANCE
    assert max(distance["protanomaly"], distance["deuteranomaly"]) < COLOUR_DISTANCE


# ---------------------------------------------------------------- sounds
def rhythm(sound: signals.Sound) -> tuple[str, ...]:
    return tuple("short" if ms <= SHORT_MS else "long" for hz, ms in sound.notes if hz)


def test_sounds_differ_in_rhythm_whatever_their_pitch() -> None:
    rhythms = [rhythm(sound) for sound in SIGNALS.sounds.values()]
    assert len(set(rhythms)) == len(rhythms)


@pytest.mark.parametrize("name", SIGNALS.sounds)
def test_notes_are_clearly_short_or_long_and_can_be_heard(name: str) -> None:
    for hz, ms in SIGNALS.sounds[name].notes:
        assert (hz == 0 and ms >= 50) or (1_000 <= hz <= 4_000 and (ms <= SHORT_MS or ms >= LONG_MS))


def test_a_warning_beeps_as_often_as_the_armed_pen_winks_for_it() -> None:
    for name, sound in SIGNALS.sounds.items():
        if sound.group is not None:
            entry = next(e for e in SIGNALS.pixel.values() if e.state == "ARMED" and sound.group in e.groups)
            assert len(rhythm(sound)) == len(entry.pattern_ms) // 2, name
            assert set(rhythm(sound)) == {"short"}


# ---------------------------------------------------------------- nothing goes unshown
@pytest.mark.parametrize("name", TABLES.blockers)
def test_each_blocker_shows_what_is_missing(name: str) -> None:
    waits = name in SIGNALS.blocker_groups["wait"]
    assert (SIGNALS.shown("IDLE", TABLES.blockers[name].mask) == "idle_wait") == waits


@pytest.mark.parametrize("state", ["ARMED", "RUNNING"])
@pytest.mark.parametrize("name", TABLES.warnings)
def test_each_warning_shows_in_armed_and_the_pressing_ones_in_running(state: str, name: str) -> None:
    unshown = SIGNALS.warning_groups["unshown"]
    quiet = unshown if state == "ARMED" else (*unshown, *SIGNALS.warning_groups["records"])
    assert (SIGNALS.shown(state, 0, TABLES.warnings[name].mask) == state.lower()) == (name in quiet)


@given(st.sampled_from(sorted(TABLES.states)), st.integers(0, (1 << 24) - 1), st.integers(0, (1 << 12) - 1))
def test_the_pen_and_the_host_choose_the_same_entry(state: str, blockers: int, warnings: int) -> None:
    """The table on the pen, walked as panel.py walks it."""
    number = TABLES.states[state].number
    row = next(
        row for row in pen_signals.LIGHTS
        if row[0] == number and (blockers & row[1] or warnings & row[2] or not (row[1] or row[2]))
    )  # fmt: skip
    name = SIGNALS.shown(state, blockers, warnings)
    entry = SIGNALS.pixel[name]
    red, green, blue = SIGNALS.colours[entry.colour]
    assert list(SIGNALS.pixel)[pen_signals.LIGHTS.index(row)] == name
    assert tuple(row[3]) == (green, red, blue)
    assert tuple(step * pen_signals.LIGHT_STEP_MS for step in row[4]) == entry.pattern_ms


def test_the_sounds_on_the_pen_are_those_of_the_file() -> None:
    for name, sound in SIGNALS.sounds.items():
        notes, repeat_s, alarm = pen_signals.SOUNDS[getattr(pen_signals, f"SOUND_{name.upper()}")]
        steps = list(zip(notes[::2], notes[1::2], strict=True))
        heard = tuple((hz * pen_signals.TONE_STEP_HZ, ms * pen_signals.TONE_STEP_MS) for hz, ms in steps)
        assert (heard, repeat_s, alarm) == (sound.notes, sound.repeat_s, sound.alarm)


# ---------------------------------------------------------------- the player on the pen
def _elapsed(later_ms: int, earlier_ms: int) -> int:
    return (later_ms - earlier_ms + (1 << 29)) % (1 << 30) - (1 << 29)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=10), st.booleans(), st.integers(0, (1 << 30) - 1))
def test_a_row_of_steps_is_played_in_its_lengths_and_order(
    steps: list[int], over_and_over: bool, begin_ms: int
) -> None:
    p = player.Player(_elapsed, 10, 1)
    p.play(bytes(steps), begin_ms, over_and_over)
    now_ms = 0
    for round_number in range(2 if over_and_over else 1):
        for place, length in enumerate(steps):
            assert p.place == place, round_number
            now_ms += 10 * length - 1
            assert (
                not p.update((begin_ms + now_ms) % (1 << 30))
                and p.due_ms((begin_ms + now_ms) % (1 << 30)) == 1
            )
            now_ms += 1
            assert p.update((begin_ms + now_ms) % (1 << 30))
    assert p.place == (0 if over_and_over else -1)
    assert over_and_over or p.due_ms(0) == player.NEVER_MS


# ---------------------------------------------------------------- bad files
BROKEN: list[tuple[str, Callable[[str], str], str]] = [
    ("no TOML", lambda t: t + "[pixel", "not valid TOML"),
    ("a state that nobody shows", lambda t: _without(t, "pixel.service"), "SERVICE: needs one entry without groups"),
    ("the last entry has groups", lambda t: _without(t, "pixel.armed"), "ARMED: needs one entry without groups"),
    ("an unknown state", lambda t: t.replace('state = "BOOT"', 'state = "BOOTS"'), "'BOOTS' is no state"),
    ("an unknown colour", lambda t: t.replace('colour = "red"', 'colour = "rot"'), "no colour 'rot'"),
    ("an unknown sound", lambda t: t.replace('sound = "ready"', 'sound = "reddy"'), "no sound 'reddy'"),
    ("an unknown group", lambda t: t.replace('groups = ["heat"]', 'groups = ["hot"]'), "no group 'hot'"),
    ("a forgotten blocker", lambda t: t.replace('"TRIGGER_HELD"', ""), "TRIGGER_HELD is in no group"),
    ("a blocker twice", lambda t: t.replace('"TRIGGER_HELD"', '"STORE"'), "STORE is in two groups"),
    ("an unknown warning", lambda t: t.replace('"LOG_GAP"', '"LOG_GAPS"'), "no warning 'LOG_GAPS'"),
    ("an empty group", lambda t: t.replace('["CLOCK_UNKNOWN"]', "[]"), "warning_groups.unshown"),
    ("a group that nothing shows", lambda t: _without(t, "pixel.armed_records"), "records: no pixel entry"),
    ("one name for two groups", lambda t: t.replace("heat = [", "other = ["), "other: blockers and warnings"),
    ("a colour too bright", lambda t: t.replace("[60, 0, 0]", "[256, 0, 0]"), "colours.red"),
    ("an odd pattern", lambda t: t.replace("[150, 200]", "[150, 200, 150]"), "an even count"),
    ("a pattern between the steps", lambda t: t.replace("[150, 200]", "[150, 210]"), "pixel.safe.pattern_ms"),
    ("a pattern too long", lambda t: t.replace("10_000", "13_000"), "pixel.running.pattern_ms"),
    ("a note between the steps", lambda t: t.replace("[[2700, 40]]", "[[2710, 40]]"), "sounds.key.notes"),
    ("a note without end", lambda t: t.replace("[[2700, 40]]", "[[2700, 0]]"), "sounds.key.notes"),
    ("an unknown key", lambda t: t.replace("passing = true", "passes = true"), "passes"),
    ("a sound for no warning", lambda t: t.replace('group = "heat"', 'group = "wait"'), "no group of warnings"),
]  # fmt: skip


def _without(text: str, section: str) -> str:
    before, _, rest = text.partition(f"[{section}]\n")
    return before + "[" + rest.partition("\n[")[2]


@pytest.mark.parametrize(("change", "says"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_a_wrong_file_is_refused_in_one_line_that_says_where(change: Callable[[str], str], says: str) -> None:
    broken = change(TEXT)
    assert broken != TEXT
    with pytest.raises(UsageError) as refused:
        signals.parse(broken, "mine.toml")
    message = str(refused.value)
    assert says in message and message.startswith("mine.toml: ") and "\n" not in message


def test_a_file_that_is_not_text_is_refused(tmp_path: Any) -> None:
    (tmp_path / signals.FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="cannot be read"):
        signals.load(tmp_path)


def test_there_is_no_signal_for_an_unknown_state() -> None:
    with pytest.raises(UsageError, match="no state 'OFF'"):
        SIGNALS.shown("OFF")
