"""The emulated DS2431 on its pin, spoken to by MicroPython's own `_onewire` and by the firmware's modules."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from needlepen import board, paths
from needlepen.emulator.cartridge_socket import Cartridge, CartridgeSocket
from needlepen.emulator.chip import Chip
from needlepen.emulator.ds2431 import DS2431, make_rom
from needlepen.emulator.onewire_slave import DECISION_US, PRESENCE_US, PRESENCE_WAIT_US, SlaveTiming
from needlepen.errors import UsageError

PEN = board.load()
BUS, SEATED = PEN.gpio("CARTRIDGE_BUS"), PEN.gpio("CARTRIDGE_N")
ROM = make_rom(b"\xa1\x02\xb3\x04\xc5\x06")
MEMORY = bytes(range(0x40)) + b"\xff" * 0x40 + b"\x55\x55\xaa\x00\x55"
MASTER_LOOKS_US = 15.6  # `_onewire` reads a bit at 15.5 us, the datasheet asks for 15.0
MASTER_WRITES_US = 59.0  # and holds a written 0 for 60 us
FASTEST = SlaveTiming(DECISION_US[0], MASTER_LOOKS_US, PRESENCE_WAIT_US[0], PRESENCE_US[0], 200.0)
SLOWEST = SlaveTiming(MASTER_WRITES_US, DECISION_US[1], PRESENCE_WAIT_US[1], PRESENCE_US[1], 480.0)
MODULES = ("onewire_crc", "onewire", "ds2431")
BARE = """
import _onewire
from machine import Pin
p = Pin({bus}, Pin.OPEN_DRAIN, Pin.PULL_UP, value=1)
print(_onewire.reset(p))
_onewire.writebyte(p, 0x33)
rom = bytes(_onewire.readbyte(p) for _ in range(8))
print(rom.hex(), _onewire.crc8(rom))
_onewire.reset(p)
for b in (0xCC, 0xF0, 0x00, 0x00):
    _onewire.writebyte(p, b)
print(bytes(_onewire.readbyte(p) for _ in range(136)).hex())
"""
FIRMWARE = """
import time
from machine import Pin
from pen.onewire import OneWire
from pen.ds2431 import Ds2431, ChipError
chip = Ds2431(OneWire(Pin({bus})))
longest = 0
def done(job):
    global longest
    while True:
        begun = time.ticks_us()
        try:
            next(job)
        except StopIteration as end:
            return end.value
        finally:
            longest = max(longest, time.ticks_diff(time.ticks_us(), begun))
try:
    print(done(chip.identify()).hex())
    print(done(chip.read(0, 0x88)).hex())
    row = bytes((0, 0, 0, 0, 1, 2, 3, 4))
    done(chip.prepare(0x40, row))
    begun = time.ticks_us()
    chip.copy_now(0x40, row[:4])
    print(time.ticks_diff(time.ticks_us(), begun))
    done(chip.write(0x48, b"\\xfe" + b"\\xff" * 7))
    print(longest)
except ChipError as error:
    print("refused:", error)
