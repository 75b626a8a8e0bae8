# mypy: ignore-errors
"""The PIO programs of the pen. Their words are MicroPython's assembler, so no type checker knows them.

PIO0, the owner of RUN_N and SUPPLY_EN: `cut_on_trip`, `heartbeat`, `index_window`; 31 of 32 instructions.
PIO1: `debounce`, `announce_edge`, `every_millisecond`, `depth_steps`; 32 of 32. Machines and clocks: board file.
"""

import rp2

# Place of the irq instruction in its program, where a machine stands after its cut.
TRIP_CUT = 2
HEARTBEAT_CUT = 9

# PIO interrupt flags; 4-7 do not reach the CPU as interrupts.
LATCH_FLAG = 4
ARM_FLAG = 5


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


@rp2.asm_pio(set_init=rp2.PIO.OUT_HIGH, sideset_init=rp2.PIO.OUT_LOW, out_shiftdir=rp2.PIO.SHIFT_LEFT)
def index_window():
    """Cuts when two index periods together are shorter or longer than their window.

    Two, because a burst on the line can delay one edge and so shorten the period behind it (SR-27). ISR holds the
    longest time in counts, 1024 + the shortest. X counts down from it; two rising edges of INDEX_CLEAN later any
    bit of X from 10 up that is still set says that they came too early (overspeed); zero says that no edge came
    (stall, or lost index). `CutOff.watch` loads ISR and enables the machine; it begins with the next edge.
    """
    wrap_target()
    wait(0, pin, 0)
    wait(1, pin, 0)
    label("reload")
    mov(x, isr)
    set(y, 1)
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
    jmp(y_dec, "high")
    mov(osr, x)
    out(y, 22)
    jmp(not_y, "reload")
    label("cut")
    nop().side(0)[3]
    set(pins, 1)
    irq(block, 4)
    wrap()


@rp2.asm_pio(set_init=rp2.PIO.OUT_LOW)
def debounce():
    """Integrating glitch filter: a level counts once 22 more samples were for it than against it (SR-27).

    Every path takes 6 instructions, so a sample is 9.6 us and pulses under 200 us are ignored. Pulses that fall
    into a level only delay it: Y counts the votes that are missing, down for the new level, up to X for the old
    one. PIO cannot add: Y + 1 is the complement of the complement of Y, less 1.
    """
    set(x, 21)
    mov(y, x)
    label("low")
    jmp(pin, "low_down")
    jmp(x_not_y, "low_up")
    jmp("low")[3]
    label("low_up")
    mov(y, invert(y))
    jmp(y_dec, "low_up_end")
    label("low_up_end")
    mov(y, invert(y))
    jmp("low")
    label("low_down")
    jmp(y_dec, "low")[4]
    set(pins, 1)
    mov(y, x)
    label("high")
    jmp(pin, "high_up")
    jmp(y_dec, "high")[4]
    set(pins, 0)
    mov(y, x)
    jmp("low")
    label("high_up")
    jmp(x_not_y, "high_add")
    jmp("high")[3]
    label("high_add")
    mov(y, invert(y))
    jmp(y_dec, "high_add_end")
    label("high_add_end")
    mov(y, invert(y))
    jmp("high")


@rp2.asm_pio()
def announce_edge():
    """One FIFO word for each rising edge of INDEX_CLEAN."""
    wrap_target()
    wait(0, pin, 0)
    wait(1, pin, 0)
    push(noblock)
    wrap()


@rp2.asm_pio()
def every_millisecond():
    """Interrupts the CPU at half the machine's clock: 1 kHz."""
    wrap_target()
    irq(rel(0))
    nop()
    wrap()


@rp2.asm_pio(out_init=(rp2.PIO.OUT_LOW,) * 4, out_shiftdir=rp2.PIO.SHIFT_RIGHT, autopull=True, pull_thresh=32)
def depth_steps():
    """One word, one coil pattern: bits 0-3 the coil ends, above them how long it stays, in us less 4.

    Goes on only while its gate is high: DEPTH_SLEEP_N in an ordinary move, HOME_N in one that has to end at home, where
    the next step then does not come, whatever the CPU does. Without a word it keeps the last pattern.
    """
    wrap_target()
    wait(1, pin, 0)
    out(pins, 4)
    out(x, 28)
    label("stay")
    jmp(x_dec, "stay")
    wrap()
