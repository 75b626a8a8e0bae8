"""PWM by registers tells the same as PWM edge by edge, at the instant at which a change takes effect."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from needlepen.emulator.chip import Chip

GPIO = 2
SLICE = 1
BASE = 0x40050000 + 0x14 * SLICE
CSR, DIV, CTR, CC, TOP = (BASE + offset for offset in range(0, 0x14, 4))
EN, INTR = 0x400500A0, 0x400500A4
FUNCTION_PWM, FUNCTION_SIO = 4, 5
CYCLE_NS = 8
Waveform = tuple[int, "float | None", float]


@pytest.fixture
def bare(runtime: Path) -> Chip:
    """A chip whose CPU never runs, with the pad given to PWM."""
    chip = Chip(runtime)
    chip.halt_cpu()
    chip.run_for(80)
    write(chip, 0x40014004 + 8 * GPIO, FUNCTION_PWM)
    return chip


def write(chip: Chip, address: int, value: int) -> None:
    chip.mcu.write_uint32(address, value)


def follow(chip: Chip) -> list[Waveform]:
    changes: list[Waveform] = []
    chip.on_pwm(GPIO, lambda *change: changes.append(change))
    return changes


def record(chip: Chip) -> list[tuple[int, int | None]]:
    edges: list[tuple[int, int | None]] = []
    chip.on_output(GPIO, lambda t_ns, level: edges.append((t_ns, level)))
    return edges


@pytest.mark.parametrize(
    ("top", "compare", "divider"), [(4999, 1250, 1), (4999, 1, 1), (99, 99, 2.5), (6249, 6249, 1)]
)
def test_edges_have_the_duty_and_frequency_of_the_registers(
    bare: Chip, top: int, compare: int, divider: float
) -> None:
    changes, edges = follow(bare), record(bare)
    write(bare, DIV, int(divider * 16))
    write(bare, TOP, top)
    write(bare, CC, compare)
    write(bare, CSR, 1)
    started_ns = bare.now_ns
    period_ns = (top + 1) * divider * CYCLE_NS
    bare.run_for(10 * period_ns)
    assert changes[-1] == (started_ns, compare / (top + 1), pytest.approx(1e9 / period_ns))
    rises = [t for t, level in edges if level]
    falls = [t for t, level in edges if level == 0]
    assert rises[:9] == [round(started_ns + i * period_ns) for i in range(9)]
    assert falls[:9] == [round(started_ns + i * period_ns + compare * divider * CYCLE_NS) for i in range(9)]


@pytest.mark.parametrize("at_cycle", [1, 2499, 2500, 4999, 5000, 5001])
@pytest.mark.parametrize("listens", ["waveform", "edges"])
def test_a_new_compare_value_takes_effect_at_the_wrap(bare: Chip, at_cycle: int, listens: str) -> None:
    changes = follow(bare)
    edges = record(bare) if listens == "edges" else []
    write(bare, TOP, 4999)
    write(bare, CC, 1000)
    write(bare, CSR, 1)
    started_ns = bare.now_ns
    bare.run_for(at_cycle * CYCLE_NS)
    write(bare, CC, 3000)
    bare.run_for(200_000)
    wrap_ns = started_ns + (at_cycle // 5000 + 1) * 5000 * CYCLE_NS
    assert changes[-2:] == [(started_ns, 0.2, 25_000.0), (wrap_ns, 0.6, 25_000.0)]
    if listens == "edges":
        falls = [t for t, level in edges if level == 0 and t > wrap_ns]
        assert falls[0] == wrap_ns + 3000 * CYCLE_NS


def test_of_two_writes_in_a_period_the_last_one_counts(bare: Chip) -> None:
    changes = follow(bare)
    write(bare, TOP, 4999)
    write(bare, CC, 1000)
    write(bare, CSR, 1)
    bare.run_for(8_000)
    write(bare, CC, 4000)
    write(bare, CC, 2000)
    bare.run_for(100_000)
    assert [duty for _, duty, _ in changes][-2:] == [0.2, 0.4]


def test_atomic_writes_change_only_their_bits(bare: Chip) -> None:
    changes = follow(bare)
    write(bare, TOP, 4999)
    write(bare, CC, 3000 << 16 | 1000)
    write(bare, CSR, 1)
    write(bare, CC + 0x1000, 1000 ^ 2000)
    bare.run_for(100_000)
    assert changes[-1][1] == 0.4 and bare.mcu.read_uint32(CC) == 3000 << 16 | 2000
    write(bare, CSR + 0x3000, 1)
    assert changes[-1][1:] in ((0.0, 0.0), (1.0, 0.0))


@pytest.mark.parametrize(("compare", "duty"), [(0, 0.0), (5000, 1.0), (60_000, 1.0)])
def test_constant_levels_have_no_frequency(bare: Chip, compare: int, duty: float) -> None:
    changes, edges = follow(bare), record(bare)
    write(bare, TOP, 4999)
    write(bare, CC, compare)
    write(bare, CSR, 1)
    bare.run_for(200_000)
    assert changes[-1][1:] == (duty, 0.0) and bare.output(GPIO) == int(duty)
    assert len(edges) == int(duty)


def test_inversion_turns_the_waveform_around(bare: Chip) -> None:
    changes = follow(bare)
    write(bare, TOP, 999)
    write(bare, CC, 250)
    write(bare, CSR, 1 | 1 << 2)
    assert changes[-1][1] == 0.75


def test_phase_correct_mode_halves_the_frequency_and_centres_the_pulse(bare: Chip) -> None:
    changes, edges = follow(bare), record(bare)
    write(bare, TOP, 1000)
    write(bare, CC, 300)
    write(bare, CSR, 1 | 1 << 1)
    bare.run_for(100_000)
    assert changes[-1][1:] == (0.3, 62_500.0)
    falls = [t for t, level in edges if level == 0]
    rises = [t for t, level in edges if level == 1]
    assert rises[2] - falls[1] == 1401 * CYCLE_NS and {b - a for a, b in itertools.pairwise(falls)} == {
        16_000
    }


def test_the_pad_leaving_pwm_is_reported_as_what_it_then_does(bare: Chip) -> None:
    changes = follow(bare)
    write(bare, TOP, 4999)
    write(bare, CC, 1000)
    write(bare, CSR, 1)
    bare.run_for(1_000)
    write(bare, 0x40014004 + 8 * GPIO, FUNCTION_SIO)
    assert changes[-1] == (bare.now_ns, None, 0.0)
    write(bare, 0xD0000024, 1 << GPIO)
    assert changes[-1] == (bare.now_ns, 0.0, 0.0)
    write(bare, 0xD0000014, 1 << GPIO)
    assert changes[-1] == (bare.now_ns, 1.0, 0.0)
    bare.reset("run_pin")
    assert changes[-1] == (bare.now_ns, None, 0.0)


def test_a_wave_that_nobody_hears_edge_by_edge_costs_no_alarms(bare: Chip) -> None:
    follow(bare)
    write(bare, TOP, 4999)
    write(bare, CC, 1000)
    write(bare, CSR, 1)
    bare.run_for(1_000)
    alarms = bare.stats.alarms
    bare.run_for(1e9)
    assert bare.stats.alarms == alarms


def test_a_divider_of_0_is_256(bare: Chip) -> None:
    """RP2040 datasheet 4.5.3: an integer part of 0 stands for the largest divider, and not for none."""
    changes = follow(bare)
    write(bare, DIV, 0)
    write(bare, TOP, 99)
    write(bare, CC, 25)
    write(bare, CSR, 1)
    assert changes[-1][1:] == (0.25, pytest.approx(125e6 / 256 / 100))


def test_a_wrap_is_flagged_until_a_one_is_written_to_its_flag(bare: Chip) -> None:
    write(bare, TOP, 99)
    write(bare, CSR, 1)
    bare.run_for(50 * CYCLE_NS)
    assert bare.mcu.read_uint32(INTR) == 0
    bare.run_for(100 * CYCLE_NS)
    assert bare.mcu.read_uint32(INTR) == 1 << SLICE
    write(bare, INTR, 0xFF & ~(1 << SLICE))
    assert bare.mcu.read_uint32(INTR) == 1 << SLICE, "only the flags that are written to"
    write(bare, INTR, 1 << SLICE)
    assert bare.mcu.read_uint32(INTR) == 0
    bare.run_for(100 * CYCLE_NS)
    assert bare.mcu.read_uint32(INTR) == 1 << SLICE


def test_the_counter_reads_as_time_passes(bare: Chip) -> None:
    write(bare, TOP, 4999)
    write(bare, CSR, 1)
    bare.run_for(12_345 * CYCLE_NS)
    assert bare.mcu.read_uint32(CTR) == 12_345 % 5000
    write(bare, EN, 0xFF)  # enabling the others does not disturb this one
    bare.run_for(10 * CYCLE_NS)
    assert bare.mcu.read_uint32(CTR) == 12_355 % 5000


def test_wrap_interrupts_come_at_each_wrap(chip: Chip) -> None:
    code = f"""
