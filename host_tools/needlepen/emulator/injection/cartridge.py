"""Faults of the cartridge's chip and of its bus."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from needlepen.emulator.injection import inputs, outputs
from needlepen.emulator.injection.entry import Entry, Undo, Value, word
from needlepen.emulator.injection.vocabulary import Fault

if TYPE_CHECKING:
    from needlepen.emulator.cartridge_socket import Cartridge
    from needlepen.emulator.pen import EmulatedPen

RECORDS = ("foreign", "copied", "used", "empty")
_RECORD_BYTES, _FLIPPED_BITS = 40, 3
_MARK_ADDRESS, _PAGES_BYTES = 0x40, 0x80


def _broken(pen: EmulatedPen) -> Undo:
    pen.socket.bus_fault("open")
    return lambda: pen.socket.bus_fault(None)


def _short(pen: EmulatedPen) -> Undo:
    pen.socket.bus_fault("short")
    return lambda: pen.socket.bus_fault(None)


def _replaced(pen: EmulatedPen, memory: bytes) -> Undo:
    cartridge = pen.socket.cartridge
    if cartridge is None:
        return lambda: None
    before = bytes(cartridge.chip.memory)
    cartridge.chip.memory[: len(memory)] = memory

    def undo() -> None:
        cartridge.chip.memory[: len(before)] = before

    return undo


def _flipped(pen: EmulatedPen, fault: Fault) -> Undo:
    """Some bits of the record fall or rise."""
    if pen.socket.cartridge is None:
        return lambda: None
    draw = random.Random(f"record {fault.seed}")
    memory = bytearray(pen.socket.cartridge.chip.memory)
    for bit in draw.sample(range(8 * _RECORD_BYTES), _FLIPPED_BITS):
        memory[bit >> 3] ^= 1 << (bit & 7)
    return _replaced(pen, bytes(memory))


def make(what: str, needles: int, serial: int) -> Cartridge:
    """A cartridge as a thing: "fresh", or with one of RECORDS.

    foreign: signed with another key; copied: the record of another chip; used: marked in an earlier session; empty: no
    record. Raises UsageError for a number of needles that no cartridge has.
    """
    from needlepen.cartridges.emulated import emulated_cartridge

    if what == "foreign":
        return emulated_cartridge(needles, serial, key=bytes(32))
    cartridge = emulated_cartridge(needles, serial)
    memory = cartridge.chip.memory
    if what == "copied":
        memory[:] = emulated_cartridge(needles, serial + 1).chip.memory
    elif what == "used":
        memory[_MARK_ADDRESS : _MARK_ADDRESS + 4] = bytes(4)
    elif what == "empty":
        memory[:_PAGES_BYTES] = b"\xff" * _PAGES_BYTES
    return cartridge


def _wrong(pen: EmulatedPen, fault: Fault) -> Undo:
    cartridge = pen.socket.cartridge
    if cartridge is None:
        return lambda: None
    serial = int.from_bytes(cartridge.chip.rom[1:7], "little")
    return _replaced(pen, bytes(make(word(fault), cartridge.needles, serial).chip.memory))


ENTRIES: tuple[Entry, ...] = (
    Entry("cartridge", "off", "SR-14", "its chip is dead: nobody answers on the bus", lambda pen, _f: _broken(pen)),
    Entry("cartridge", "garbage", "SR-16", "some bits of its record are wrong", _flipped),
    Entry(
        "cartridge", "wrong", "SR-16", "its chip holds another record",
        _wrong, Value("record", "foreign", words=RECORDS),
    ),
    Entry("cartridge_bus", "open", "SR-14", "broken wire to the cartridge", lambda pen, _f: _broken(pen)),
    Entry("cartridge_bus", "short", "SR-14", "shorted to ground", lambda pen, _f: _short(pen)),
    Entry(
        "cartridge_bus", "stuck", "SR-14", "held at the level of its pull-up",
        lambda pen, _f: outputs.force(pen, "CARTRIDGE_BUS", 1),
    ),
    Entry(
        "cartridge_bus", "garbage", "SR-14", "random pulses on the bus",
        lambda pen, fault: inputs.noise(pen, "CARTRIDGE_BUS", fault.seed),
    ),
    Entry("cartridge_bus", "intermittent", "SR-14", "bad contact to the pen", outputs.chatter("CARTRIDGE_BUS")),
)  # fmt: skip
