"""The step program of the depth axis: on the independent `rp2040-pio-emulator`, and as the pen runs it."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pioemu
import pytest
from support.axis_pen import MS, AxisPen, Coils, axis_firmware
from support.forks import in_fork

from needlepen import board

PEN = board.load()
PIO = PEN.pio["depth_steps"]
BASE = 0x5020_0000 + 0x10_0000 * PIO.block
MACHINE = BASE + 0xC8 + 0x18 * PIO.machine
CLKDIV, EXECCTRL, SHIFTCTRL, ADDR, PINCTRL = 0x00, 0x04, 0x08, 0x0C, 0x14
OUT_BASE = PEN.gpio("DEPTH_A1")


@pytest.fixture(scope="module")
def pen(runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> AxisPen:
    """A pen whose axis has found home. Fork before changing it."""
    made = AxisPen(runtime, axis_firmware(tmp_path_factory.mktemp("axis")), seed=3)
    made.home()
    return made


def register(pen: AxisPen, offset: int) -> int:
    return int(pen.chip.mcu.read_uint32(MACHINE + offset))


def test_program_and_machine_are_what_the_board_file_says(pen: AxisPen) -> None:
    bottom, top = register(pen, EXECCTRL) >> 7 & 31, register(pen, EXECCTRL) >> 12 & 31
    assert top - bottom + 1 == PIO.max_instructions
    assert register(pen, CLKDIV) == (PEN.board.sys_clock_hz // PIO.clock_hz) << 16
    pins = register(pen, PINCTRL)
    assert (pins & 31, pins >> 20 & 63) == (OUT_BASE, 4)
    shift = register(pen, SHIFTCTRL)
    assert shift >> 17 & 1 and shift >> 19 & 1 and shift >> 25 & 31 == 0, "autopull of 32 bits, to the right"


def _elsewhere(
    pen: AxisPen, words: list[int], gate: Callable[[int], int], ticks: int
) -> list[tuple[int, int]]:
    """(clock, coil pattern) of the same program and words on the independent emulator."""
    control = register(pen, EXECCTRL)
    bottom, top = control >> 7 & 31, control >> 12 & 31
    memory = [int(opcode) for opcode in pen.chip.mcu.pio[PIO.block].shared.instructions]

    def inputs(clock: int) -> int:
        return gate(clock)  # it knows no input base: the gate is GPIO 0

    inputs.__annotations__ = {"clock": int}  # the emulator looks for the type itself, not for its name
    state = pioemu.State(
        program_counter=bottom, pin_directions=15 << OUT_BASE, transmit_fifo=deque(words),
        output_shift_register=pioemu.ShiftRegister(0, 32),
    )  # fmt: skip
    seen: list[tuple[int, int]] = []
    for before, after in pioemu.emulate(
        memory, stop_when=lambda _opcode, s: s.clock >= ticks, initial_state=state, input_source=inputs,
        out_base=OUT_BASE, out_count=4, auto_pull=True, pull_threshold=32,
        shift_osr_right=True, wrap_target=bottom, wrap_top=top,
    ):  # fmt: skip
        if (after.pin_values ^ before.pin_values) >> OUT_BASE & 15:
            seen.append((before.clock, after.pin_values >> OUT_BASE & 15))
    return seen


def test_each_pattern_stays_for_its_time_and_none_follows_while_the_gate_is_low(pen: AxisPen) -> None:
    draw = random.Random(4)
    stays = [draw.randrange(5, 300) for _ in range(24)]
    patterns = [(1, 5, 4, 6, 2, 10, 8, 9)[k % 8] for k in range(24)]
    words = [pattern | (stay - 4) << 4 for pattern, stay in zip(patterns, stays, strict=True)]
    for closes_after in range(24):
        open_until = sum(stays[:closes_after]) + 1
        seen = _elsewhere(pen, words, lambda clock, end=open_until: int(clock < end), sum(stays) + 50)  # type: ignore[misc]
        assert [pattern for _, pattern in seen] == patterns[: closes_after + (closes_after < 24)][: len(seen)]
        assert len(seen) in (closes_after, closes_after + 1)
        times = [clock for clock, _ in seen]
        assert [b - a for a, b in pairwise(times)] == stays[: len(times) - 1]


def _closed_in_a_move(pen: AxisPen, gate: str) -> tuple[int, float]:
    """Patterns after HOME_N was pulled low by hand in a move inward, and how far the axis still went, in steps."""
    pen.to(2000)
    coils = Coils(pen)
    first = {
        "until home": "axis.goal = 0; axis.move_to(0)",
        "ordinary": "axis.move_to(600)",
    }[gate]
    came = {"n": 0, "steps": 0.0}

    def close() -> None:
        came["n"], came["steps"] = len(coils.words), pen.truth.steps
        pen.pen.faults.inject(_shorted())

    pen.at(90, close)
    pen.exec(f"{first}\nfor _ in range(14):\n control.state[places.MAIN_AGE_MS] = 0; drive.wake()\n"
             " axis.poll(time.ticks_ms(), drive.awake); time.sleep_ms(10)")  # fmt: skip
    pen.chip.run_for(20 * MS)
    return len(coils.words) - came["n"], came["steps"] - pen.truth.steps


def _shorted() -> object:
    from needlepen.emulator.injection.vocabulary import Fault

    return Fault("home", "short")


def test_a_move_home_ends_within_one_step_of_the_switch_and_an_ordinary_one_goes_on(pen: AxisPen) -> None:
    words, steps = in_fork(_closed_in_a_move, pen, "until home")
    assert words <= 1 and steps < 3, (words, steps)
    words, steps = in_fork(_closed_in_a_move, pen, "ordinary")
    assert words > 10 and steps > 10, (words, steps)
