"""Rules of the emulated chip, shown with real MicroPython on it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from needlepen.emulator.chip import Chip
from needlepen.errors import NotInTime, UsageError

CYCLE_NS = 8
BLINK = """
import rp2, time
from machine import Pin
@rp2.asm_pio(set_init=rp2.PIO.OUT_LOW)
def blink():
    set(pins, 1) [1]
    set(pins, 0) [1]
sm = rp2.StateMachine(0, blink, freq=125000, set_base=Pin(3))
sm.active(1)
"""


def record(chip: Chip, gpio: int) -> list[tuple[int, int | None]]:
    """All output changes of a pad from now on."""
    edges: list[tuple[int, int | None]] = []
    chip.on_output(gpio, lambda t_ns, level: edges.append((t_ns, level)))
    return edges


def run(chip: Chip, code: str, timeout_ns: float = 20e9) -> str:
    """Run code on the chip; fails if it raises."""
    out, error = chip.console.exec(code, timeout_ns)
    assert not error, error
    return out.strip()


def registers(chip: Chip, *writes: tuple[int, int]) -> None:
    for address, value in writes:
        chip.mcu.write_uint32(address, value)


# console and time


def test_micropython_boots_and_answers(chip: Chip) -> None:
    assert run(chip, "print(1 + 1)") == "2"
    assert chip.now_ns < 200e6


def test_device_time_moves_only_when_asked(chip: Chip) -> None:
    before_ns = chip.now_ns
    chip.console.write(b"print(1)\r")
    assert chip.now_ns == before_ns
    chip.run_for(12_345)
    assert chip.now_ns == before_ns + 12_345


def test_guest_time_is_device_time(chip: Chip) -> None:
    code = "import time\nt=time.ticks_us()\ntime.sleep_us(50000)\nprint(time.ticks_diff(time.ticks_us(), t))"
    began_ns = chip.now_ns
    assert 50_000 <= int(run(chip, code)) <= 50_060
    assert 50e6 <= chip.now_ns - began_ns <= 60e6


def test_two_equal_runs_are_identical(boot: Callable[..., Chip]) -> None:
    def once() -> tuple[object, ...]:
        chip = boot()
        edges = record(chip, 3)
        text = run(chip, BLINK + "s=0\nfor i in range(2000): s+=i\nprint(s, time.ticks_us())\nsm.active(0)")
        return chip.now_ns, chip.stats, text, tuple(edges)

    assert once() == once()


def test_waiting_in_vain_ends_with_time_and_condition(chip: Chip) -> None:
    chip.console.write(b"while True: pass\r\r\r")
    with pytest.raises(NotInTime, match=r"0\.020 s of device time for the pen to sing.*running at 0x"):
        chip.require(lambda: False, "the pen to sing", 20e6)
    with pytest.raises(NotInTime, match=r"did not send b'never'"):
        chip.console.wait_for(b"never", 20e6)


def test_stop_from_a_callback_is_exact(chip: Chip) -> None:
    due_ns = chip.now_ns + 77_777
    chip.call_at(due_ns, chip.request_stop)
    chip.run_for(1e9)
    assert chip.now_ns == due_ns


def test_a_cancelled_alarm_does_not_fire(chip: Chip) -> None:
    fired: list[int] = []
    alarm = chip.call_at(chip.now_ns + 1000, lambda: fired.append(1))
    alarm.cancel()
    chip.run_for(10_000)
    assert not fired


def test_a_long_text_arrives_whole_in_both_directions(chip: Chip) -> None:
    text = "".join(f"{i:05d} " for i in range(2000))
    assert run(chip, f"print({text!r} * 3)") == (text * 3).strip()


def test_a_host_that_does_not_read_blocks_the_printer_and_loses_nothing(chip: Chip) -> None:
    run(chip, "import sys\ndef p():\n for i in range(400): sys.stdout.write('%04d,' % i)\n")
    chip.console.pause_reading()
    chip.console.write(b"p()\r")
    chip.run_for(100e6)
    assert chip.console.read_available() == b""
    chip.console.resume_reading()
    received = chip.console.wait_for(b"0399,", 1e9)
    assert b"".join(b"%04d," % i for i in range(400)) in received


def test_a_flooded_chip_goes_on(chip: Chip) -> None:
    edges = record(chip, 3)
    run(chip, BLINK)
    chip.console.write(b"import time\rwhile True: time.sleep_ms(1)\r")
    chip.run_for(20e6)
    chip.console.flood(100_000)
    edges.clear()
    chip.run_for(100e6)
    gaps = {b[0] - a[0] for a, b in itertools.pairwise(edges)}
    assert gaps == {16_000} and len(edges) > 6000


# PIO and pins


@pytest.mark.parametrize("activity", ["time.sleep_ms(20)", "for i in range(4000): pass"])
def test_a_pio_blink_is_exact_while_the_cpu_sleeps_and_works(chip: Chip, activity: str) -> None:
    edges = record(chip, 3)
    run(chip, BLINK + activity)
    gaps = {b[0] - a[0] for a, b in itertools.pairwise(edges[1:])}
    assert len(edges) > 600 and gaps == {16_000}


def test_a_pin_that_the_chip_drives_reads_back(chip: Chip) -> None:
    code = "from machine import Pin\np=Pin(10, Pin.OUT)\np(1)\na=p()\np(0)\nprint(a, p())"
    assert run(chip, code) == "1 0"


@pytest.mark.parametrize(("pull", "expected"), [("Pin.PULL_UP", "1"), ("Pin.PULL_DOWN", "0")])
def test_an_undriven_input_follows_its_pull(chip: Chip, pull: str, expected: str) -> None:
    assert run(chip, f"from machine import Pin\np=Pin(10, Pin.IN, {pull})\nprint(p())") == expected
    assert chip.output(10) is None and chip.pin_level(10) == int(expected)
    chip.drive(10, not int(expected))
    assert run(chip, "print(p())") != expected
    chip.drive(10, None)
    assert run(chip, "print(p())") == expected


def test_a_pin_interrupt_comes_once_per_change(chip: Chip) -> None:
    chip.drive(11, 0)
    run(
        chip,
        "from machine import Pin\nn=[0]\ndef f(p): n[0]+=1\np=Pin(11, Pin.IN)\n"
        "p.irq(f, Pin.IRQ_RISING | Pin.IRQ_FALLING, hard=True)",
    )
    chip.console.write(b"import time\rtime.sleep_ms(20)\r")
    chip.run_for(5e6)
    for level in (1, 1, 0, 0, 1):
        chip.drive(11, level)
        chip.run_for(1e6)
    chip.run_for(20e6)
    assert run(chip, "print(n[0])") == "3"


# CPU


def test_a_halted_cpu_stops_while_pio_goes_on(chip: Chip) -> None:
    edges = record(chip, 3)
    run(chip, BLINK)
    chip.halt_cpu()
    done = chip.stats.instructions
    edges.clear()
    chip.run_for(10e6)
    assert chip.stats.instructions == done and len(edges) == pytest.approx(625, abs=1)
    chip.resume_cpu()
    assert run(chip, "print(7)") == "7"


def test_a_spinning_cpu_takes_no_interrupt(chip: Chip) -> None:
    run(
        chip,
        "from machine import Timer, Pin\np=Pin(12, Pin.OUT)\nt=Timer(period=1, callback=lambda t: p.toggle())",
    )
    edges = record(chip, 12)
    chip.run_for(10e6)
    assert len(edges) >= 9
    chip.spin_cpu()
    edges.clear()
    chip.run_for(10e6)
    assert not edges and chip.cpu_state == "spinning"
    chip.resume_cpu()
    chip.run_for(10e6)
    assert edges


def test_a_hard_pio_interrupt_arrives_within_5_us(chip: Chip) -> None:
    """32 ns of PIO, 120 ns of exception entry, the rest MicroPython's dispatch."""
    run(
        chip,
        """
import rp2, time
from machine import Pin
@rp2.asm_pio()
def announce():
    wait(1, pin, 0)
    irq(rel(0))
    wait(0, pin, 0)
@micropython.viper
def answer(sm):
    ptr32(0xd0000014)[0] = 1 << 12
    ptr32(0xd0000018)[0] = 1 << 12
Pin(12, Pin.OUT, value=0)
sm = rp2.StateMachine(4, announce, freq=125_000_000, in_base=Pin(13, Pin.IN))
sm.irq(answer, hard=True)
sm.active(1)
""",
    )
    chip.drive(13, 0)
    chip.console.write(b"time.sleep_ms(100)\r")
    chip.run_for(10e6)
    edges = record(chip, 12)
    asked_ns = chip.now_ns + 1000
    chip.call_at(asked_ns, lambda: chip.drive(13, 1))
    chip.run_for(1e6)
    latency_us = (edges[0][0] - asked_ns) / 1000
    assert 1 < latency_us < 6, f"{latency_us} us"


