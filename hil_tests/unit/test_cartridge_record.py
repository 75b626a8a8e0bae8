"""Records of cartridges: whatever is not exactly what the maker signed for this chip is refused with a reason."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import pytest
from hypothesis import given, strategies as st

from needlepen import board, requirements
from needlepen.cartridges.emulated import emulated_cartridge
from needlepen.cartridges.records import Record, describe, make_memory, minimum_rate_hz
from needlepen.cartridges.tables import CartridgeType, load_types
from needlepen.emulator.ds2431 import make_rom
from needlepen.errors import UsageError
from needlepen.firmware_modules import firmware_module

layout = firmware_module("pen.cartridge_record")
states = firmware_module("pen.states")
crc = firmware_module("pen.onewire_crc")
KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
ROM, OTHER_ROM = make_rom(b"\x01\x02\x03\x04\x05\x06"), make_rom(b"\x01\x02\x03\x04\x05\x07")
TYPES = load_types()
EXPIRY = date(2028, 2, 29)
UNREADABLE, FOREIGN = states.BLOCK_CARTRIDGE_UNREADABLE, states.BLOCK_CARTRIDGE_FOREIGN


def _memory(needles: int = 24, key: bytes = KEY, **details: Any) -> bytearray:
    return bytearray(make_memory(Record(TYPES.with_needles(needles), "L123", EXPIRY, **details), ROM, key))


def _signed(memory: bytearray, **changed: int) -> bytearray:
    """The memory with bytes of the record changed and everything signed again, as only the maker can."""
    for place, value in changed.items():
        memory[int(place[1:])] = value
    memory[22:24] = crc.crc16(bytes(memory[:22]), 22, 0).to_bytes(2, "little")
    memory[24:40] = layout.hmac_sha256(KEY, bytes(memory[:24]) + ROM)[:16]
    return memory


def _refused(memory: bytes | bytearray, rom: bytes = ROM, key: bytes | None = KEY) -> tuple[int, str]:
    blocker, reason, record = layout.unpack(memory, rom, key)
    assert (blocker == 0) == (reason == "") == (record is not None)
    assert len(reason) <= 48 and "\n" not in reason
    return blocker, reason


@pytest.mark.parametrize("kind", TYPES.types.values(), ids=lambda kind: kind.name)
@pytest.mark.parametrize("limit_um", [None, 50])
def test_a_record_says_what_the_maker_wrote(kind: CartridgeType, limit_um: int | None) -> None:
    blocker, _, record = layout.unpack(_memory(kind.needles, depth_limit_um=limit_um), ROM, KEY)
    assert blocker == 0
    assert (record.type_number, record.needles, record.lot) == (kind.number, kind.needles, "L123")
    assert record.depth_limit_um == (limit_um or kind.depth_limit_um)
    assert record.expiry_day == (EXPIRY - date(2000, 1, 1)).days


@pytest.mark.parametrize("place", range(8 * layout.RECORD_BYTES))
def test_any_changed_bit_of_the_record_is_refused(place: int) -> None:
    memory = _memory()
    memory[place // 8] ^= 1 << place % 8
    assert _refused(memory)[0] in (UNREADABLE, FOREIGN)


@pytest.mark.parametrize("place", range(layout.RECORD_BYTES))
def test_any_other_byte_in_the_record_is_refused(place: int) -> None:
    for value in range(1, 256):
        memory = _memory()
        memory[place] ^= value
        assert _refused(memory)[0] in (UNREADABLE, FOREIGN)


@pytest.mark.parametrize("place", range(40))
def test_any_changed_bit_of_the_protection_is_refused(place: int) -> None:
    memory = _memory()
    memory[0x80 + place // 8] ^= 1 << place % 8
    assert _refused(memory) == (FOREIGN, "its memory is not locked")


@pytest.mark.parametrize("length", range(0x85))
def test_a_memory_that_ends_early_is_refused(length: int) -> None:
    """The chip fell silent: what follows reads as ones."""
    assert _refused(bytes(_memory()[:length]) + b"\xff" * (0x90 - length))[0] in (UNREADABLE, FOREIGN)


@pytest.mark.parametrize("place", range(64))
def test_a_record_on_a_chip_with_another_id_is_refused(place: int) -> None:
    rom = bytearray(ROM)
    rom[place // 8] ^= 1 << place % 8
    assert _refused(_memory(), bytes(rom))[0] == FOREIGN


def test_a_copied_record_and_a_record_of_another_key_are_refused() -> None:
    assert _refused(_memory(), OTHER_ROM) == (FOREIGN, "counterfeit, or copied from another")
    assert _refused(_memory(key=OTHER_KEY)) == (FOREIGN, "counterfeit, or copied from another")
    assert _refused(_memory(), key=None) == (states.BLOCK_KEYS_MISSING, "the pen has no key to check it")


def test_blank_and_strange_chips_are_told_apart() -> None:
    assert _refused(b"\xff" * 0x90) == (UNREADABLE, "the cartridge holds no record")
    assert _refused(bytes(0x90)) == (FOREIGN, "not a cartridge of this pen")


def test_a_damaged_record_is_told_from_a_newer_one() -> None:
    assert _refused(_signed(_memory(), _2=layout.VERSION + 1)) == (
        UNREADABLE,
        "the record needs newer firmware",
    )
    damaged = _memory()
    damaged[2] = layout.VERSION + 1
    assert _refused(damaged) == (UNREADABLE, "the record is damaged")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"_3": 200}, "type unknown to this firmware"),
        ({"_3": 0}, "type unknown to this firmware"),
        ({"_4": 25}, "the record contradicts its type"),
        ({"_6": 0, "_7": 0}, "the record contradicts its type"),
        ({"_6": 0xD1, "_7": 0x07}, "the record contradicts its type"),  # 2001 um, 1 more than 24 needles may
    ],
)
def test_even_a_signed_record_has_to_make_sense(changed: dict[str, int], reason: str) -> None:
    assert _refused(_signed(_memory(), **changed)) == (UNREADABLE, reason)


@given(st.binary(min_size=0x90, max_size=0x90))
def test_no_random_memory_is_believed(memory: bytes) -> None:
    assert _refused(memory)[0] != 0


@given(st.binary(max_size=0x90), st.binary(min_size=8, max_size=8))
def test_short_memories_do_no_harm(memory: bytes, rom: bytes) -> None:
    assert _refused(memory, rom)[0] != 0


# ---------------------------------------------------------------------- marks
@pytest.mark.parametrize("minutes", range(65))
def test_each_minute_clears_one_more_bit(minutes: int) -> None:
    row = int.from_bytes(layout.minutes_row(minutes), "little")
    assert row == ((1 << 64) - 1 << minutes) & ((1 << 64) - 1)


def test_a_mark_is_known_by_any_of_its_bits() -> None:
    assert layout.mark_row(None, b"\x01\x02\x03") == bytes(4) + b"\xff\xff\x02\x03"
    assert layout.mark_row(0x1234, b"\xff\xff")[:6] == bytes(4) + b"\x34\x12"


@pytest.mark.parametrize("place", range(128))
def test_a_cartridge_with_any_cleared_use_bit_is_not_described_as_fresh(place: int) -> None:
    memory = _memory()
    memory[0x40 + place // 8] ^= 1 << place % 8
    assert describe(bytes(memory), ROM, KEY).verdict == "used"


# ---------------------------------------------------------------------- minimum rate
@pytest.mark.parametrize("needles", [12, 24, 36])
def test_the_minimum_rate_is_that_of_sr_24(needles: int) -> None:
    assert minimum_rate_hz(needles, 1500) == requirements.load().limit("SR-24", f"rate_{needles}_needles_hz")


@pytest.mark.parametrize("needles", [0, 12, 24, 36])
@pytest.mark.parametrize("depth_um", range(0, 2550, 50))
def test_the_minimum_rate_holds_one_and_a_half_times_the_work(needles: int, depth_um: int) -> None:
    """Just enough: one Hz less is too little."""
    inertia_kg_m2 = board.load().motor.inertia_kg_m2
    needed_j = 1.5 * needles * 0.15 * depth_um * 1e-6

    def energy_j(rate_hz: int) -> float:
        return inertia_kg_m2 * (2 * math.pi * rate_hz) ** 2 / 2

    rate_hz = minimum_rate_hz(needles, depth_um)
    assert energy_j(rate_hz) >= needed_j
    assert rate_hz == 0 or energy_j(rate_hz - 1) < needed_j


# ---------------------------------------------------------------------- making
@pytest.mark.parametrize(
    ("details", "text"),
    [
        ({"lot": ""}, "1 to 12 printable"),
        ({"lot": "THIRTEEN CHAR"}, "1 to 12 printable"),
        ({"lot": "Lüneburg"}, "1 to 12 printable"),
        ({"lot": "A\nB"}, "1 to 12 printable"),
        ({"expiry": date(1999, 12, 31)}, "holds days from 2000-01-01"),
        ({"expiry": date(2199, 1, 1)}, "holds days from 2000-01-01"),
        ({"depth_limit_um": 0}, "1 to 2000 um"),
        ({"depth_limit_um": 2001}, "1 to 2000 um"),
    ],
)
def test_what_no_pen_would_take_cannot_be_made(details: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        Record(**{"type": TYPES.with_needles(24), "lot": "L1", "expiry": EXPIRY, **details})


def test_keys_and_ids_of_the_wrong_length_are_refused() -> None:
    record = Record(TYPES.with_needles(24), "L1", EXPIRY)
    for rom, key in ((ROM[:7], KEY), (ROM, KEY[:31])):
        with pytest.raises(UsageError, match="8 bytes and a cartridge key 32"):
            make_memory(record, rom, key)
    with pytest.raises(UsageError, match="at least 133; these are 132"):
        describe(bytes(132), ROM, KEY)


def test_the_description_says_what_a_pen_would_say() -> None:
    memory = _memory()
    fresh = describe(bytes(memory), ROM, KEY)
    assert (fresh.verdict, fresh.needles, fresh.expiry, fresh.minimum_rate_hz) == (
        "fresh",
        24,
        "2028-02-29",
        92,
    )
    memory[0x40:0x48] = layout.mark_row(9_000, b"\xab\xcd")
    memory[0x48:0x50] = layout.minutes_row(7)
    used = describe(bytes(memory), ROM, KEY)
    assert (used.verdict, used.first_use, used.minutes_of_use, used.marked_by) == (
        "used",
        "2024-08-22",
        7,
        "abcd",
    )
    foreign = describe(bytes(memory), OTHER_ROM, KEY)
    assert (foreign.verdict, foreign.blocker, foreign.needles) == ("refused", "cartridge_foreign", None)


def test_an_emulated_cartridge_is_fresh_with_the_development_key() -> None:
    from needlepen.records.making import development_cartridge_key

    for needles in (12, 24, 36):
        cartridge = emulated_cartridge(needles, serial=needles)
        seen = describe(bytes(cartridge.chip.memory), cartridge.chip.rom, development_cartridge_key())
        assert (seen.verdict, seen.needles, cartridge.needles) == ("fresh", needles, needles)


def test_the_pen_reads_as_far_as_the_protection_goes() -> None:
    assert layout.PROTECTION_ADDRESS + len(layout.PROTECTION) <= firmware_module("pen.ds2431").MEMORY_BYTES
