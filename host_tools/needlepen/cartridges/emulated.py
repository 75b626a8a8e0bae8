"""Emulated cartridges: a DS2431 with a record in it, and needles."""

from __future__ import annotations

from datetime import date
from typing import Any

from needlepen.cartridges.records import Record, make_memory
from needlepen.cartridges.tables import load_types
from needlepen.emulator.cartridge_socket import Cartridge
from needlepen.emulator.ds2431 import DS2431, make_rom
from needlepen.records.making import development_cartridge_key

EXPIRY = date(2099, 12, 31)


def emulated_cartridge(
    needles: int = 24,
    serial: int = 1,
    *,
    key: bytes | None = None,
    lot: str = "EMULATED",
    expiry: date = EXPIRY,
    depth_limit_um: int | None = None,
    **chip: Any,
) -> Cartridge:
    """A fresh, authenticated cartridge. `key`: the development key by default; `chip`: options of DS2431.

    Raises UsageError for a number of needles or a record that no cartridge can have.
    """
    rom = make_rom(serial.to_bytes(6, "little"))
    record = Record(load_types().with_needles(needles), lot, expiry, depth_limit_um)
    memory = make_memory(record, rom, development_cartridge_key() if key is None else key)
    return Cartridge(DS2431(rom, memory, **chip), needles)