# converter


def test_the_converter_samples_round_robin_at_its_pace_into_a_ring(chip: Chip) -> None:
    samples: list[tuple[int, int]] = []

    def source(channel: int) -> Callable[[int], int]:
        def code(t_ns: int) -> int:
            samples.append((channel, t_ns))
            return channel * 1000 + len(samples) % 100

        return code

    for channel in range(4):
        chip.set_adc_source(channel, source(channel))
    ring = run(
        chip,
        """
import rp2, time, uctypes
from machine import mem32, ADC
for i in range(4): ADC(26 + i)
raw = bytearray(128); off = -uctypes.addressof(raw) % 64; ring = memoryview(raw)[off:off+64]
A = 0x4004c000
mem32[A] = 1; mem32[A + 8] = 1 << 24 | 1 << 3 | 1; mem32[A + 0x10] = 1979 << 8
d = rp2.DMA()
c = d.pack_ctrl(size=1, inc_read=False, inc_write=True, ring_sel=True, ring_size=6, treq_sel=36, irq_quiet=True)
d.config(read=A + 12, write=ring, count=1 << 30, ctrl=c, trigger=True)
mem32[A] = 1 | 0xf << 16 | 1 << 3
time.sleep_ms(10)
mem32[A] = 1
print([ring[i] | ring[i + 1] << 8 for i in range(0, 64, 2)], d.count)
""",
    )
    codes, left = eval(ring.split("]")[0] + "]"), int(ring.split("]")[1])
    assert [channel for channel, _ in samples] == [i % 4 for i in range(len(samples))]
    assert {b[1] - a[1] for a, b in itertools.pairwise(samples)} == {41_250}
    assert (1 << 30) - left == len(samples)
    assert [code // 1000 for code in codes] == [0, 1, 2, 3] * 8
    newest = [channel * 1000 + n % 100 for n, (channel, _) in enumerate(samples, 1)][-32:]
    at = len(samples) % 32
    assert codes == newest[32 - at :] + newest[: 32 - at]


def test_the_round_robin_passes_over_channels_that_are_left_out_and_shifts_if_asked(chip: Chip) -> None:
    """RP2040 datasheet 4.9.2: RROBIN may hold any channels; with FCS.SHIFT the FIFO gets the upper eight bits."""
    for channel in range(4):
        chip.set_adc_source(channel, lambda _t_ns, code=1000 + 256 * channel: code)
    told = run(
        chip,
        """
import time
from machine import mem32
A = 0x4004c000
mem32[A] = 1; mem32[A + 8] = 3; mem32[A] = 1 | 0b01001 << 16
found = []
for _ in range(4):
    mem32[A + 0x2000] = 4
    time.sleep_us(10)
    found.append((mem32[A + 4], mem32[A + 12]))
print(found)
""",
    )
    low, high = (1000, 1000 >> 4), (1768, 1768 >> 4)
    assert eval(told) == [low, high, low, high]


def test_a_single_conversion_takes_2_us_and_samples_at_its_start(chip: Chip) -> None:
    times: list[int] = []
    chip.set_adc_source(2, lambda t_ns: times.append(t_ns) or 0xABC)
    assert run(chip, "from machine import ADC\nprint(ADC(28).read_u16() >> 4)") == str(0xABC)
    chip.halt_cpu()
    registers(chip, (0x4004C000, 1 | 2 << 12))
    chip.run_for(10_000)
    started_ns = chip.now_ns
    registers(chip, (0x4004C000, 1 | 2 << 12 | 4))
    assert times[-1] == started_ns
    chip.run_for(1_999)
    assert not chip.mcu.read_uint32(0x4004C000) & 1 << 8
    chip.run_for(1)
    assert chip.mcu.read_uint32(0x4004C000) & 1 << 8 and chip.mcu.read_uint32(0x4004C004) == 0xABC


# flash, reset, watchdog


def test_flash_operations_take_their_time_and_stall_only_the_cpu(chip: Chip) -> None:
    edges = record(chip, 3)
    operations: list[tuple[int, str, int, int]] = []
    chip.on_flash_write(lambda *event: operations.append(event))
    run(chip, BLINK + "import rp2\nf = rp2.Flash()")
    edges.clear()
    out = run(
        chip,
        "t = time.ticks_us()\nf.writeblocks(300, bytes(4096))\nprint(time.ticks_diff(time.ticks_us(), t))",
    )
    kinds = [kind for _, kind, _, _ in operations]
    assert kinds == ["erase"] + ["program"] * 16
    assert operations[0][2:] == (0xA0000 + 300 * 4096, 4096)
    expected_us = 45_000 + 16 * 400
    assert expected_us <= int(out) <= expected_us + 3_000
    assert {b[0] - a[0] for a, b in itertools.pairwise(edges)} == {16_000}
    assert chip.mcu.flash[0xA0000 + 300 * 4096] == 0


def test_the_unique_id_is_the_one_of_the_flash_chip(boot: Callable[..., Chip]) -> None:
    identity = bytes.fromhex("e66118604b2f7a21")
    assert run(boot(unique_id=identity), "import machine\nprint(machine.unique_id().hex())") == identity.hex()


def test_a_filesystem_survives_a_reset(chip: Chip) -> None:
    run(chip, "f = open('/note', 'w')\nf.write('kept')\nf.close()")
    chip.reset("run_pin")
    chip.console.wait_connected()
    assert run(chip, "print(open('/note').read())") == "kept"


def test_the_watchdog_resets_once_at_its_time_and_releases_the_pads(chip: Chip) -> None:
    edges = record(chip, 3)
    resets: list[tuple[int, str]] = []
    chip.on_reset(lambda t_ns, cause: resets.append((t_ns, cause)))
    run(chip, BLINK)
    run(chip, "from machine import Pin, WDT, mem32\nPin(12, Pin.OUT, value=1)\nmem32[0x4005800C] = 0x1234")
    levels = record(chip, 12)
    armed_ns = chip.now_ns
    chip.console.write(b"w = WDT(timeout=100)\r")
    assert chip.run_until(lambda: bool(resets), 200e6)
    (t_ns, cause), *more = resets
    assert cause == "watchdog" and not more and 100e6 <= t_ns - armed_ns <= 103e6
    assert edges[-1] == (t_ns, None) and levels == [(t_ns, None)]
    assert not chip.console.is_connected
    chip.console.wait_connected()
    code = "import machine\nprint(machine.reset_cause() == machine.WDT_RESET, hex(machine.mem32[0x4005800C]))"
    assert run(chip, code) == "True 0x1234"
    chip.run_for(3000e9)
    assert len(resets) == 1


def test_a_run_pin_reset_is_told_from_a_watchdog_reset(chip: Chip) -> None:
    chip.reset("run_pin")
    chip.console.wait_connected()
    assert run(chip, "import machine\nprint(machine.reset_cause() == machine.PWRON_RESET)") == "True"


def test_a_reset_wakes_a_spinning_but_not_a_halted_cpu(chip: Chip) -> None:
    chip.spin_cpu()
    chip.reset("run_pin")
    chip.console.wait_connected()
    chip.halt_cpu()
    chip.reset("run_pin")
    chip.run_for(500e6)
    assert not chip.console.is_connected


# bad input


def test_what_is_not_a_uf2_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "wrong.uf2"
    image.write_bytes(b"hello" * 300)
    with pytest.raises(UsageError, match="not a UF2"):
        Chip(image)


def test_a_filesystem_that_does_not_fit_is_refused(runtime: Path) -> None:
    with pytest.raises(UsageError, match="exceeds the flash"):
        Chip(runtime, filesystem=bytes(2 * 1024 * 1024))


@pytest.mark.parametrize(
    ("crash", "reason"),
    [
        ("machine.mem32[0x90000000]", "Read from invalid memory address: 90000000"),
        ("machine.mem32[0x90000000] = 1", "Write to undefined address: 90000000"),
    ],
)
def test_a_crashed_core_stays_locked_up_until_the_watchdog_resets_it(
    chip: Chip, crash: str, reason: str
) -> None:
    edges = record(chip, 3)
    run(chip, BLINK + "import machine\n")
    chip.console.write(f"w = machine.WDT(timeout=200); {crash}\r".encode())
    chip.run_for(50e6)
    assert chip.cpu_state == "locked up" and chip.fault is not None and chip.fault.reason == reason
    edges.clear()
    chip.run_for(50e6)
    assert len(edges) > 3000  # PIO goes on
    with pytest.raises(NotInTime, match=f"CPU locked up.*{reason}"):
        chip.require(lambda: False, "an answer", 1e6)
    chip.run_for(300e6)
    assert chip.fault is None and chip.console.is_connected
    assert run(chip, "import machine\nprint(machine.reset_cause() == machine.WDT_RESET)") == "True"


def test_dma_feeds_a_pio_machine_without_a_gap(chip: Chip) -> None:
    edges = record(chip, 3)
    run(
        chip,
        """
import rp2, array
from machine import Pin
@rp2.asm_pio(out_init=rp2.PIO.OUT_LOW, out_shiftdir=rp2.PIO.SHIFT_RIGHT, autopull=True, pull_thresh=32)
def bits():
    out(pins, 1)
sm = rp2.StateMachine(0, bits, freq=1_000_000, out_base=Pin(3))
words = array.array('I', [0x55555555] * 16)
d = rp2.DMA()
d.config(read=words, write=0x50200010, count=16, ctrl=d.pack_ctrl(size=2, inc_write=False, treq_sel=0), trigger=True)
sm.active(1)
import time
time.sleep_ms(2)
""",
    )
    gaps = [b[0] - a[0] for a, b in itertools.pairwise(edges[1:])]
    assert gaps == [1000] * (16 * 32 - 1)
