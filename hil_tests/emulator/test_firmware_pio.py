"""The firmware's PIO programs, as MicroPython loaded them, against the independent `rp2040-pio-emulator`.

Words and registers are read from the memory of a booted pen. Each program then runs on a bare chip and on the
independent emulator with the same input, and its own times are held to the limits that it exists for.
"""

from __future__ import annotations

import bisect
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pioemu
import pytest
from pio_rig import CYCLE_NS, PIO0, connect_pins, start, write
from support.forks import in_fork

from needlepen import board, requirements
from needlepen.build import app_image
from needlepen.emulator.chip import Chip
from needlepen.emulator.factory_image import factory_image
from needlepen.emulator.parameters import PenParameters
from needlepen.emulator.pen import EmulatedPen

PEN = board.load()
LIMIT = requirements.load().limit
SM0, SM_SIZE, INSTR_MEM0, TXF0 = 0xC8, 0x18, 0x48, 0x10
CLKDIV, EXECCTRL, SHIFTCTRL, INSTR, PINCTRL = 0x00, 0x04, 0x08, 0x10, 0x14
IRQ_OPCODE, OPCODE_MASK = 0xC000, 0xE000
MONITOR = 28  # where the independent emulator shows side-set: it knows no optional side-set
SYNCHRONISER_CYCLES = 3
Input = Callable[[int], int]


@dataclass(frozen=True)
class Loaded:
    """One machine of the pen: the block's memory, its registers, the word that configured it."""

    memory: tuple[int, ...]
    divider: int
    execctrl: int
    shiftctrl: int
    pinctrl: int
    word: int

    @property
    def bottom(self) -> int:
        return self.execctrl >> 7 & 31

    @property
    def top(self) -> int:
        return self.execctrl >> 12 & 31

    @property
    def jump_pin(self) -> int:
        return self.execctrl >> 24 & 31

    @property
    def set_base(self) -> int:
        return self.pinctrl >> 5 & 31

    @property
    def in_base(self) -> int:
        return self.pinctrl >> 15 & 31

    @property
    def step_us(self) -> float:
        return self.divider * CYCLE_NS / 1e3


@pytest.fixture(scope="module")
def machines(runtime: Path) -> dict[str, Loaded]:
    """All machines of a pen that runs its motor, by their names in the board file."""
    found: dict[str, Loaded] = in_fork(_read_machines, runtime)
    return found


def _read_machines(runtime: Path) -> dict[str, Loaded]:
    pen = EmulatedPen(PEN, runtime, factory_image(app_image(PEN).image, PEN, PenParameters(), 0))
    pen.power_up()
    pen.press()
    pen.run_for(300e6)
    found = {}
    for name, pio in PEN.pio.items():
        block = pen.chip.mcu.pio[pio.block]
        base = PIO0 + 0x100000 * pio.block + SM0 + SM_SIZE * pio.machine
        registers = [
            pen.chip.mcu.read_uint32(base + offset) for offset in (CLKDIV, EXECCTRL, SHIFTCTRL, PINCTRL)
        ]
        assert registers[0] & 0xFFFF == 0, f"{name} runs at a fraction of the clock"
        word = int(block.machines[pio.machine].isr)
        found[name] = Loaded(
            tuple(map(int, block.shared.instructions)), registers[0] >> 16, *registers[1:], word
        )
    return found


