"""Drive permission, owned by PIO0: three machines that withdraw it without the CPU, one way to get it back.

RUN_N (low permits) and SUPPLY_EN are driven by PIO0 and by nothing else. Each machine can take permission
away; only the heartbeat machine can give it, and only while it then counts down. A cut sets LATCH_FLAG and
its machine stands still until the CPU clears the flag, so a cut stays a cut whatever arrives later.

The order of a slow cut is supply first, brake 16 us later: braking a bridge whose high-side transistor is
shorted would put a short across the cell (the supply switch needs 5 us). The overcurrent cut does both at
once, because the latch of the board has already opened the supply by then (SR-06, SR-09, SR-10).
"""

import time

import rp2
from machine import Pin, mem32
from micropython import const

from pen.board import (
    PIN_INDEX_CLEAN,
    PIN_RUN_N,
    PIN_SUPPLY_EN,
    PIN_TRIP_N,
    PIO_CUT_TRIP_HZ,
    PIO_CUT_TRIP_SM,
    PIO_HEARTBEAT_HZ,
    PIO_HEARTBEAT_SM,
    PIO_INDEX_WINDOW_HZ,
    PIO_INDEX_WINDOW_SM,
)

LATCH_FLAG = const(4)  # PIO interrupt flags 4-7 do not reach the CPU as interrupts
ARM_FLAG = const(5)

_IRQ = const(0x5020_0030)
_IRQ_FORCE = const(0x5020_0034)
_SM_ADDR_TRIP = const(0x5020_00D4 + 0x18 * PIO_CUT_TRIP_SM)
_SM_ADDR_HEARTBEAT = const(0x5020_00D4 + 0x18 * PIO_HEARTBEAT_SM)

_ARM_US = const(150)  # the heartbeat machine needs 5 instructions of 16 us

CUT_TRIP = const(1)
CUT_HEARTBEAT = const(2)
CUT_WINDOW = const(3)


@rp2.asm_pio(set_init=rp2.PIO.OUT_HIGH, sideset_init=rp2.PIO.OUT_LOW)
def cut_on_trip():
    """TRIP_N low withdraws permission and supply in one instruction. 125 MHz, in_base TRIP_N."""
    wrap_target()
    wait(0, pin, 0)
    set(pins, 1).side(0)
    irq(block, 4).side(0)
    wrap()


@rp2.asm_pio(set_init=rp2.PIO.OUT_HIGH, sideset_init=rp2.PIO.OUT_LOW)
def heartbeat():
    """Permission for as long as counts keep arriving; each word in the FIFO is the time to live in counts.

    Starts only on ARM_FLAG, which the CPU forces in `CutOff.arm`, and never while LATCH_FLAG is set. A word
    left in the FIFO cannot arm. `pull(noblock)` on an empty FIFO reloads X itself, so X counts down.
    """
    wrap_target()
    wait(1, irq, 5)
    wait(0, irq, 4)
    set(x, 31)
    set(pins, 0).side(1)
    label("count")
    pull(noblock)
    mov(x, osr)
    jmp(x_dec, "count")
    nop().side(0)
    set(pins, 1)
    irq(block, 4)
    wrap()


@rp2.asm_pio(set_init=rp2.PIO.OUT_HIGH, sideset_init=rp2.PIO.OUT_LOW)
def index_window():
    """Cuts when an index period is shorter or longer than its window.

    Armed by one word, the longest period in counts: 1024 + shortest. X counts down from it between rising
    edges of INDEX_CLEAN: an edge that finds bit 10 of X still set came too early (overspeed), zero means no
    edge came (stall, or lost index). Supervision begins with the first edge after arming.
    """
    wrap_target()
    pull(block)
    mov(isr, osr)
    wait(0, pin, 0)
    wait(1, pin, 0)
    label("reload")
    mov(x, isr)
    label("high")
    jmp(x_dec, "still_high")
    jmp("cut")
    label("still_high")
    jmp(pin, "high")[1]
    label("low")
    jmp(x_dec, "still_low")
    jmp("cut")
    label("still_low")
    jmp(pin, "edge")
    jmp("low")
    label("edge")
    mov(osr, x)
    out(null, 10)
    out(y, 1)
    jmp(not_y, "reload")
    label("cut")
    nop().side(0)[3]
    set(pins, 1)
    irq(block, 4)
    wrap()


