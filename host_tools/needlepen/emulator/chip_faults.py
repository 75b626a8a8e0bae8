"""Broken parts inside the emulated RP2040: a memory cell, a flash bit, an instruction, the converter's reference."""

from __future__ import annotations

from collections.abc import Callable

from needlepen.emulator.chip import FLASH_BASE, FLASH_SIZE, Chip
from needlepen.errors import UsageError

SRAM_BASE, SRAM_SIZE = 0x20000000, 264 * 1024
CELL_PERIOD_NS = 500.0
"""A stuck cell is put right again this often: faster than any test writes a block and reads it back."""
CODE_TOP = 4095

AdcSource = Callable[[int], int]


class ChipFaults:
    """Faults of one chip; each returns the function that mends it."""

    def __init__(self, chip: Chip) -> None:
        self._chip = chip

    def stick_ram_bit(self, address: int, bit: int, level: int) -> Callable[[], None]:
        """Hold bit 0 to 7 of a byte of the memory at 0 or 1. Raises UsageError for an address outside."""
        offset = address - SRAM_BASE
        if not 0 <= offset < SRAM_SIZE:
            raise UsageError(
                f"{address:#x} is not in the memory; give {SRAM_BASE:#x} to {SRAM_BASE + SRAM_SIZE - 1:#x}."
            )
        sram, mask = self._chip.mcu.sram, 1 << bit

        def hold() -> None:
            sram[offset] = sram[offset] | mask if level else sram[offset] & ~mask
            alarm.schedule(CELL_PERIOD_NS)

        alarm = self._chip.create_alarm(hold)
        hold()
        return alarm.cancel

    def flip_flash_bit(self, address: int, bit: int) -> Callable[[], None]:
        """Turn bit 0 to 7 of a byte of the flash over. Raises UsageError for an address outside."""
        offset = address - FLASH_BASE
        if not 0 <= offset < FLASH_SIZE:
            raise UsageError(
                f"{address:#x} is not in the flash; give {FLASH_BASE:#x} to {FLASH_BASE + FLASH_SIZE - 1:#x}."
            )
        flash = self._chip.mcu.flash

        def flip() -> None:
            flash[offset] ^= 1 << bit

        flip()
        return flip

    def break_rotation(self, stuck_bits: int = 1 << 5) -> Callable[[], None]:
        """An instruction of the CPU computes wrong results: RORS, with these bits set in every result."""
        self._chip.break_rotation(stuck_bits)
        return lambda: self._chip.break_rotation(0)

    def bend_reference(self, error: float) -> Callable[[], None]:
        """The converter's reference voltage is wrong by a fraction: 0.1 = 10 % too high, so that codes are too low."""

        def bent(source: AdcSource) -> AdcSource:
            return lambda t_ns: min(CODE_TOP, round(source(t_ns) / (1.0 + error)))

        return self._replace_sources([bent(source) for source in self._chip.adc_sources])

    def stick_multiplexer(self, channel: int) -> Callable[[], None]:
        """The converter converts this channel, 0 to 4, whichever is selected."""
        return self._replace_sources([self._chip.adc_sources[channel]] * len(self._chip.adc_sources))

    def _replace_sources(self, sources: list[AdcSource]) -> Callable[[], None]:
        inputs = self._chip.adc_sources
        sound = list(inputs)
        inputs[:] = sources

        def mend() -> None:
            inputs[:] = sound

        return mend