# ---------------------------------------------------------------------- both emulators
def _theirs(
    m: Loaded,
    signal: Input,
    ticks: int,
    words: list[int],
    entry: int,
    level: int = 0,
    x: int = 0,
    isr: int = 0,
) -> list[tuple[int, str, int]]:
    """(machine clock, "set" or "side", new level) until the program cuts (IRQ) or the ticks are over."""
    side_bits = m.pinctrl >> 29 & 7
    state = pioemu.State(
        program_counter=entry,
        pin_directions=1 << m.set_base | 3 << MONITOR,
        pin_values=level << m.set_base,
        transmit_fifo=deque(words),
        x_register=x,
        input_shift_register=pioemu.ShiftRegister(isr, 0),
    )

    def inputs(clock: int) -> int:
        return signal(clock) * (1 | 1 << m.jump_pin)

    inputs.__annotations__ = {"clock": int}  # the emulator looks for the type itself, not for its name

    def over(opcode: int, state: pioemu.State) -> bool:
        return state.clock >= ticks or opcode & OPCODE_MASK == IRQ_OPCODE

    edges: list[tuple[int, str, int]] = []
    side: int | None = None
    level_now = level
    for before, after in pioemu.emulate(
        list(m.memory), stop_when=over, initial_state=state, input_source=inputs, set_base=m.set_base, set_count=1,
        side_set_base=MONITOR, side_set_count=side_bits, jmp_pin=m.jump_pin, wrap_target=m.bottom, wrap_top=m.top,
        shift_isr_right=bool(m.shiftctrl >> 18 & 1), shift_osr_right=bool(m.shiftctrl >> 19 & 1),
    ):  # fmt: skip
        if side_bits and after.pin_values >> MONITOR & 2 and side != after.pin_values >> MONITOR & 1:
            side = after.pin_values >> MONITOR & 1
            edges.append((before.clock, "side", side))
        if (new := after.pin_values >> m.set_base & 1) != level_now:
            level_now = new
            edges.append((before.clock, "set", new))
    return edges


def _ours(runtime: Path, m: Loaded, changes: list[tuple[float, int]], ticks: int, words: list[int], entry: int,
          level: int = 0, isr: int | None = None) -> list[tuple[float, int]]:  # fmt: skip
    """(machine clock, new level) of the SET pin; `changes` are (clk_sys cycle, level) of the input from the start."""
    chip = Chip(runtime)
    chip.halt_cpu()
    chip.run_for(80)
    pins = sorted({m.set_base, m.in_base, m.jump_pin})
    connect_pins(chip, pins, [m.set_base])
    inputs = {m.in_base, m.jump_pin} - {m.set_base}
    for gpio in inputs:
        chip.drive(gpio, changes[0][1])
    for place, opcode in enumerate(m.memory):
        write(chip, INSTR_MEM0 + 4 * place, opcode)
    write(chip, SM0 + PINCTRL, 1 << 26 | m.set_base << 5)
    write(chip, SM0 + INSTR, 0xE000 | level)  # set(pins, level)
    if isr is not None:
        write(chip, TXF0, isr)
        for opcode in (0x8080, 0xA0C7):  # pull(noblock), mov(isr, osr)
            write(chip, SM0 + INSTR, opcode)
    for offset, value in ((CLKDIV, m.divider << 16), (EXECCTRL, m.execctrl), (SHIFTCTRL, m.shiftctrl),
                          (PINCTRL, m.pinctrl), (INSTR, entry)):  # fmt: skip
        write(chip, SM0 + offset, value)
    for word in words:
        write(chip, TXF0, word)
    edges: list[tuple[int, int | None]] = []
    chip.on_output(m.set_base, lambda t_ns, new: edges.append((t_ns, new)))
    chip.run_for(80)
    begun_ns = start(chip, 0)
    for cycle, new in changes[1:]:
        for gpio in inputs:
            chip.call_at(begun_ns + cycle * CYCLE_NS, lambda gpio=gpio, new=new: chip.drive(gpio, new))
    chip.run_for((ticks + 1) * m.divider * CYCLE_NS)
    return [((t - begun_ns) / (CYCLE_NS * m.divider), int(new or 0)) for t, new in edges]


def _sampled(m: Loaded, changes: list[tuple[float, int]]) -> Input:
    """What an instruction of the machine sees of the input, through the synchroniser."""

    cycles = [cycle for cycle, _ in changes]

    def level(clock: int) -> int:
        seen = clock * m.divider - SYNCHRONISER_CYCLES
        return changes[max(0, bisect.bisect_right(cycles, seen) - 1)][1]

    return level


