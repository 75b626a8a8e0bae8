"""What the RP2040's boot ROM decides when the chip starts: the program in the flash, or BOOTSEL mode.

In BOOTSEL mode the ROM offers a USB drive that takes UF2 files. Datasheet 2.8.1: a vector in the watchdog's scratch
registers comes first (that is how `machine.bootloader()` gets there), then the BOOTSEL button, then the check sum of
the flash's first 256 bytes. So a blank flash ends in BOOTSEL mode by itself; one whose first page is sound and
whose rest is garbage does not, and needs the button.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from rp2040py.peripherals.watchdog import TIMER

VECTOR_MAGIC = 0xB007C0D3
ROM_BYTES = 0x4000
BOOT2_BYTES = 256
_SCRATCH_MAGIC, _SCRATCH_CHECK, _SCRATCH_ENTRY = 4, 5, 7


def wants_bootsel(mcu: Any, is_button_held: bool) -> bool:
    """True if this start leads to BOOTSEL mode. A vector in the scratch registers is used up by it."""
    scratch = mcu.watchdog.scratch_data
    entry = scratch[_SCRATCH_ENTRY]
    has_vector = (
        scratch[_SCRATCH_MAGIC] == VECTOR_MAGIC
        and scratch[_SCRATCH_CHECK] == (entry ^ -VECTOR_MAGIC) & 0xFFFFFFFF
    )
    if has_vector:
        scratch[_SCRATCH_MAGIC] = 0
        if entry < ROM_BYTES:
            return True
    return is_button_held or not is_bootable(mcu.flash)


def is_bootable(flash: bytes | bytearray) -> bool:
    """Whether the second-stage boot loader at the start of the flash has its check sum."""
    return _boot2_is_sound(bytes(flash[:BOOT2_BYTES]))


@lru_cache(maxsize=16)  # the same one at every reset
def _boot2_is_sound(boot2: bytes) -> bool:
    return crc32_mpeg2(boot2[:-4]) == int.from_bytes(boot2[-4:], "little")


def crc32_mpeg2(data: bytes) -> int:
    """The boot ROM's check sum: CRC-32 without reflection and final inversion."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return crc


def prepare_restart(mcu: Any) -> None:
    """The ROM leaves BOOTSEL mode by letting the watchdog run out: for the program it looks like a time-out, but
    the scratch register in which the SDK marks a watchdog that a program had started is empty."""
    mcu.watchdog.scratch_data[_SCRATCH_MAGIC] = 0
    mcu.watchdog._reason = TIMER
