"""Guest programs that both emulators run, typed at the REPL of plain MicroPython."""

ASLEEP = "import time\ntime.sleep(100000)\n"

# The load of a stroking pen without the pen: 25 kHz PWM, four converter inputs at 24,242 conversions/s into a DMA
# ring, a hard 1 kHz PIO interrupt that runs viper for about 30 us, and a PIO machine that waits for a pin.
STROKING_LOAD = """
import rp2, time, uctypes, micropython
from machine import ADC, PWM, Pin, mem32
PWM(Pin(2), freq=25000, duty_u16=32768)
for channel in range(4): ADC(channel)
raw = bytearray(128)
start = uctypes.addressof(raw)
start += -start % 64
dma = rp2.DMA()
mem32[0x4004C000] = 1
mem32[0x4004C008] = (1 << 24) | (1 << 3) | 1
mem32[0x4004C010] = 1979 << 8
dma.config(read=0x4004C00C, write=start, count=1 << 29, trigger=True, ctrl=dma.pack_ctrl(
    size=1, inc_read=False, inc_write=True, ring_sel=True, ring_size=6, treq_sel=36, irq_quiet=True))
mem32[0x4004C000] = 1 | (15 << 16) | (1 << 3)
@rp2.asm_pio()
def every_ms():
    wrap_target()
    irq(rel(0))
    nop()
    wrap()
@rp2.asm_pio(set_init=rp2.PIO.OUT_HIGH)
def watch():
    wrap_target()
    wait(1, pin, 0)
    set(pins, 1)
    wrap()
data = bytearray(64)
@micropython.viper
def tick(machine):
    d = ptr8(data)
    total = 0
    i = 0
    while i < 150:
        total += d[i & 63]
        i += 1
    d[0] = total
rp2.StateMachine(0, watch, freq=125_000_000, in_base=Pin(5, Pin.IN, Pin.PULL_DOWN), set_base=Pin(3)).active(1)
machine = rp2.StateMachine(4, every_ms, freq=2000)
machine.irq(tick, hard=True)
machine.active(1)
while True: time.sleep_ms(10)
"""

WORKLOADS = {"asleep": ASLEEP, "stroking load": STROKING_LOAD}
