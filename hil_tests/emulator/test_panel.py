"""The panel of the pen, with the real firmware modules on the emulated chip: buttons in, pixel and buzzer out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.bench import MS, US, Pens, rate, record_pin
from support.forks import in_fork

from needlepen import board, requirements, signals, supervision
from needlepen.build import app_image
from needlepen.emulator.chip import Chip
from needlepen.emulator.front_panel import FrontPanel
from needlepen.emulator.pixel import DARK
from needlepen.errors import UsageError

UP, DOWN = "DEPTH_UP_N", "DEPTH_DOWN_N"
SIGNALS = signals.load()
STATES = supervision.load().states
JITTER_US = float(requirements.load().limit("PR-07", "jitter_us"))
TURNING_FROM_MS, TURNING_MS = 1_200, 4_000
PASS_MS = 10  # one pass of the guest's loop, and what it costs
GUEST = """
import time
from pen import signals
from pen.panel import Panel
p = Panel(time.ticks_ms())
def run(ms):
    begun = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), begun) < ms:
        p.poll(time.ticks_ms(), False)
        event = p.take_event()
        if event:
            print(event, time.ticks_diff(time.ticks_ms(), begun))
        time.sleep_ms(8)
"""
# The main loop of a running pen that writes the pixel in every pass, with a busy heap.
RUNNING = """
import gc, time
from pen import places
from pen.control import state
from pen.drive import Drive
drive = Drive()
drive.wake()
def alive():
    state[places.MAIN_AGE_MS] = 0
while not drive.woken:
    alive()
    time.sleep_ms(1)
drive.start()
def turn(awake):
    shown = passes = 0
    while True:
        alive()
        drive.settle()
        shown = SAFE if shown == BOOT else BOOT
        p.show(shown, 0, 0, 0)
        passes += 1
        time.sleep_us(passes * 61 % 1000)  # a sleep ends with a tick: not all writes right after one
        p.poll(time.ticks_ms(), awake)
        gc.collect()
        time.sleep_ms(10)
""".replace("SAFE", str(STATES["SAFE"].number)).replace("BOOT", str(STATES["BOOT"].number))


class Bench:
    """A chip with the firmware's modules, none of them started, and the panel wired to it."""

    def __init__(self, runtime: Path, firmware: Path) -> None:
        self.board = board.load()
        self.chip = Chip(runtime, filesystem=app_image(self.board, firmware=firmware).image)
        self.panel = FrontPanel(self.chip, self.board.gpio)

    def guest(self, code: str) -> str:
        """Run code on the chip; returns what it printed."""
        out, error = self.chip.console.exec(code)
        assert not error, error
        return out

    def show(self, state: str, blockers: int = 0, warnings: int = 0) -> None:
        self.guest(f"p.show({STATES[state].number}, 0, {blockers}, {warnings})")


@pytest.fixture
def repl(pens: Pens) -> Path:
    """A firmware that starts nothing, so that the tests drive its modules themselves."""
    folder = pens.variant("panel_repl", {})
    (folder / "main.py").write_text("")
    return folder


@pytest.fixture
def with_panel(runtime: Path, repl: Path) -> Callable[..., Any]:
    """with_panel(fn, *args) runs fn(bench, *args) in a process of its own, with a panel that shows state boot."""

    def run(fn: Callable[..., Any], *args: object) -> Any:
        def begin() -> Any:
            bench = Bench(runtime, repl)
            bench.chip.console.wait_connected()
            bench.guest(GUEST)
            return fn(bench, *args)

        return in_fork(begin)

    return run


def events(text: str) -> list[tuple[int, int]]:
    """(event, time in ms since the loop began) from what the guest printed."""
    return [(int(event), int(ms)) for event, ms in re.findall(r"(\d+) (\d+)\r\n", text)]


# ---------------------------------------------------------------- pixel
def test_the_pixel_shows_each_entry_with_its_colour_and_rhythm(with_panel: Callable[..., Any]) -> None:
    def watch(b: Bench) -> list[tuple[str, list[tuple[int, tuple[int, int, int]]], int]]:
        seen = []
        for name, light in SIGNALS.pixel.items():
            masks = [SIGNALS.masks(group) for group in light.groups]
            b.show("SERVICE" if light.state != "SERVICE" else "BOOT")
            b.guest("run(20)")
            begun = len(b.panel.pixel.history)
            b.show(light.state, sum(m[0] for m in masks), sum(m[1] for m in masks))
            b.guest(f"run({sum(light.pattern_ms[:8]) + 300})")
            seen.append((name, b.panel.pixel.history[begun:], b.panel.pixel.malformed))
        return seen

    for name, history, malformed in with_panel(watch):
        light = SIGNALS.pixel[name]
        colours = [rgb for _, rgb in history]
        steady = len(light.pattern_ms) == 1
        colour = SIGNALS.colours[light.colour]
        expected = itertools.cycle([colour, colour if steady else DARK])
        assert malformed == 0 and colours and colours == [next(expected) for _ in colours], name
        lengths = [(b[0] - a[0]) / MS for a, b in itertools.pairwise(history)]
        assert len(lengths) >= min(8, len(light.pattern_ms)) - 1
        early_ms = 5.0  # the first begins with the pass that shows it, not with the time that it counts from
        for length_ms, wanted_ms in zip(lengths, itertools.cycle(light.pattern_ms), strict=False):
            assert wanted_ms - early_ms <= length_ms <= wanted_ms + 2 * PASS_MS, f"{name}: {lengths}"
            early_ms = 2.0


