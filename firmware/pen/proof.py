"""Proof that each cut-off channel works, by really tripping it (SR-29).

Each proof asks the bridge to drive, for 0.34 ms at 40 % of the cell, with one channel alone to prevent it, and looks
for the current: 0.9 A or more if the channel is dead, none if it works. Even then the cam turns by some degrees and
swings back. Channels that show only with the trigger pressed are proven at every start, before the first stroke.

    before_arming, drive at rest, trigger up (25 ms):
        heartbeat        permission is given once and has to end by itself, with the supply
        overcurrent      TRIP_N is pulled low through its own pin: PIO cuts, the board's latch holds, LATCH_CLR clears
        trigger gate     permission, supply, watchdog and PWM ask for drive; the trigger alone brakes
    at_press, drive just woken, trigger down (3 ms, while the press is being debounced):
        external watchdog   it has expired at rest; permission, supply and PWM ask for drive
    at_start, drive awake, trigger down (3 ms):
        latch path       the latch is set with the PIO cut off; it alone opens the supply and brakes
        supply switch    permission and PWM ask for drive; SUPPLY_EN alone is held low
        brake            supply and PWM ask for drive; RUN_N alone is held high

Not proven: the comparator itself, which needs 2.5 A, and that a braked bridge really shorts the motor. That current is
seen where it flows is known from every start (Drive.settle).
"""

import time

import micropython
from machine import ADC, mem32
from micropython import const

from pen.board import (
    PIN_MOTOR_CURRENT,
    PIN_RUN_N,
    PIN_SUPPLY_EN,
    PIN_TRIGGER_N,
    PIN_TRIP_N,
    PIN_WDT_KICK,
    PWM_N_PERIOD_CLOCKS,
)
from pen.control import state
from pen.places import ADC_RING, TICKS

_GPIO_IN = const(0xD000_0004)
_GPIO_OUT_SET = const(0xD000_0014)
_GPIO_OUT_CLR = const(0xD000_0018)
_GPIO_OE_SET = const(0xD000_0024)
_GPIO_OE_CLR = const(0xD000_0028)
_PWM_COMPARE = const(0x4005_0020)
_BEAT = const(0x5020_0014)  # FIFO of the heartbeat machine, in counts of 48 us
_BEAT_COUNTS = const(62)
_CTRL_SET = const(0x4001_6004)  # GPIOn_CTRL at 8 n, addressed to set or to clear bits
_CTRL_CLR = const(0x4001_7004)
_HELD_LOW = const(2 << 8)  # OUTOVER: the pad has this level, whatever PIO says
_HELD_HIGH = const(3 << 8)

