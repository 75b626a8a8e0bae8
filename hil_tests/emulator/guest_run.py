"""Runs in a process of its own, with the engine of NEEDLEPEN_ENGINE: prints what a mixed guest program does.

The guest uses the VM, viper, hard PIO and timer interrupts, PWM, the converter with DMA, a divider-heavy loop, flash
and a watchdog; outside events come at odd times. Everything observable is printed with its device time.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from needlepen.emulator.chip import Chip

GUEST = """
import rp2, time, uctypes, machine, gc
from machine import Pin, PWM, ADC, Timer, mem32
@rp2.asm_pio(set_init=rp2.PIO.OUT_LOW)
def blink():
    set(pins, 1) [7]
    set(pins, 0) [6]
@rp2.asm_pio(set_init=rp2.PIO.OUT_LOW)
def follow():
    wait(0, pin, 0)
    set(pins, 1)
    irq(rel(0))
    wait(1, pin, 0)
    set(pins, 0)
n = [0]
def h(s): n[0] += 1
@micropython.viper
def work(k: int) -> int:
    s = int(1)
    for i in range(k):
        s = (s * 110351525 + 12345) ^ (s >> 7)
    return s
a = rp2.StateMachine(0, blink, freq=2_343_750, set_base=Pin(3)); a.active(1)
b = rp2.StateMachine(4, follow, freq=125_000_000, in_base=Pin(5, Pin.IN, Pin.PULL_UP), set_base=Pin(4))
b.irq(h, hard=True); b.active(1)
p = PWM(Pin(6), freq=19_531, duty_u16=20000)
ring = bytearray(64)
A = 0x4004c000
for i in range(4): ADC(26 + i)
mem32[A] = 1; mem32[A + 8] = 1 << 24 | 1 << 3 | 1; mem32[A + 0x10] = 1979 << 8
d = rp2.DMA()
d.config(read=A + 12, write=ring, count=32, ctrl=d.pack_ctrl(size=1, inc_read=False, treq_sel=36), trigger=True)
mem32[A] = 1 | 0xf << 16 | 1 << 3
q = Pin(7, Pin.OUT)
t = Timer(period=2, callback=lambda t: q.toggle())
out = []
for i in range(6):
    out.append((work(40 + i), time.ticks_us(), n[0], 12345678901 // (i + 7), -98765 // (i + 3), i / 7))
    p.duty_u16(9000 * i)
    time.sleep_ms(1)
print(out, ring.hex(), d.count, len(out))
"""


def main(runtime: str) -> None:
    chip = Chip(Path(runtime))
    log: list[object] = []
    for gpio in (3, 4, 6, 7):
        chip.on_output(gpio, lambda t, level, gpio=gpio: log.append((gpio, t, level)))
    chip.on_pwm(6, lambda *event: log.append(event))
    for channel in range(4):
        chip.set_adc_source(channel, lambda t, channel=channel: (t // 1000 * 7 + channel * 911) % 4096)
    chip.console.wait_connected()
    base_ns = chip.now_ns
    for k in range(40):
        chip.call_at(base_ns + 62_000_000 + k * 500_003, lambda k=k: chip.drive(5, k & 1))
    out, error = chip.console.exec(GUEST)
    chip.reset("run_pin")
    chip.run_for(5e6)
    result = {
        "engine": chip.engine_name,
        "out": out,
        "error": error,
        "now_ns": chip.now_ns,
        "stats": vars(chip.stats),
        "events": len(log),
        "edges_4": [event for event in log if event[0] == 4],  # type: ignore[index]
        "log": hashlib.sha256(repr(log).encode()).hexdigest(),
        "ram": hashlib.sha256(bytes(chip.mcu.sram)).hexdigest(),
    }
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