# Place of the irq instruction in its program, where a machine stands after its cut.
_TRIP_CUT = const(2)
_HEARTBEAT_CUT = const(9)


class CutOff:
    """The three machines and the explicit steps that re-arm them."""

    def __init__(self):
        run_n = Pin(PIN_RUN_N)
        supply_en = Pin(PIN_SUPPLY_EN)
        index_clean = Pin(PIN_INDEX_CLEAN)
        outputs = {"set_base": run_n, "sideset_base": supply_en}
        self._trip_n = Pin(PIN_TRIP_N, Pin.IN, Pin.PULL_UP)
        trip = rp2.StateMachine(
            PIO_CUT_TRIP_SM, cut_on_trip, freq=PIO_CUT_TRIP_HZ, in_base=self._trip_n, **outputs
        )
        self._heartbeat = rp2.StateMachine(PIO_HEARTBEAT_SM, heartbeat, freq=PIO_HEARTBEAT_HZ, **outputs)
        self._window = rp2.StateMachine(
            PIO_INDEX_WINDOW_SM,
            index_window,
            freq=PIO_INDEX_WINDOW_HZ,
            in_base=index_clean,
            jmp_pin=index_clean,
            **outputs,
        )
        self._machines = (trip, self._heartbeat, self._window)
        self._run_n = run_n
        self._supply_en = supply_en
        self._trip_cut_at = mem32[_SM_ADDR_TRIP] + _TRIP_CUT
        self._heartbeat_cut_at = mem32[_SM_ADDR_HEARTBEAT] + _HEARTBEAT_CUT
        # Assembling a text takes 3 ms, and `clear` is on the way from the trigger to the first stroke.
        self._drain = rp2.asm_pio_encode("pull(noblock)", 1, True)
        self._withdraw = rp2.asm_pio_encode("set(pins, 1).side(0)", 1, True)
        self.clear()

    def clear(self):
        """Put all machines at their start with permission withdrawn, then clear the latch flag.

        The heartbeat machine is restarted before the flag is cleared: it must not find an old arm request.
        """
        for machine in self._machines:
            machine.active(0)
            machine.restart()
            for _ in range(4):
                machine.exec(self._drain)
        self._heartbeat.exec(self._withdraw)
        mem32[_IRQ] = (1 << LATCH_FLAG) | (1 << ARM_FLAG)
        for machine in self._machines:
            machine.active(1)

    def arm(self, window_counts):
        """Give permission. Returns None, or the reason why the hardware refused, as text.

        The control tick must already be sending heartbeats: the first has to arrive within 1.5 ms.
        """
        if self._trip_n.value() == 0:
            return "overcurrent latch is set"
        if self.latched():
            return "a cut is latched"
        self._window.put(window_counts)
        mem32[_IRQ_FORCE] = 1 << ARM_FLAG
        time.sleep_us(_ARM_US)
        if not self.permitted():
            return "permission line did not follow"
        return None

    def latched(self):
        return mem32[_IRQ] & (1 << LATCH_FLAG) != 0

    def cause(self, heartbeat_at):
        """CUT_* of the machine that cut. `heartbeat_at`: address of the heartbeat machine when the tick saw the cut.

        The tick answers every cut by ending the heartbeats, so that the heartbeat machine follows any other one:
        it was the cause only if it stood at its cut already then.
        """
        if mem32[_SM_ADDR_TRIP] == self._trip_cut_at:
            return CUT_TRIP
        return CUT_HEARTBEAT if heartbeat_at == self._heartbeat_cut_at else CUT_WINDOW

    def permitted(self):
        """True while RUN_N permits, read back at the pin."""
        return self._run_n.value() == 0

    def supply_enabled(self):
        """True while SUPPLY_EN closes the switch, read back at the pin."""
        return self._supply_en.value() == 1