_DRIVE_COMPARE = const(PWM_N_PERIOD_CLOCKS * 6 // 10)  # PWM_N low, driving, 40 % of the time
_PULSE_US = const(340)  # the wrap of the PWM, the rise of the current, and a sample every 165 us
_WRAP_US = const(40)  # a new compare value counts from the next period of the PWM
_FLOWS_LSB = const(310)  # 0.25 A
_HEARTBEAT_US = const(2_500)  # the machine gives 1.5 ms without a first heartbeat
_HOLD_US = const(500)
_KICK_MS = const(5)

AGAIN = "to be proven with the trigger up"


def _released():
    return mem32[_GPIO_IN] & (1 << PIN_TRIGGER_N) != 0


def before_arming(drive):
    """Prove heartbeat, latch and trigger gate. Returns None, or what did not work, as text.

    At rest with the trigger up; otherwise, or if it was pressed meanwhile, the answer is AGAIN: nothing is proven, and
    nothing is wrong. Blocks for 25 ms. Leaves permission withdrawn, and the latch clear if it can be cleared.
    """
    if drive.awake or not _released():
        return AGAIN
    if drive.tripped:
        return "overcurrent latch is set"
    cutoff = drive.cutoff
    cutoff.clear()
    try:
        return _stuck(cutoff) or _heartbeat(drive) or _latch(drive) or _trigger_gate(cutoff)
    finally:
        _brake()
        cutoff.clear()


def _stuck(cutoff):
    if cutoff.permitted():
        return "permission line stuck"
    if cutoff.supply_enabled():
        return "supply line stuck"
    return None


def _heartbeat(drive):
    cutoff = drive.cutoff
    refused = cutoff.arm()
    if refused:
        return "overcurrent while braked" if drive.tripped else refused
    if not cutoff.supply_enabled():
        return "supply line did not follow"
    if _current_lsb() > _FLOWS_LSB:
        return "bridge drives against the brake"
    time.sleep_us(_HEARTBEAT_US)
    if cutoff.permitted() or cutoff.supply_enabled() or not cutoff.latched():
        return "heartbeat cut did not come"
    return None


def _pull_trip_n():
    """Pull the open drain node low for some 20 us: the pin is an input otherwise."""
    mem32[_GPIO_OUT_CLR] = 1 << PIN_TRIP_N
    mem32[_GPIO_OE_SET] = 1 << PIN_TRIP_N
    mem32[_GPIO_OE_CLR] = 1 << PIN_TRIP_N


def _latch(drive):
    cutoff = drive.cutoff
    cutoff.clear()
    refused = cutoff.arm()
    if refused:
        return refused
    _pull_trip_n()
    if cutoff.permitted() or cutoff.supply_enabled() or not cutoff.latched():
        return "overcurrent cut did not come"
    time.sleep_us(_HOLD_US)
    if not drive.tripped:
        return "overcurrent latch did not hold"
    drive.clear_latch()
    return "overcurrent latch did not clear" if drive.tripped else None


def _trigger_gate(cutoff):
    for _ in range(3):  # two kicks in its window after another one: the watchdog lets go
        mem32[_GPIO_OUT_SET] = 1 << PIN_WDT_KICK
        mem32[_GPIO_OUT_CLR] = 1 << PIN_WDT_KICK
        time.sleep_ms(_KICK_MS)
    cutoff.clear()
    if not _released():  # it bounced: the pulse would turn the motor
        return AGAIN
    refused = cutoff.arm()
    if refused:
        return refused
    mem32[_BEAT] = _BEAT_COUNTS
    _drive()
    highest = 0
    for _ in range(6):
        time.sleep_us(_PULSE_US // 10)
        highest = max(highest, _current_lsb())
    _brake()
    if not cutoff.permitted():
        return "permission ended too early"
    if not _released():
        return AGAIN
    return "trigger gate does not brake" if highest > _FLOWS_LSB else None


def at_press(drive):
    """Prove the external watchdog, which has expired at rest. Returns None, or that it did not brake.

    Call just after the tick's start, trigger pressed; 3 ms. Leaves permission withdrawn.
    """
    cutoff = drive.cutoff
    cutoff.clear()
    _forget(state[ADC_RING])  # samples of the last run
    refused = cutoff.arm()
    if not refused:
        time.sleep_us(_PULSE_US)
        if _highest(state[ADC_RING]) > _FLOWS_LSB:
            refused = "bridge drives against the brake"
        else:
            _after_tick()
            if _pulse_lsb() > _FLOWS_LSB:
                refused = "external watchdog does not brake"
    cutoff.clear()
    return refused


def at_start(drive):
    """Prove supply switch, brake and latch path. Returns None with permission given, or what did not work without it.

    Call with the trigger pressed, all machines at their start, and the tick running but not driving; 3 ms.
    """
    cutoff = drive.cutoff
    _hold(PIN_SUPPLY_EN, _HELD_LOW)
    failed = cutoff.arm() or _each_alone(drive)
    if failed:
        cutoff.clear()
    _release(PIN_SUPPLY_EN)
    _release(PIN_RUN_N)
    return failed


def _each_alone(drive):
    """Two pulses in the millisecond after a tick, the third one in the next."""
    cutoff = drive.cutoff
    _after_tick()
    if _pulse_lsb() > _FLOWS_LSB:
        return "supply switch does not open"
    _hold(PIN_RUN_N, _HELD_HIGH)
    _release(PIN_SUPPLY_EN)
    if _pulse_lsb() > _FLOWS_LSB:
        return "withdrawn permission does not brake"
    cutoff.watch_trip(0)  # it would cut as well
    _release(PIN_RUN_N)
    _pull_trip_n()
    _after_tick()
    held = drive.tripped
    current_lsb = _pulse_lsb()
    drive.clear_latch()
    cutoff.watch_trip(1)
    if not held:
        return "overcurrent latch did not hold"
    if current_lsb > _FLOWS_LSB:
        return "overcurrent latch does not cut"
    return "overcurrent latch did not clear" if drive.tripped else None


def _drive():
    mem32[_PWM_COMPARE] = _DRIVE_COMPARE


def _brake():
    mem32[_PWM_COMPARE] = PWM_N_PERIOD_CLOCKS


def _hold(pin, level):
    mem32[_CTRL_SET + 8 * pin] = level


def _release(pin):
    mem32[_CTRL_CLR + 8 * pin] = _HELD_HIGH


def _current_lsb():
    """One conversion, drive at rest."""
    return ADC(PIN_MOTOR_CURRENT).read_u16() >> 4


def _after_tick():
    """Return just after the next tick, which would end a pulse."""
    ticks = state[TICKS]
    for _ in range(1_000):  # never for ever: some 5 us each
        if state[TICKS] != ticks:
            break


def _pulse_lsb():
    """Ask for drive for 0.34 ms, awake; the highest sample of the current of the last 1.3 ms."""
    mem32[_BEAT] = _BEAT_COUNTS
    _drive()
    time.sleep_us(_PULSE_US)
    highest = _highest(state[ADC_RING])
    _brake()
    time.sleep_us(_WRAP_US)
    return highest


@micropython.viper
def _forget(ring_address: int):
    ring = ptr16(ring_address)
    i = 0
    while i < 32:
        ring[i] = 0
        i += 4


@micropython.viper
def _highest(ring_address: int) -> int:
    ring = ptr16(ring_address)
    highest = 0
    i = 0
    while i < 32:
        if ring[i] > highest:
            highest = ring[i]
        i += 4
    return highest
