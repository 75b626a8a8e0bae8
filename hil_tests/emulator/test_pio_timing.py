"""PIO programs run cycle by cycle as the independent emulator `rp2040-pio-emulator` runs them, and as computed."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pioemu
import pytest
from pio_rig import CYCLE_NS, RXF0, Setup, connect_pins, prepare, read, start
from rp2040py.utils import pio_assembler as asm

from needlepen.emulator.chip import Chip

PIN = 2
SIDE = 1 << 12  # side(1) with one side-set bit
IRQ = 0x30


@pytest.fixture
def bare(runtime: Path) -> Chip:
    """A chip whose CPU never runs."""
    chip = Chip(runtime)
    chip.halt_cpu()
    chip.run_for(80)
    return chip


BLINK = [asm.pio_set(0, 1, 31), asm.pio_set(0, 0, 30), asm.pio_mov(0, 0, 0, 2)]
COUNTED = [
    asm.pio_set(asm.PIO_DEST_X, 7),
    asm.pio_set(0, 1),
    asm.pio_jmp(1, asm.PIO_COND_XDEC, 3),
    asm.pio_set(0, 0, 1),
    asm.pio_jmp(3, asm.PIO_COND_NOTY, 0),
]
SIDE_SET = [
    asm.pio_set(asm.PIO_DEST_Y, 5) | SIDE,
    asm.pio_mov(asm.PIO_MOV_DEST_X, asm.PIO_SRC_Y, asm.PIO_OP_INVERT),
    asm.pio_jmp(1, asm.PIO_COND_YDEC, 4) | SIDE,
    asm.pio_jmp(0, asm.PIO_COND_ALWAYS, 9),
]
SHIFTED = [
    asm.pio_pull(False, True),
    asm.pio_out(asm.PIO_DEST_X, 5),
    asm.pio_out(asm.PIO_DEST_PINS, 1, 2),
    asm.pio_jmp(2, asm.PIO_COND_XDEC),
    asm.pio_in(asm.PIO_SRC_OSR, 7),
    asm.pio_push(False, True),
]


def _pio_emulator_edges(setup: Setup, cycles: int, side: bool, outs: bool) -> list[tuple[int, int]]:
    state = pioemu.State(transmit_fifo=deque(setup.words), pin_directions=0xFFFFFFFF)
    edges, level = [], 0
    generator = pioemu.emulate(
        setup.program,
        stop_when=pioemu.clock_cycles_reached(cycles),
        initial_state=state,
        set_base=PIN,
        set_count=1,
        out_base=PIN,
        out_count=1 if outs else 0,
        side_set_base=PIN,
        side_set_count=1 if side else 0,
    )
    for before, after in generator:
        if (new := after.pin_values >> PIN & 1) != level:
            level = new
            edges.append((before.clock, level))
    return edges


@pytest.mark.parametrize("divider", [1, 2, 125])
@pytest.mark.parametrize(
    ("program", "side", "outs", "words"),
    [
        pytest.param(BLINK, False, False, [], id="blink"),
        pytest.param(COUNTED, False, False, [], id="counted"),
        pytest.param(SIDE_SET, True, False, [], id="side-set"),
        pytest.param(SHIFTED, False, True, [0b1011001_01010, 0b0101_00011], id="shifted"),
    ],
)
def test_edges_are_those_of_the_independent_emulator(
    bare: Chip, program: list[int], side: bool, outs: bool, words: list[int], divider: int
) -> None:
    cycles = 400
    setup = Setup(
        program, divider=divider, set_base=PIN, set_count=1, out_base=PIN, out_count=1 if outs else 0,
        side_base=PIN, side_count=1 if side else 0, words=words,
    )  # fmt: skip
    connect_pins(bare, [PIN], [PIN])
    prepare(bare, 0, setup)
    edges: list[tuple[int, int | None]] = []
    bare.on_output(PIN, lambda t_ns, level: edges.append((t_ns, level)))
    started_ns = start(bare, 0)
    bare.run_for((cycles + 1) * divider * CYCLE_NS)
    ours = [((t - started_ns) / (CYCLE_NS * divider), level) for t, level in edges]
    theirs = _pio_emulator_edges(setup, cycles, side, outs)
    assert theirs and ours[: len(theirs)] == theirs


def test_words_come_back_as_from_the_independent_emulator(bare: Chip) -> None:
    setup = Setup(SHIFTED, out_base=PIN, out_count=1, words=[0b1011001_01010, 0xFFFFFFFF])
    connect_pins(bare, [PIN], [PIN])
    prepare(bare, 0, setup)
    start(bare, 0)
    bare.run_for(400 * CYCLE_NS)
    *_, (_, last) = pioemu.emulate(
        SHIFTED,
        stop_when=pioemu.clock_cycles_reached(400),
        initial_state=pioemu.State(transmit_fifo=deque(setup.words)),
        out_base=PIN,
        out_count=1,
    )
    assert len(last.receive_fifo) == 2
    assert [read(bare, RXF0), read(bare, RXF0)] == list(last.receive_fifo)


@pytest.mark.parametrize("phase_ns", range(8))
def test_wait_reacts_24_to_32_ns_after_the_pin(bare: Chip, phase_ns: int) -> None:
    """Two flip-flops, one cycle for WAIT, one for SET: 3 to 4 edges after the change."""
    trip, run_n = 5, 3
    program = [asm.pio_wait(False, asm.PIO_WAIT_SRC_PIN, 0), asm.pio_set(0, 1), asm.pio_irq(False, True, 4)]
    connect_pins(bare, [trip, run_n], [run_n])
    bare.drive(trip, 1)
    bare.run_for(100)
    prepare(bare, 0, Setup(program, set_base=run_n, set_count=1, in_base=trip))
    edges: list[tuple[int, int | None]] = []
    bare.on_output(run_n, lambda t_ns, level: edges.append((t_ns, level)))
    start(bare, 0)
    tripped_ns = bare.now_ns // CYCLE_NS * CYCLE_NS + 8_000 + phase_ns
    bare.call_at(tripped_ns, lambda: bare.drive(trip, 0))
    bare.run_for(16_000)
    assert [level for _, level in edges] == [1]
    reaction_ns = edges[0][0] - tripped_ns
    assert reaction_ns == 32 - phase_ns, (
        f"RUN_N withdrawn {reaction_ns} ns after TRIP_N, expected {32 - phase_ns}"
    )


@pytest.mark.parametrize("delay_cycles", range(12))
def test_a_slow_machine_keeps_the_phase_of_its_divider_while_it_waits(bare: Chip, delay_cycles: int) -> None:
    trip, out, divider = 5, 3, 6
    program = [asm.pio_wait(True, asm.PIO_WAIT_SRC_GPIO, trip), asm.pio_set(0, 1), asm.pio_jmp(2)]
    connect_pins(bare, [trip, out], [out])
    bare.drive(trip, 0)
    bare.run_for(100)
    prepare(bare, 0, Setup(program, set_base=out, set_count=1, divider=divider))
    edges: list[tuple[int, int | None]] = []
    bare.on_output(out, lambda t_ns, level: edges.append((t_ns, level)))
    started_ns = start(bare, 0)
    bare.call_at(started_ns + 800 + delay_cycles * CYCLE_NS, lambda: bare.drive(trip, 1))
    bare.run_for(4_000)
    visible = (800 // CYCLE_NS) + delay_cycles + 3
    looked = -(-visible // divider) * divider  # the first tick of the machine at which WAIT can see it
    assert edges == [(started_ns + (looked + divider) * CYCLE_NS, 1)]


def test_a_pulse_between_two_ticks_of_a_slow_machine_is_missed(bare: Chip) -> None:
    trip, out, divider = 5, 3, 100
    program = [asm.pio_wait(True, asm.PIO_WAIT_SRC_GPIO, trip), asm.pio_set(0, 1), asm.pio_jmp(2)]
    connect_pins(bare, [trip, out], [out])
    bare.drive(trip, 0)
    bare.run_for(100)
    prepare(bare, 0, Setup(program, set_base=out, set_count=1, divider=divider))
    started_ns = start(bare, 0)
    bare.call_at(started_ns + 1_000, lambda: bare.drive(trip, 1))
    bare.call_at(started_ns + 1_300, lambda: bare.drive(trip, 0))
    bare.run_for(10_000)
    assert bare.output(out) == 0


def test_a_flag_raised_by_one_machine_is_seen_by_the_other_one_cycle_later(bare: Chip) -> None:
    first, second = 2, 3
    raiser = [asm.pio_set(0, 1), asm.pio_irq(False, False, 5), asm.pio_jmp(2)]
    waiter = [asm.pio_wait(True, asm.PIO_WAIT_SRC_IRQ, 5), asm.pio_set(0, 1), asm.pio_jmp(12)]
    connect_pins(bare, [first, second], [first, second])
    prepare(bare, 0, Setup(raiser, set_base=first, set_count=1))
    prepare(bare, 1, Setup(waiter, start=10, set_base=second, set_count=1))
    times: dict[int, int] = {}
    for gpio in (first, second):
        bare.on_output(gpio, lambda t_ns, _level, gpio=gpio: times.setdefault(gpio, t_ns))
    start(bare, 0, 1)
    bare.run_for(1_000)
    assert times[second] - times[first] == 3 * CYCLE_NS  # IRQ, WAIT sees it, SET
    assert read(bare, IRQ) == 0, "a WAIT for a set flag clears it (RP2040 datasheet 3.4.3.2)"


def test_a_pull_that_does_not_wait_takes_x_where_there_is_no_word(bare: Chip) -> None:
    """RP2040 datasheet 3.4.7.2: what the heartbeat machine counts down by."""
    program = [
        asm.pio_set(asm.PIO_DEST_X, 21),
        asm.pio_pull(False, False),
        asm.pio_mov(asm.PIO_MOV_DEST_ISR, asm.PIO_SRC_OSR),
        asm.pio_push(False, True),
        asm.pio_jmp(1),
    ]
    prepare(bare, 0, Setup(program, words=[7]))
    start(bare, 0)
    bare.run_for(100 * CYCLE_NS)
    assert [read(bare, RXF0) for _ in range(3)] == [7, 21, 21]


def test_input_capture_measures_a_pulse_to_two_cycles(bare: Chip) -> None:
    pulse, width_ns = 5, 123_456
    program = [
        asm.pio_wait(True, asm.PIO_WAIT_SRC_GPIO, pulse),
        asm.pio_mov(asm.PIO_MOV_DEST_X, asm.PIO_SRC_NULL, asm.PIO_OP_INVERT),
        asm.pio_jmp(4, asm.PIO_COND_PIN),
        asm.pio_jmp(5),
        asm.pio_jmp(2, asm.PIO_COND_XDEC),
        asm.pio_mov(asm.PIO_MOV_DEST_ISR, asm.PIO_SRC_X, asm.PIO_OP_INVERT),
        asm.pio_push(False, True),
    ]
    connect_pins(bare, [pulse], [])
    bare.drive(pulse, 0)
    bare.run_for(100)
    prepare(bare, 0, Setup(program, jump_pin=pulse))
    start(bare, 0)
    bare.call_at(bare.now_ns + 10_000, lambda: bare.drive(pulse, 1))
    bare.call_at(bare.now_ns + 10_000 + width_ns, lambda: bare.drive(pulse, 0))
    bare.run_for(200_000)
    measured_ns = (read(bare, RXF0) * 2 + 2) * CYCLE_NS
    assert abs(measured_ns - width_ns) <= 2 * CYCLE_NS, f"measured {measured_ns} ns of {width_ns} ns"


def test_machines_that_stall_cost_nothing(bare: Chip) -> None:
    connect_pins(bare, [5], [])
    bare.drive(5, 1)
    bare.run_for(100)
    prepare(bare, 0, Setup([asm.pio_wait(False, asm.PIO_WAIT_SRC_GPIO, 5)]))
    start(bare, 0)
    bare.run_for(1_000)
    steps = bare.stats.pio_steps
    bare.run_for(1e9)
    assert bare.stats.pio_steps == steps