@pytest.mark.parametrize("awake", [True, False])
def test_a_tick_starts_as_punctually_with_the_pixel_as_without(pens: Pens, awake: bool) -> None:
    """PR-07 with the motor turning. The write waits for the gap between two ticks; written at any time, as it is at
    rest, it would delay them."""

    def turn() -> tuple[float, int, int, float]:
        pen = pens.new(firmware=folder)
        pen.press()
        pen.run_for(TURNING_FROM_MS * MS)
        changes = record_pin(pen, "TICK")
        written = len(pen.panel.pixel.history)
        pen.run_for(TURNING_MS * MS)
        starts = [t / US for t, level in changes if level == 1]
        late = max(abs(b - a - 1000) for a, b in itertools.pairwise(starts))
        return late, len(starts), len(pen.panel.pixel.history) - written, rate(pen)

    folder = pens.variant(f"panel_running_{awake}", {})
    (folder / "main.py").write_text(f"{GUEST}{RUNNING}turn({awake})\n")
    late_us, ticks, writes, rate_hz = in_fork(turn)
    print(f"a tick starts {late_us:.1f} us off its grid at most, {writes} writes, {rate_hz:.0f} Hz")
    assert ticks >= TURNING_MS - 1 and writes > 100 and rate_hz == pytest.approx(100, rel=0.2)
    assert (late_us <= JITTER_US) == awake


def test_without_a_tick_the_pixel_waits_and_the_main_loop_goes_on(with_panel: Callable[..., Any]) -> None:
    def watch(b: Bench) -> tuple[int, int]:
        b.show("SAFE")
        before = len(b.panel.pixel.history)
        b.guest("p.poll(time.ticks_ms(), True)")
        waiting = len(b.panel.pixel.history)
        b.guest("run(20)")
        return waiting - before, len(b.panel.pixel.history) - waiting

    assert with_panel(watch) == (0, 1)


def test_a_write_that_is_cut_off_changes_nothing(with_panel: Callable[..., Any]) -> None:
    def watch(b: Bench) -> tuple[object, ...]:
        b.show("SAFE")
        b.guest("run(20)")
        shown = b.panel.pixel.rgb
        b.guest("import machine\nmachine.bitstream(p._pixel, 0, (400, 850, 800, 450), b'\\xff\\xff')")
        kept = b.panel.pixel.rgb
        b.show("BOOT")
        b.guest("run(20)")
        return shown, kept, b.panel.pixel.rgb, b.panel.pixel.malformed

    shown, kept, after, malformed = with_panel(watch)
    assert shown == kept == SIGNALS.colours["red"] and malformed == 1 and after == SIGNALS.colours["white"]


# ---------------------------------------------------------------- buzzer
def test_each_sound_has_its_notes_and_ends_silent_and_low(with_panel: Callable[..., Any]) -> None:
    def listen(b: Bench) -> list[tuple[str, list[tuple[float, float]], object, int]]:
        heard = []
        for name, sound in SIGNALS.sounds.items():
            begun_ns = b.chip.now_ns
            b.guest(f"p.beep(signals.SOUND_{name.upper()})")
            b.guest(f"run({sum(ms for _, ms in sound.notes) + 200})")
            heard.append((name, b.panel.buzzer.sounds(begun_ns), b.panel.buzzer.hz,
                          b.chip.pin_level(b.board.gpio("BUZZER"))))  # fmt: skip
        return heard

    for name, heard, then, level in with_panel(listen):
        notes = [(hz, ms) for hz, ms in SIGNALS.sounds[name].notes if hz]
        assert (then, level) == (None, 0) and len(heard) == len(notes), name
        for (heard_hz, heard_ms), (hz, ms) in zip(heard, notes, strict=True):
            assert heard_hz == pytest.approx(hz, rel=0.001) and ms - 2 <= heard_ms <= ms + 2 * PASS_MS, name


def test_the_volume_turns_down_everything_but_alarms(with_panel: Callable[..., Any]) -> None:
    def listen(b: Bench) -> list[tuple[float, float]]:
        duties = []
        for volume in range(4):
            b.guest(f"p.volume = {volume}")
            pair = []
            for name in ("READY", "FAULT"):
                b.guest(f"p.beep(signals.SOUND_{name})\nrun(20)")
                pair.append(b.panel.buzzer.tone[1] if b.panel.buzzer.tone else 0.0)
                b.guest("run(2000)")
            duties.append((pair[0], pair[1]))
        return duties

    duties = with_panel(listen)
    sounds, alarms = zip(*duties, strict=True)
    assert sounds == pytest.approx([0, 1 / 32, 1 / 8, 1 / 2], abs=0.001)
    assert alarms == pytest.approx([1 / 2] * 4, abs=0.001)