def _square(periods_us: list[float], m: Loaded) -> list[tuple[float, int]]:
    """Changes of a line that starts low and makes one pulse, half of the time high, in each period."""
    changes: list[tuple[float, int]] = [(0, 0)]
    at_us = 200.0
    for period_us in periods_us:
        changes += [(at_us * 1e3 // CYCLE_NS, 1), ((at_us + period_us / 2) * 1e3 // CYCLE_NS, 0)]
        at_us += period_us
    return changes


# ---------------------------------------------------------------------- programs
def test_the_memory_holds_what_the_board_file_budgets(machines: dict[str, Loaded]) -> None:
    for name, m in machines.items():
        assert m.top - m.bottom < PEN.pio[name].max_instructions
        assert m.divider == PEN.board.sys_clock_hz // PEN.pio[name].clock_hz


def test_trip_is_cut_two_instructions_after_it_is_seen(machines: dict[str, Loaded], runtime: Path) -> None:
    m = machines["cut_trip"]
    for cycle in range(40, 60):
        changes: list[tuple[float, int]] = [(0, 1), (cycle, 0)]
        theirs = _theirs(m, _sampled(m, changes), 200, [], m.bottom)
        ours = _ours(runtime, m, changes, 200, [], m.bottom)
        cut = [clock for clock, pin, level in theirs if (pin, level) == ("set", 1)]
        assert [(clock, 1) for clock in cut] == ours, f"TRIP_N at cycle {cycle}"
        assert cut == [cycle + SYNCHRONISER_CYCLES + 1]
        assert (cut[0], "side", 0) in theirs, "the supply goes in the same instruction"


@pytest.mark.parametrize("counts", [1, 10, 62, 100])
def test_permission_ends_when_the_last_heartbeat_has_been_counted_down(
    machines: dict[str, Loaded], runtime: Path, counts: int
) -> None:
    """Entered behind its two waits, as if armed."""
    m = machines["heartbeat"]
    armed = m.bottom + 2
    ticks = 3 * counts + 60
    theirs = _theirs(m, lambda _clock: 0, ticks, [counts], armed, level=1)
    ours = _ours(runtime, m, [(0, 0)], ticks, [counts], armed, level=1)
    assert [(clock, level) for clock, pin, level in theirs if pin == "set"] == ours
    given, withdrawn = (clock for clock, pin, _ in theirs if pin == "set")
    opened = [clock for clock, pin, level in theirs if (pin, level) == ("side", 0)]
    assert opened == [withdrawn - 1], "the supply opens one instruction before the brake"
    life_ms = (withdrawn - given) * m.step_us / 1e3
    print(f"{counts} counts live for {life_ms:.3f} ms")
    if counts == 62:
        assert 2.5 < life_ms <= 3.1 < float(LIMIT("SR-10", "pio_brake_ms"))


def _cut(m: Loaded, periods_us: list[float]) -> float | None:
    """us after the last rising edge at which the window cuts, None if it does not while there are edges.

    The window looks at two periods at a time.
    """
    changes = _square(periods_us, m)
    last_us = changes[-2][0] * CYCLE_NS / 1e3
    end_us = changes[-1][0] * CYCLE_NS / 1e3
    edges = _theirs(m, _sampled(m, changes), int(end_us / m.step_us), [], m.bottom, isr=m.word)
    cut = [clock for clock, pin, level in edges if (pin, level) == ("set", 1)]
    return cut[0] * m.step_us - last_us if cut else None


def _boundary(cuts: Callable[[float], bool], inside_us: float, outside_us: float) -> float:
    """The period nearest to `inside_us` that is cut, to 4 us."""
    while abs(outside_us - inside_us) > 4.0:
        middle = (inside_us + outside_us) / 2
        inside_us, outside_us = (inside_us, middle) if cuts(middle) else (middle, outside_us)
    return outside_us


def _rate_hz(period_us: float) -> float:
    return 1e6 / period_us / PEN.mechanics.index_pulses_per_rev


def test_index_window_cuts_a_period_that_is_too_short(machines: dict[str, Loaded]) -> None:
    """Just inside (165 Hz) goes on, and well before the rate that must never be reached it is cut."""
    m = machines["index_window"]
    threshold_hz, peak_hz = float(LIMIT("SR-06", "threshold_hz")), float(LIMIT("SR-06", "peak_hz"))
    at_us = 1e6 / threshold_hz / PEN.mechanics.index_pulses_per_rev
    peak_us = 1e6 / peak_hz / PEN.mechanics.index_pulses_per_rev
    steady = [at_us * 1.1] * 2
    assert _cut(m, [*steady, at_us, at_us, at_us]) is None, f"cut at {threshold_hz} Hz already"
    assert _cut(m, [*steady, peak_us, peak_us, peak_us]) is not None, (
        f"index periods at {peak_hz} Hz are not cut"
    )
    assert _cut(m, [*steady, 0.8 * at_us, 1.4 * at_us, at_us]) is None, (
        "one short period alone is a late edge"
    )
    shortest_us = _boundary(lambda p: _cut(m, [*steady, p, p, p]) is not None, at_us, peak_us)
    print(f"cut from {_rate_hz(shortest_us):.1f} Hz on ({shortest_us:.0f} us)")
    assert threshold_hz <= _rate_hz(shortest_us) <= 1.05 * threshold_hz


def test_index_window_cuts_a_period_that_is_too_long(machines: dict[str, Loaded]) -> None:
    m = machines["index_window"]
    lowest_hz, stall_ms = float(LIMIT("PR-01", "rate_min_hz")), float(LIMIT("SR-08", "brake_ms"))
    slowest_us = 1e6 / lowest_hz / PEN.mechanics.index_pulses_per_rev
    assert _cut(m, [slowest_us * 1.4, slowest_us * 1.3] * 2) is None, "cut at the lowest rate with its ripple"
    late_us = _cut(m, [slowest_us, slowest_us, 40_000.0])
    assert late_us is not None
    print(f"cut {late_us / 1e3:.3f} ms after the last edge")
    due_us = 1e6 / float(LIMIT("PR-01", "rate_max_hz")) / PEN.mechanics.index_pulses_per_rev
    assert 2 * slowest_us < late_us <= stall_ms * 1e3 + due_us, "later than 15 ms after the edge that was due"


def _patterns(m: Loaded) -> Iterator[tuple[str, list[float]]]:
    yield "steady at 100 Hz", [2500.0] * 4
    yield "too long", [5000.0, 5000.0, 16_000.0]
    yield "too short", [1600.0, 1600.0, 1200.0, 1200.0, 1200.0]
    draw = random.Random(27)
    for case in range(3):
        yield f"random {case}", [draw.uniform(1_300, 7_000) for _ in range(6)]


def test_index_window_runs_alike_on_both_emulators(machines: dict[str, Loaded], runtime: Path) -> None:
    m = machines["index_window"]
    for name, periods_us in _patterns(m):
        changes = _square(periods_us, m)
        ticks = int(changes[-1][0] / m.divider)
        theirs = _theirs(m, _sampled(m, changes), ticks, [], m.bottom, isr=m.word)
        ours = _ours(runtime, m, changes, ticks, [], m.bottom, isr=m.word)
        assert [(clock, level) for clock, pin, level in theirs if pin == "set"] == ours, name


def test_debounce_runs_alike_on_both_emulators(machines: dict[str, Loaded], runtime: Path) -> None:
    """Clean marks, marks with bursts on them, and noise."""
    m = machines["index_debounce"]
    draw = random.Random(1)
    for case in range(4):
        changes: list[tuple[float, int]] = [(0, 0)]
        at_us, level = 300.0, 0
        while at_us < 15_000:
            level = 1 - level
            changes.append((at_us * 1e3 // CYCLE_NS, level))
            at_us += draw.uniform(400, 2_500) if case == 0 or draw.random() < 0.2 else draw.uniform(3, 260)
        ticks = int(16_000 / m.step_us)
        theirs = _theirs(m, _sampled(m, changes), ticks, [], m.bottom)
        ours = _ours(runtime, m, changes, ticks, [], m.bottom)
        wanted = [(clock, level) for clock, pin, level in theirs if pin == "set"]
        assert wanted and wanted == ours, f"case {case}"


@pytest.mark.parametrize("level", [1, 0])
def test_debounce_ignores_just_under_200_us_and_passes_real_marks(
    machines: dict[str, Loaded], level: int
) -> None:
    m = machines["index_debounce"]
    glitch_us = float(LIMIT("SR-27", "glitch_us"))
    mark_us = 1e6 / float(LIMIT("SR-06", "peak_hz")) / PEN.mechanics.index_pulses_per_rev / 2

    def passes(width_us: float, phase_us: float) -> bool:
        begin = (1_000 + phase_us) * 1e3 // CYCLE_NS
        changes = [(0, 1 - level), (begin, level), (begin + width_us * 1e3 // CYCLE_NS, 1 - level)]
        edges = _theirs(m, _sampled(m, changes), int(3_000 / m.step_us), [], m.bottom)
        return len([1 for clock, pin, _ in edges if pin == "set" and clock * m.step_us > 900]) > 0

    for phase_us in range(0, 20, 4):
        assert not passes(glitch_us - 0.1, phase_us)
        assert passes(mark_us, phase_us)


def _pushes(m: Loaded, signal: Input, ticks: int) -> list[int]:
    """Machine clocks at which the independent emulator pushes a word."""

    def inputs(clock: int) -> int:
        return signal(clock)

    inputs.__annotations__ = {"clock": int}
    states = pioemu.emulate(
        list(m.memory),
        stop_when=lambda _opcode, state: state.clock >= ticks,
        initial_state=pioemu.State(program_counter=m.bottom),
        input_source=inputs,
        wrap_target=m.bottom,
        wrap_top=m.top,
    )
    clocks: list[int] = []
    pushed = 0
    for before, after in states:
        if len(after.receive_fifo) > pushed:
            pushed = len(after.receive_fifo)
            clocks.append(before.clock)
    return clocks


def test_every_rising_edge_is_announced_once_and_at_once(machines: dict[str, Loaded]) -> None:
    """On the independent emulator: one word for each of the four edges that its FIFO can hold, within two clocks."""
    m = machines["index_capture"]
    rises = [100, 2_600, 5_100, 7_600]
    announced = _pushes(m, lambda clock: int(any(0 <= clock - rise < 1_250 for rise in rises)), 10_000)
    print(f"announced {[a - r for a, r in zip(announced, rises, strict=True)]} clocks after the edges")
    assert all(0 <= a - r <= 2 for a, r in zip(announced, rises, strict=True))


def test_the_stored_times_are_those_of_the_edges(runtime: Path) -> None:
    """On the pen: what DMA stored against the edges at INDEX_CLEAN, us."""

    def late_us() -> list[float]:
        pen = EmulatedPen(PEN, runtime, factory_image(app_image(PEN).image, PEN, PenParameters(), 0))
        pen.power_up()
        rises: list[float] = []
        pen.chip.on_output(PEN.gpio("INDEX_CLEAN"), lambda t, level: rises.append(t / 1e3) if level else None)
        pen.press()
        pen.run_for(400e6)
        stamp = pen.chip.mcu.dma.channels[1]
        ring = stamp._write_addr & ~63
        words = [pen.chip.mcu.read_uint32(ring + 4 * k) for k in range(16)]
        newest = ((stamp._write_addr - ring) >> 2) - 1
        stored = [words[(newest - k) % 16] for k in range(15, -1, -1)]
        return [at_us - rise for at_us, rise in zip(stored, rises[-16:], strict=True)]

    late = in_fork(late_us)
    print(f"stored {min(late):.3f} to {max(late):.3f} us after the edges")
    assert min(late) >= -1.0 and max(late) <= 4.0


def test_the_tick_interrupts_every_second_clock(machines: dict[str, Loaded]) -> None:
    m = machines["tick"]
    kinds = [m.memory[place] & OPCODE_MASK for place in range(m.bottom, m.top + 1)]
    delays = [m.memory[place] >> 8 & 31 for place in range(m.bottom, m.top + 1)]
    assert kinds.count(IRQ_OPCODE) == 1 and len(kinds) + sum(delays) == 2
    assert 2 * m.step_us == float(LIMIT("PR-07", "period_us"))