from machine import mem32
mem32[{BASE + 0x10}] = 4999
mem32[{BASE}] = 1
mem32[0x400500a4] = 2
import time
time.sleep_us(500)
print(mem32[0x400500a4] & 2)
"""
    assert chip.console.exec(code)[0].strip() == "2"


@pytest.mark.parametrize("method", ["duty_u16", "duty_ns", "register"])
def test_micropython_sets_the_duty_in_every_way(boot: Callable[..., Chip], method: str) -> None:
    chip = boot()
    changes = follow(chip)
    change = {
        "duty_u16": "p.duty_u16(49152)",
        "duty_ns": "p.duty_ns(30000)",
        "register": f"mem32[{CC}] = 3750",
    }[method]
    _out, error = chip.console.exec(
        f"from machine import PWM, Pin, mem32\np = PWM(Pin({GPIO}), freq=25000, duty_u16=32768)\n{change}"
    )
    assert not error
    chip.run_for(1e6)
    assert changes[-1][1:] == (pytest.approx(0.75, abs=0.001), 25_000.0)
    chip.console.exec("p.deinit()")
    assert changes[-1][2] == 0.0


def test_listening_to_a_pad_of_another_function_does_not_simulate_the_slice(bare: Chip) -> None:
    """RUN_N is the B pad of PWM_N's slice, but PIO drives it."""
    bare.on_output(GPIO + 1, lambda _t_ns, _level: None)
    follow(bare)
    write(bare, TOP, 4999)
    write(bare, CC, 1000 << 16 | 1000)
    write(bare, CSR, 1)
    alarms = bare.stats.alarms
    bare.run_for(1e6)
    assert bare.stats.alarms == alarms
    write(bare, 0x40014004 + 8 * (GPIO + 1), FUNCTION_PWM)
    bare.run_for(1e6)
    assert bare.stats.alarms > alarms + 40