def test_an_alarm_repeats_while_its_state_lasts_and_is_not_cut_short(with_panel: Callable[..., Any]) -> None:
    def listen(b: Bench) -> tuple[int, ...]:
        counts = []
        b.show("SAFE")
        for code in ("run(100)\np.beep(signals.SOUND_KEY)\nrun(1300)", "run(8000)", "run(2500)"):
            begun_ns = b.chip.now_ns
            b.guest(code)
            counts.append(len(b.panel.buzzer.sounds(begun_ns - 50 * MS)))
        b.show("SELF_TEST")
        begun_ns = b.chip.now_ns
        b.guest("run(12000)")
        return (*counts, len(b.panel.buzzer.sounds(begun_ns)))

    assert with_panel(listen) == (3, 0, 3, 0)


def test_a_program_that_ends_leaves_the_panel_silent_and_dark(with_panel: Callable[..., Any]) -> None:
    def end(b: Bench) -> tuple[object, ...]:
        b.show("SAFE")
        b.guest("run(20)")
        before = (b.panel.buzzer.hz, b.panel.pixel.lit)
        b.guest("p.shut_down()")
        b.chip.run_for(100 * MS)
        return *before, b.panel.buzzer.hz, b.panel.pixel.lit

    hz, lit, silent, dark = with_panel(end)
    assert hz and lit and silent is None and not dark


# ---------------------------------------------------------------- buttons
@pytest.mark.parametrize("bounce_ms", [0.0, 3.0, 10.0])
def test_one_press_is_one_step_however_the_contacts_bounce(
    with_panel: Callable[..., Any], bounce_ms: float
) -> None:
    def press(b: Bench) -> list[tuple[int, int]]:
        b.guest("run(50)")
        text = ""
        for name in (UP, DOWN, DOWN, UP):
            b.panel.press(name, bounce_ms)
            text += b.guest("run(150)")
            b.panel.release(name, bounce_ms)
            text += b.guest("run(100)")
        return events(text)

    seen = with_panel(press)
    assert [event for event, _ in seen] == [1, 2, 2, 1]
    assert all(15 <= ms <= 60 for _, ms in seen)


def test_a_held_down_button_acknowledges_a_shown_fault_after_1500_ms(
    with_panel: Callable[..., Any],
) -> None:
    def hold(b: Bench) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        b.show("SAFE")
        b.guest("run(50)")
        b.panel.press(DOWN, 5.0)
        short = events(b.guest("run(1450)"))
        b.panel.release(DOWN, 5.0)
        b.guest("run(50)")
        b.panel.press(DOWN, 5.0)
        return short, events(b.guest("run(4000)"))

    short, long = with_panel(hold)
    assert short == [] and [event for event, _ in long] == [3]
    assert 1500 <= long[0][1] <= 1500 + 60


def test_a_button_held_at_boot_is_reported_and_the_other_one_works(runtime: Path, repl: Path) -> None:
    def hold() -> tuple[str, str, str]:
        b = Bench(runtime, repl)
        b.panel.press(UP)
        b.chip.console.wait_connected()
        said = b.guest(GUEST + "run(100)\nprint(p.warnings, p.busy)")
        b.panel.press(DOWN)
        stepped = b.guest("run(100)")
        b.panel.release(DOWN)
        b.panel.release(UP)
        return said, stepped, b.guest("run(100)\nprint(p.warnings, p.busy)")

    said, stepped, after = in_fork(hold)
    stuck = supervision.load().warnings["BUTTON_STUCK"].mask
    assert said.split() == [str(stuck), "False"]
    assert [event for event, _ in events(stepped)] == [2]
    assert after.split() == ["0", "False"]


def test_a_pen_has_no_other_buttons_and_no_longer_bounce(pens: Pens) -> None:
    pen = pens.new()
    with pytest.raises(UsageError, match="DEPTH_UP_N, DEPTH_DOWN_N"):
        pen.press_button("TRIGGER_N")
    with pytest.raises(UsageError, match="0 to 10 ms"):
        pen.press_button(UP, 10.1)


# ---------------------------------------------------------------- the pen without power
def test_the_pixel_is_dark_without_power(pens: Pens) -> None:
    def cut() -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        pen = pens.new(firmware=folder)
        pen.run_for(400 * MS)
        lit = pen.pixel
        pen.power.cut()
        return lit, pen.pixel

    folder = pens.variant("panel_steady", {})
    (folder / "main.py").write_text(f"{GUEST}p.show({STATES['RUNNING'].number}, 0, 0, 0)\nrun(10000)\n")
    assert in_fork(cut) == (SIGNALS.colours["green"], DARK)
