"""The frequency counter against its datasheet (RP2040 2.15.4), and the broken parts inside the chip."""

from __future__ import annotations

from pathlib import Path

import pytest

from needlepen.emulator.chip import Chip
from needlepen.emulator.chip_faults import SRAM_BASE, ChipFaults
from needlepen.errors import UsageError

FC0 = 0x40008080
REF_KHZ, MIN_KHZ, MAX_KHZ, INTERVAL, SRC, STATUS, RESULT = (
    FC0 + k for k in (0, 4, 8, 0x10, 0x14, 0x18, 0x1C)
)
ROSC, CLK_REF, CLK_SYS = 3, 8, 9
DONE, PASS, FAIL, SLOW, FAST, DIED = 1 << 4, 1 << 0, 1 << 16, 1 << 20, 1 << 24, 1 << 28
ACCURACY_KHZ = {0: 2048.0, 5: 64.0, 8: 8.0, 10: 2.0, 15: 0.0625}  # the datasheet's table


@pytest.fixture
def chip(runtime: Path) -> Chip:
    return Chip(runtime)


def _measure(chip: Chip, source: int, interval: int = 10) -> tuple[float, int]:
    """Result in kHz and status, when the counter is done."""
    mcu = chip.mcu
    mcu.write_uint32(REF_KHZ, 12_000)
    mcu.write_uint32(INTERVAL, interval)
    mcu.write_uint32(SRC, source)
    chip.run_for(0.98e3 * 2**interval + 100)
    return mcu.read_uint32(RESULT) / 32.0, mcu.read_uint32(STATUS)


@pytest.mark.parametrize("interval", ACCURACY_KHZ)
def test_the_counter_is_as_exact_as_its_interval_is_long(chip: Chip, interval: int) -> None:
    for source, true_khz in ((CLK_REF, 12_000.0), (CLK_SYS, 125_000.0)):
        khz, status = _measure(chip, source, interval)
        assert abs(khz - true_khz) <= ACCURACY_KHZ[interval] and status == DONE | PASS


def test_the_result_comes_when_the_interval_is_over_and_not_before(chip: Chip) -> None:
    mcu = chip.mcu
    mcu.write_uint32(REF_KHZ, 12_000)
    mcu.write_uint32(INTERVAL, 10)
    mcu.write_uint32(SRC, CLK_SYS)
    chip.run_for(0.98e3 * 2**10 - 2_000)
    assert not mcu.read_uint32(STATUS) & DONE and mcu.read_uint32(RESULT) == 0
    chip.run_for(4_000)
    assert mcu.read_uint32(STATUS) & DONE


def test_a_wrong_crystal_shows_in_the_ring_oscillator_and_a_wrong_pll_in_the_system_clock(chip: Chip) -> None:
    rosc_khz = chip.clocks.rosc_khz
    for error in (0.06, -0.06):
        chip.clocks.crystal_error = error
        assert _measure(chip, ROSC)[0] == pytest.approx(rosc_khz / (1.0 + error), rel=4e-3)
        assert _measure(chip, CLK_SYS)[0] == pytest.approx(125_000.0, rel=1e-4)
        chip.clocks.crystal_error, chip.clocks.pll_error = 0.0, error
        assert _measure(chip, CLK_SYS)[0] == pytest.approx(125_000.0 * (1.0 + error), rel=1e-4)
        chip.clocks.pll_error = 0.0


def test_the_counter_says_slow_fast_or_died(chip: Chip) -> None:
    mcu = chip.mcu
    mcu.write_uint32(MIN_KHZ, 130_000)
    assert _measure(chip, CLK_SYS)[1] == DONE | FAIL | SLOW
    mcu.write_uint32(MIN_KHZ, 0)
    mcu.write_uint32(MAX_KHZ, 120_000)
    assert _measure(chip, CLK_SYS)[1] == DONE | FAIL | FAST
    chip.clocks.rosc_khz = 0.0
    assert _measure(chip, ROSC)[1] & DIED


def test_pens_differ_in_their_ring_oscillator_and_the_same_pen_does_not(runtime: Path) -> None:
    ids = [bytes(7) + bytes([k]) for k in (1, 1, 2)]
    first, same, other = (Chip(runtime, unique_id=unique_id).clocks.rosc_khz for unique_id in ids)
    assert first == same != other


@pytest.mark.parametrize("engine", ["compiled", "python"])
def test_a_broken_rotation_is_wrong_in_both_engines_until_it_is_mended(runtime: Path, engine: str) -> None:
    chip = Chip(runtime, engine=engine)
    program = (0x41C8, 0x46C0, 0x46C0, 0xE7FC)  # RORS R0, R1; NOP; NOP; back
    for place, opcode in enumerate(program):
        chip.mcu.write_uint16(SRAM_BASE + 0x1000 + 2 * place, opcode)

    def rotated() -> int:
        core = chip.mcu.core
        core.pc = SRAM_BASE + 0x1000
        core.registers[0], core.registers[1] = 0x100, 4
        chip.run_for(16)
        return int(core.registers[0])

    assert rotated() == 0x10
    mend = ChipFaults(chip).break_rotation(1 << 7)
    assert rotated() == 0x90
    mend()
    assert rotated() == 0x10


def test_a_stuck_cell_comes_back_whatever_is_written_and_a_mended_one_does_not(chip: Chip) -> None:
    address = SRAM_BASE + 0x20000
    mend = ChipFaults(chip).stick_ram_bit(address, 3, 1)
    chip.mcu.write_uint32(address, 0)
    chip.run_for(1_000)
    assert chip.mcu.read_uint32(address) == 8
    mend()
    chip.mcu.write_uint32(address, 0)
    chip.run_for(1_000)
    assert chip.mcu.read_uint32(address) == 0


def test_a_place_outside_memory_or_flash_is_refused(chip: Chip) -> None:
    with pytest.raises(UsageError, match="not in the memory"):
        ChipFaults(chip).stick_ram_bit(SRAM_BASE + 264 * 1024, 0, 1)
    with pytest.raises(UsageError, match="not in the flash"):
        ChipFaults(chip).flip_flash_bit(0x10200000, 0)


def test_reference_and_multiplexer_faults_bend_every_channel_and_can_be_mended(chip: Chip) -> None:
    for channel in range(4):
        chip.set_adc_source(channel, lambda _t, code=500 * (channel + 1): code)

    def codes() -> list[int]:
        return [source(0) for source in chip.adc_sources]

    sound = codes()
    mend = ChipFaults(chip).bend_reference(0.25)
    assert codes() == [round(code / 1.25) for code in sound]
    mend()
    mend = ChipFaults(chip).stick_multiplexer(2)
    assert codes() == [sound[2]] * len(sound)
    mend()
    assert codes() == sound