"""


@pytest.fixture
def bench(boot: Callable[..., Chip]) -> tuple[Chip, CartridgeSocket]:
    chip = boot()
    return chip, CartridgeSocket(chip, BUS, SEATED)


def _run(chip: Chip, code: str) -> list[str]:
    out, error = chip.console.exec(code.format(bus=BUS))
    assert not error, error
    return out.split("\r\n")[:-1]


def _install(chip: Chip) -> None:
    folder = paths.firmware_dir() / "pen"
    text = "import os\nos.mkdir('pen')\n"
    for name in MODULES:
        source = (folder / f"{name}.py").read_text()
        text += f"with open('pen/{name}.py', 'w') as f: f.write({source!r})\n"
    _run(chip, text.replace("{", "{{").replace("}", "}}"))


def test_micropython_s_own_onewire_reads_id_and_memory(bench: tuple[Chip, CartridgeSocket]) -> None:
    chip, socket = bench
    socket.seat(Cartridge(DS2431(ROM, MEMORY), 24))
    assert _run(chip, BARE) == ["True", f"{ROM.hex()} 0", (MEMORY + bytes(3)).hex()]


def test_a_chip_that_lets_go_before_micropython_looks_is_misread_and_refused(
    bench: tuple[Chip, CartridgeSocket],
) -> None:
    """The one window that MicroPython misses: 0.5 us too late for the fastest chip that the datasheet allows."""
    chip, socket = bench
    _install(chip)
    socket.seat(Cartridge(DS2431(ROM, MEMORY), 24, SlaveTiming(hold_us=DECISION_US[0])))
    assert _run(chip, FIRMWARE) == ["refused: no DS2431, or its ID was misread"]


@pytest.mark.parametrize("timing", [FASTEST, SlaveTiming(), SLOWEST], ids=["fastest", "typical", "slowest"])
def test_the_firmware_speaks_to_every_chip_of_the_datasheet_inside_its_windows(
    bench: tuple[Chip, CartridgeSocket], timing: SlaveTiming
) -> None:
    chip, socket = bench
    _install(chip)
    device = DS2431(ROM, MEMORY)
    socket.seat(Cartridge(device, 24, timing))
    rom, memory, copied_us, longest_us = _run(chip, FIRMWARE)
    assert (rom, memory) == (ROM.hex(), (MEMORY + bytes(3)).hex())
    assert bytes(device.memory[0x40:0x50]) == bytes((0, 0, 0, 0, 1, 2, 3, 4)) + b"\xfe" + b"\xff" * 7
    assert socket.slave is not None and socket.slave.violations == [] and device.torn_copies == 0
    print(f"copy with read-back {copied_us} us, longest slice {longest_us} us")
    assert int(copied_us) <= 22_000 and int(longest_us) <= 1_500


def test_a_chip_that_needs_longer_than_the_datasheet_allows_is_refused_not_believed(
    bench: tuple[Chip, CartridgeSocket],
) -> None:
    chip, socket = bench
    _install(chip)
    device = DS2431(ROM, MEMORY, programming_ns=10_500_000)
    socket.seat(Cartridge(device, 24))
    assert _run(chip, FIRMWARE)[-1].startswith("refused:") and device.torn_copies == 1


@pytest.mark.parametrize("noise", [0.001, 0.01, 0.2])
def test_a_noisy_bus_never_passes_for_a_written_mark(
    bench: tuple[Chip, CartridgeSocket], noise: float
) -> None:
    """Inverted bits at random: either the firmware notices, or the mark is there."""
    chip, socket = bench
    _install(chip)
    outcomes = []
    for seed in range(6):
        device = DS2431(ROM, MEMORY, seed=seed)
        socket.seat(Cartridge(device, 24))
        assert socket.slave is not None
        socket.slave.noise = noise
        said = _run(chip, FIRMWARE)
        outcomes.append(said[-1].startswith("refused:"))
        assert outcomes[-1] or bytes(device.memory[0x40:0x44]) == bytes(4)
        socket.unseat()
    assert noise < 0.1 or all(outcomes)


@pytest.mark.parametrize("fault", ["open", "short", None])
def test_without_a_chip_or_with_a_shorted_bus_nobody_answers(
    bench: tuple[Chip, CartridgeSocket], fault: str | None
) -> None:
    chip, socket = bench
    _install(chip)
    if fault:
        socket.seat(Cartridge(DS2431(ROM, MEMORY), 24))
        socket.bus_fault(fault)  # type: ignore[arg-type]
    assert _run(chip, FIRMWARE) == ["refused: no answer"]
    if fault:
        socket.bus_fault(None)
        assert _run(chip, FIRMWARE)[0] == ROM.hex()


def test_seating_moves_the_contact_and_says_so_on_the_bus(bench: tuple[Chip, CartridgeSocket]) -> None:
    chip, socket = bench
    assert (chip.pin_level(SEATED), chip.pin_level(BUS)) == (1, 1)
    edges: list[tuple[int, int]] = []
    chip.on_level(BUS, lambda t_ns, level: edges.append((t_ns, level)))
    socket.seat(Cartridge(DS2431(ROM), 12))
    chip.run_for(1e6)
    assert chip.pin_level(SEATED) == 0
    assert [level for _, level in edges] == [0, 1] and edges[1][0] - edges[0][0] == 120_000
    with pytest.raises(UsageError, match="already"):
        socket.seat(Cartridge(DS2431(ROM), 12))
    socket.unseat()
    socket.unseat()
    assert (chip.pin_level(SEATED), chip.pin_level(BUS)) == (1, 1)


def test_a_slave_outside_the_datasheet_cannot_be_made() -> None:
    with pytest.raises(UsageError, match="hold_us of a 1-Wire slave is 15 to 60, not 61"):
        SlaveTiming(hold_us=61.0)


def test_the_chip_lives_through_a_reset_of_the_pen_and_not_through_a_loss_of_power(
    bench: tuple[Chip, CartridgeSocket],
) -> None:
    chip, socket = bench
    socket.seat(Cartridge(DS2431(ROM, MEMORY), 24))
    chip.run_for(1e6)
    before = socket.slave
    chip.reset("watchdog")
    assert socket.slave is before
    socket.power(chip.now_ns, False)
    assert socket.slave is None
    socket.power(chip.now_ns, True)
    assert socket.slave is not None
