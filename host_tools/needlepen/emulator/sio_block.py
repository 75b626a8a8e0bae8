# cython: infer_types=True, annotation_typing=False
"""The single-cycle IO block: GPIO outputs and inputs, the integer divider, spin locks (RP2040 datasheet
2.3.1).

Runs plain and compiled (with sio_block.pxd). The interpolators are rp2040py's.
"""

from __future__ import annotations

from typing import Any

from needlepen.emulator.core1 import SioWithMailbox

CPUID, GPIO_IN, GPIO_HI_IN, GPIO_OUT, GPIO_OE = 0x00, 0x04, 0x08, 0x10, 0x20
UDIVIDEND, UDIVISOR, SDIVIDEND, SDIVISOR, QUOTIENT, REMAINDER, DIV_CSR = range(0x60, 0x7C, 4)
SPINLOCK_STATUS, SPINLOCK0, SPINLOCK_END = 0x5C, 0x100, 0x180
GPIO_MASK = 0x3FFFFFFF
SIGN, WORD = 0x80000000, 0xFFFFFFFF  # named, so that they get a C type


class SioBlock:
    """The block as the CPU and the pads see it."""

    def __init__(self, mcu: Any) -> None:
        self.rp2040 = mcu
        self.rare = SioWithMailbox(mcu)
        self.inputs = 0  # levels of all pads behind their synchronisers
        self.reset()

    def reset(self) -> None:
        self.rare.reset()
        self.gpio_value = self.gpio_output_enable = self.spin_lock = 0
        self.dividend = self.quotient = self.remainder = 0
        self.divisor, self.divider_status = 1, 1

    def read_uint32(self, offset: int) -> int:
        return self.read(offset)

    def write_uint32(self, offset: int, value: int) -> None:
        self.write(offset, value & WORD)

    def read(self, offset: int) -> int:
        if offset == GPIO_IN:
            return self.inputs
        if UDIVIDEND <= offset <= DIV_CSR:
            if offset == QUOTIENT:
                self.divider_status &= 1  # reading the quotient ends the dirty state
                return self.quotient
            if offset == REMAINDER:
                return self.remainder
            if offset == DIV_CSR:
                return self.divider_status
            return self.dividend if offset in (UDIVIDEND, SDIVIDEND) else self.divisor
        if SPINLOCK0 <= offset < SPINLOCK_END:
            mask = 1 << ((offset - SPINLOCK0) >> 2)
            if self.spin_lock & mask:
                return 0
            self.spin_lock |= mask
            return mask
        if offset == GPIO_OUT:
            return self.gpio_value
        if offset == GPIO_OE:
            return self.gpio_output_enable
        if offset == SPINLOCK_STATUS:
            return self.spin_lock
        if offset == CPUID:
            return 0
        return int(self.rare.read_uint32(offset)) & WORD

    def write(self, offset: int, value: int) -> int:
        if GPIO_OUT <= offset < 0x30:
            self.write_gpio(offset, value)
        elif UDIVIDEND <= offset < DIV_CSR:
            if offset <= SDIVISOR:
                if offset in (UDIVIDEND, SDIVIDEND):
                    self.dividend = value
                else:
                    self.divisor = value
                self.divide(offset >= SDIVIDEND)
            elif offset == QUOTIENT:
                self.quotient = value
            else:
                self.remainder = value
            self.divider_status = 3
        elif SPINLOCK0 <= offset < SPINLOCK_END:
            self.spin_lock &= ~(1 << ((offset - SPINLOCK0) >> 2))
        else:
            self.rare.write_uint32(offset, value)
        return 0

    def divide(self, signed: bool) -> None:
        """Results are there at once; firmware waits its 8 cycles anyway."""
        dividend, divisor = self.dividend, self.divisor
        is_negative = signed and dividend >= SIGN
        if divisor == 0:
            self.quotient = 1 if is_negative else WORD
            self.remainder = dividend
            return
        differs = False
        if signed:
            differs = (dividend ^ divisor) >= SIGN
            if is_negative:
                dividend = WORD + 1 - dividend
            if divisor >= SIGN:
                divisor = WORD + 1 - divisor
        quotient, remainder = dividend // divisor, dividend % divisor
        self.quotient = (-quotient if differs else quotient) & WORD
        self.remainder = (-remainder if is_negative else remainder) & WORD

    def write_gpio(self, offset: int, value: int) -> int:
        values, enables = self.gpio_value, self.gpio_output_enable
        now = values if offset < GPIO_OE else enables
        action = (offset >> 2) & 3
        if action == 0:
            now = value
        elif action == 1:
            now |= value
        elif action == 2:
            now &= ~value
        else:
            now ^= value
        now &= GPIO_MASK
        if offset < GPIO_OE:
            self.gpio_value = now
        else:
            self.gpio_output_enable = now
        changed = (values ^ self.gpio_value) | (enables ^ self.gpio_output_enable)
        return self.show_pins(changed) if changed else 0

    def show_pins(self, changed: int) -> int:
        gpio = 0
        while changed:
            if changed & 1:
                self.rp2040.gpio[gpio].check_for_updates()
            changed >>= 1
            gpio += 1
        return 0
