"""Read-back of the safety outputs at their pins (SR-26): what the chip drives against the level that the pad has.

IO_BANK0 shows both for every pad, whichever block drives it (RP2040 datasheet 2.19.6): bit 9 of GPIOn_STATUS is the
level driven, bit 17 the level at the pad. A pad that is shorted or broken differs as soon as the output changes; at
rest each output is therefore turned over for 2 us, if that is harmless.
"""

import micropython
from machine import disable_irq, enable_irq, mem32
from micropython import const

from pen.board import (
    PIN_DEPTH_SLEEP_N,
    PIN_LATCH_CLR,
    PIN_PWM_N,
    PIN_RUN_N,
    PIN_SUPPLY_EN,
    PIN_TRIP_N,
    PIN_WDT_KICK,
    SAFE_OUTPUTS,
)

_STATUS0 = const(0x4001_4000)  # GPIOn_STATUS at 8 n, GPIOn_CTRL behind it
_TURN_OVER0 = const(0x4001_5004)  # GPIOn_CTRL, addressed for exclusive or
_INVERT_OUTPUT = const(1 << 8)
_LEVEL_DRIVEN = const(1 << 9)
_LEVEL_AT_PAD = const(1 << 17)
_GPIO_IN = const(0xD000_0004)
_BAD_LIMIT = const(2)

# PWM_N is left out here: it changes 50,000 times a second while the motor runs, and both levels are not read at once.
_WATCHED = bytes((PIN_RUN_N, PIN_SUPPLY_EN, PIN_LATCH_CLR, PIN_WDT_KICK, PIN_DEPTH_SLEEP_N))
# Harmless for 2 us: without permission PWM_N does nothing, one kick does not clear the watchdog, a latch that is not
# set cannot be cleared, and the stepper's driver takes a millisecond to wake up. RUN_N and SUPPLY_EN are never turned
# over: the proofs move them.
_TURNED = (PIN_PWM_N, PIN_LATCH_CLR, PIN_WDT_KICK, PIN_DEPTH_SLEEP_N)
_SAFE = dict(SAFE_OUTPUTS)


@micropython.viper
def differing(pins) -> int:
    """Mask of the given GPIO numbers (bytes) whose pad has not the level that is driven, at three readings in a row."""
    gpio = ptr8(pins)
    status = ptr32(_STATUS0)
    count = int(len(pins))  # noqa: RUF046 (viper's int)
    mask = 0
    i = 0
    while i < count:
        readings = 0
        while readings < 3:
            value = status[2 * gpio[i]]
            if ((value >> 9) ^ (value >> 17)) & 1 == 0:
                break
            readings += 1
        if readings == 3:
            mask |= 1 << gpio[i]
        i += 1
    return mask


class ReadBack:
    """`failed`: an output does not do what the chip says; `bad_mask` says which GPIOs.

    `look` is for every pass, `step` (0.3 ms) for rest: it returns True, the end of a round.
    """

    def __init__(self):
        self.failed = False
        self.bad_mask = 0
        self._bad = 0

    def look(self):
        mask = differing(_WATCHED)
        self._bad = self._bad + 1 if mask else 0
        if self._bad >= _BAD_LIMIT:
            self._fail(mask)

    def step(self):
        mask = 0
        for pin in (PIN_RUN_N, PIN_SUPPLY_EN, PIN_PWM_N):
            if _at_pad(pin) != _SAFE[pin]:
                mask |= 1 << pin
        latched = not mem32[_GPIO_IN] & (1 << PIN_TRIP_N)
        for pin in _TURNED:
            if pin == PIN_LATCH_CLR and latched:
                continue
            if _driven(pin) == _SAFE[pin] and not _follows(pin):
                mask |= 1 << pin
        if mask:
            self._fail(mask)
        return True

    def _fail(self, mask):
        self.failed = True
        self.bad_mask |= mask


def _at_pad(pin):
    return 1 if mem32[_STATUS0 + 8 * pin] & _LEVEL_AT_PAD else 0


def _driven(pin):
    return 1 if mem32[_STATUS0 + 8 * pin] & _LEVEL_DRIVEN else 0


def _follows(pin):
    """Turn the output over and back; whether the pad went with it both times."""
    status, turn_over = _STATUS0 + 8 * pin, _TURN_OVER0 + 8 * pin
    before = _at_pad(pin)
    irq = disable_irq()
    mem32[turn_over] = _INVERT_OUTPUT
    mem32[status]  # the pad needs a few clocks
    turned = mem32[status]
    mem32[turn_over] = _INVERT_OUTPUT
    enable_irq(irq)
    mem32[status]
    return ((turned & _LEVEL_AT_PAD) != 0) != before and _at_pad(pin) == before
