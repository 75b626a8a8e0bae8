"""What a cartridge's chip holds: made by the layout, read with the code, of the firmware (pen/cartridge_record.py)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from needlepen.cartridges.tables import CartridgeType, load_types
from needlepen.errors import UsageError
from needlepen.firmware_modules import firmware_module
from needlepen.supervision import load as load_supervision

MEMORY_BYTES = 0x90
_FIRST_DAY = date(2000, 1, 1)
_LAST_DAY = _FIRST_DAY + timedelta(days=0xFFFE)


def _layout() -> Any:
    return firmware_module("pen.cartridge_record")


@dataclass(frozen=True)
class Record:
    """What the maker writes. `depth_limit_um` None: that of the type. `expiry`: last day of use."""

    type: CartridgeType
    lot: str
    expiry: date
    depth_limit_um: int | None = None

    def __post_init__(self) -> None:
        limit_um = self.depth_limit_um
        if limit_um is not None and not 0 < limit_um <= self.type.depth_limit_um:
            raise UsageError(
                f"depth limit {limit_um} um: {self.type.name} allows 1 to {self.type.depth_limit_um} um, and the pen "
                "would refuse the cartridge; give a smaller one"
            )
        if not 0 < len(self.lot) <= _layout().LOT_BYTES or not (
            self.lot.isascii() and self.lot.isprintable()
        ):
            raise UsageError(
                f"lot {self.lot!r}: a lot is 1 to {_layout().LOT_BYTES} printable ASCII characters; shorten it"
            )
        if not _FIRST_DAY <= self.expiry <= _LAST_DAY:
            raise UsageError(f"expiry {self.expiry}: the record holds days from {_FIRST_DAY} to {_LAST_DAY}")


@dataclass(frozen=True)
class Description:
    """A chip's memory in words. `verdict`: "fresh", "used" or "refused"; `blocker` and `reason` if refused."""

    rom: str
    verdict: str
    blocker: str | None
    reason: str
    type: str | None
    needles: int | None
    depth_limit_um: int | None
    minimum_rate_hz: int | None
    lot: str | None
    expiry: str | None
    first_use: str | None
    minutes_of_use: int | None
    marked_by: str | None


def make_memory(record: Record, rom: bytes, key: bytes) -> bytes:
    """The whole memory of a fresh cartridge: signed record, unused marks, protection.

    Args:
        rom: 64-bit ID of the chip; the record holds for this chip only.
        key: the cartridge key, 32 bytes.

    Raises:
        UsageError: an ID or a key of the wrong length.
    """
    if len(rom) != 8 or len(key) != 32:
        raise UsageError(f"a chip's ID has 8 bytes and a cartridge key 32, not {len(rom)} and {len(key)}")
    layout = _layout()
    memory = bytearray(b"\xff" * layout.PROTECTION_ADDRESS + bytes(MEMORY_BYTES - layout.PROTECTION_ADDRESS))
    packed = _pack(record, rom, key)
    memory[: len(packed)] = packed
    memory[layout.PROTECTION_ADDRESS : layout.PROTECTION_ADDRESS + len(layout.PROTECTION)] = layout.PROTECTION
    return bytes(memory)


def _pack(record: Record, rom: bytes, key: bytes) -> bytes:
    layout, kind, limit_um = _layout(), record.type, record.depth_limit_um
    crc16 = firmware_module("pen.onewire_crc").crc16
    hmac_sha256 = firmware_module("pen.store.auth").hmac_sha256
    head = struct.pack(
        layout.HEAD,
        layout.MAGIC,
        layout.VERSION,
        kind.number,
        kind.needles,
        0,
        kind.depth_limit_um if limit_um is None else limit_um,
        (record.expiry - _FIRST_DAY).days,
        record.lot.encode(),
    )
    signed = head + struct.pack("<H", crc16(head, len(head), 0))
    tag: bytes = hmac_sha256(key, signed + rom)[: layout.TAG_BYTES]
    return signed + tag


def describe(memory: bytes, rom: bytes, key: bytes | None) -> Description:
    """What a pen with this key would say about a chip, and what the chip says about its use.

    Raises UsageError if the memory is shorter than the pen reads.
    """
    layout = _layout()
    needed = layout.PROTECTION_ADDRESS + len(layout.PROTECTION)
    if len(memory) < needed:
        raise UsageError(
            f"a cartridge's memory has {MEMORY_BYTES} bytes, at least {needed}; these are {len(memory)}"
        )
    blocker, reason, entry = layout.unpack(memory, rom, key)
    mark, minutes = layout.use_of(memory)
    used = mark != layout.UNUSED_ROW or minutes != layout.UNUSED_ROW
    day = int.from_bytes(mark[4:6], "little")
    names = load_supervision().blocker_names(blocker)
    kinds = {kind.number: kind.name for kind in load_types().types.values()}
    return Description(
        rom=rom.hex(),
        verdict="refused" if blocker else "used" if used else "fresh",
        blocker=names[0] if names else None,
        reason=reason,
        type=kinds.get(entry.type_number) if entry else None,
        needles=entry.needles if entry else None,
        depth_limit_um=entry.depth_limit_um if entry else None,
        minimum_rate_hz=layout.minimum_rate_hz(entry.needles, entry.depth_limit_um) if entry else None,
        lot=entry.lot if entry else None,
        expiry=str(_FIRST_DAY + timedelta(days=entry.expiry_day)) if entry else None,
        first_use=str(_FIRST_DAY + timedelta(days=day)) if used and day != layout.DAY_UNKNOWN else None,
        minutes_of_use=64 - sum(byte.bit_count() for byte in minutes) if used else None,
        marked_by=mark[6:].hex() if used else None,
    )


def minimum_rate_hz(needles: int, depth_um: int) -> int:
    """SR-24: lowest stroke rate with this many needles at this protrusion."""
    rate_hz: int = _layout().minimum_rate_hz(needles, depth_um)
    return rate_hz
