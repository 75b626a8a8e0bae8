"""The emulated DS2431, bit by bit, against the rules of its datasheet."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, strategies as st

from needlepen.emulator import ds2431
from needlepen.emulator.ds2431 import DS2431, PROGRAMMING_NS, make_rom
from needlepen.errors import UsageError
from needlepen.firmware_modules import firmware_module

crc = firmware_module("pen.onewire_crc")
SLOT_NS = 70_000
ROM = make_rom(b"\x01\x02\x03\x04\x05\x06")
ROW = bytes(range(0x10, 0x18))
OPEN_PAGE, PROTECTED_PAGE, EPROM_PAGE = 0x60, 0x00, 0x40
PROTECTION = b"\x55\x55\xaa\x00\x00"


class Master:
    """Makes resets and slots, one every 70 us."""

    def __init__(self, chip: DS2431) -> None:
        self.chip = chip
        self.t_ns = 0

    def reset(self, wait_ns: int = 1_000_000) -> Master:
        self.t_ns += wait_ns
        self.chip.reset(self.t_ns)
        return self

    def write(self, *values: int, bits: int = 8) -> Master:
        for value in values:
            for place in range(bits):
                self.t_ns += SLOT_NS
                self.chip.disturb(self.t_ns)
                if self.chip.wish is None:
                    self.chip.slot(self.t_ns, value >> place & 1)
        return self

    def bit(self) -> int:
        self.t_ns += SLOT_NS
        self.chip.disturb(self.t_ns)
        wish = self.chip.wish
        if wish is None or wish == "silence":
            return 1
        self.chip.slot(self.t_ns)
        return wish

    def read(self, count: int) -> bytes:
        return bytes(sum(self.bit() << place for place in range(8)) for _ in range(count))

    def scratchpad(self, address: int, row: bytes = ROW) -> bytes:
        """Write the scratchpad; returns the three bytes that authorise its copy."""
        self.reset().write(0xCC, 0x0F, *address.to_bytes(2, "little"), *row)
        sent = bytes([0x0F, *address.to_bytes(2, "little")]) + row
        assert self.read(2) == (crc.crc16(sent, len(sent), 0) ^ 0xFFFF).to_bytes(2, "little")
        self.reset().write(0xCC, 0xAA)
        return self.read(3)

    def copy(self, authorisation: bytes) -> None:
        self.reset().write(0xCC, 0x55, *authorisation)

    def memory(self, address: int, count: int) -> bytes:
        self.reset().write(0xCC, 0xF0, *address.to_bytes(2, "little"))
        return self.read(count)


def _chip(**options: object) -> DS2431:
    memory = bytearray(b"\xff" * 128) + PROTECTION
    return DS2431(ROM, bytes(memory), **options)  # type: ignore[arg-type]


# ---------------------------------------------------------------------- check sums
def test_both_check_sums_agree_with_published_values_in_firmware_and_emulator() -> None:
    """Maxim's application note 27 for the ID, the catalogue of CRCs (CRC-16/ARC) for the memory."""
    assert crc.crc8(bytes.fromhex("021cb801000000")) == ds2431.crc8(bytes.fromhex("021cb801000000")) == 0xA2
    assert crc.crc16(b"123456789", 9, 0) == 0xBB3D
    assert ds2431.crc16_inverted(b"123456789") == (0xBB3D ^ 0xFFFF).to_bytes(2, "little")


# ---------------------------------------------------------------------- selecting
def test_a_wrong_id_cannot_be_made() -> None:
    with pytest.raises(UsageError, match="not the ID of a DS2431"):
        DS2431(ROM[:7] + bytes([ROM[7] ^ 1]))
    with pytest.raises(UsageError, match="6 bytes, not 5"):
        make_rom(bytes(5))
    with pytest.raises(UsageError, match="144 bytes"):
        DS2431(ROM, bytes(145))


def test_it_says_its_id() -> None:
    assert Master(_chip()).reset().write(0x33).read(8) == ROM


@pytest.mark.parametrize("place", range(64))
def test_an_id_with_one_other_bit_selects_nothing(place: int) -> None:
    other = bytearray(ROM)
    other[place // 8] ^= 1 << place % 8
    assert Master(_chip()).reset().write(0x55, *other, 0xF0, 0x80, 0).read(2) == b"\xff\xff"
    assert Master(_chip()).reset().write(0x55, *ROM, 0xF0, 0x80, 0).read(2) == b"\x55\x55"


def test_search_leads_to_its_id() -> None:
    master = Master(_chip()).reset().write(0xF0)
    found = []
    for _ in range(64):
        bit, complement = master.bit(), master.bit()
        assert bit != complement
        found.append(bit)
        master.write(bit, bits=1)
    assert bytes(sum(b << i for i, b in enumerate(found[n : n + 8])) for n in range(0, 64, 8)) == ROM
    assert master.write(0xF0, 0x80, 0).read(1) == b"\x55"


def test_resume_calls_only_a_chip_that_was_matched_and_kept_its_power() -> None:
    master = Master(_chip())
    assert master.reset().write(0xA5, 0xF0, 0x80, 0).read(1) == b"\xff"
    master.reset().write(0x55, *ROM)
    assert master.reset().write(0xA5, 0xF0, 0x80, 0).read(1) == b"\x55"
    assert master.reset().write(0xA5, 0xF0, 0x80, 0).read(1) == b"\x55"
    master.reset().write(0xCC)
    assert master.reset().write(0xA5, 0xF0, 0x80, 0).read(1) == b"\xff"
    master.reset().write(0x55, *ROM)
    master.chip.lose_power(master.t_ns)
    assert master.reset().write(0xA5, 0xF0, 0x80, 0).read(1) == b"\xff"


@pytest.mark.parametrize("command", [0x3C, 0x69, 0x00, 0x0F])
def test_unknown_commands_silence_it_until_the_next_reset(command: int) -> None:
    master = Master(_chip())
    assert master.reset().write(command, 0xF0, 0x80, 0).read(2) == b"\xff\xff"
    assert master.memory(0x80, 1) == b"\x55"


# ---------------------------------------------------------------------- memory
def test_reading_goes_on_to_the_end_of_memory_and_then_reads_ones() -> None:
    assert Master(_chip()).memory(0x7F, 0x20) == b"\xff" + PROTECTION + bytes(11) + b"\xff" * 15
    assert Master(_chip()).memory(0x90, 2) == b"\xff\xff"


def test_a_row_is_written_read_back_and_copied() -> None:
    master = Master(_chip())
    authorisation = master.scratchpad(OPEN_PAGE)
    assert authorisation == bytes([OPEN_PAGE, 0, 0x07])
    answer = bytes([0xAA]) + authorisation + ROW
    assert master.read(10) == ROW + (crc.crc16(answer, len(answer), 0) ^ 0xFFFF).to_bytes(2, "little")
    master.copy(authorisation)
    master.t_ns += PROGRAMMING_NS
    assert master.read(2) == b"\xaa\xaa"
    assert master.memory(OPEN_PAGE, 8) == ROW and master.chip.torn_copies == 0
    master.reset().write(0xCC, 0xAA)
    assert master.read(3) == bytes([OPEN_PAGE + 8 * 0, 0, 0x87]), "the copy was authorised"


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8))
def test_in_eprom_mode_bits_only_fall(first: bytes, second: bytes) -> None:
    master = Master(_chip())
    for row in (first, second):
        authorisation = master.scratchpad(EPROM_PAGE, row)
        master.copy(authorisation)
        master.t_ns += PROGRAMMING_NS
    assert master.memory(EPROM_PAGE, 8) == bytes(a & b for a, b in zip(first, second, strict=True))


def test_a_protected_page_keeps_its_content_and_so_does_its_protection() -> None:
    master = Master(_chip())
    for address in (PROTECTED_PAGE, 0x80):
        master.copy(master.scratchpad(address, bytes(8)))
        master.t_ns += PROGRAMMING_NS
    assert master.memory(PROTECTED_PAGE, 8) == b"\xff" * 8
    assert master.memory(0x80, 5) == PROTECTION, "set protection stays, an open page stays open"


def test_copy_protection_refuses_rows_that_are_protected() -> None:
    chip = _chip()
    chip.memory[0x84] = 0x55
    for address, copied in ((PROTECTED_PAGE, False), (0x80, False), (EPROM_PAGE, True), (OPEN_PAGE, True)):
        master = Master(chip)
        master.copy(master.scratchpad(address, bytes(8)))
        assert chip.programming == copied, hex(address)
        master.t_ns += PROGRAMMING_NS
        assert master.read(1) == (b"\xaa" if copied else b"\xff")


@pytest.mark.parametrize("byte", range(3))
@pytest.mark.parametrize("bit", range(8))
def test_a_copy_with_any_wrong_authorisation_bit_is_not_done(byte: int, bit: int) -> None:
    master = Master(_chip())
    authorisation = bytearray(master.scratchpad(OPEN_PAGE))
    authorisation[byte] ^= 1 << bit
    master.copy(bytes(authorisation))
    assert not master.chip.programming
    master.t_ns += PROGRAMMING_NS
    assert master.read(1) == b"\xff" and master.memory(OPEN_PAGE, 8) == b"\xff" * 8


@pytest.mark.parametrize("bits", range(1, 8))
def test_a_byte_that_is_cut_off_makes_the_scratchpad_useless(bits: int) -> None:
    master = Master(_chip())
    master.reset().write(0xCC, 0x0F, OPEN_PAGE, 0, *ROW[:7]).write(ROW[7], bits=bits)
    master.reset().write(0xCC, 0xAA)
    authorisation = master.read(3)
    assert authorisation[2] & 0x20, "partial byte flag"
    master.copy(authorisation)
    assert not master.chip.programming


def test_power_loss_voids_the_scratchpad() -> None:
    master = Master(_chip())
    authorisation = master.scratchpad(OPEN_PAGE)
    master.chip.lose_power(master.t_ns)
    master.copy(authorisation)
    assert not master.chip.programming


# ---------------------------------------------------------------------- copies that are cut off
def _cut(after_ns: int, how: str, seed: int = 0, **options: object) -> tuple[DS2431, bytes]:
    """A copy of zeros into a row of ones, interrupted `after_ns` later."""
    chip = _chip(seed=seed, **options)
    master = Master(chip)
    master.copy(master.scratchpad(EPROM_PAGE, bytes(8)))
    if how == "power":
        chip.lose_power(master.t_ns + after_ns)
    else:
        chip.disturb(master.t_ns + after_ns)
    chip.settle(master.t_ns + 2 * PROGRAMMING_NS)
    return chip, bytes(chip.memory[EPROM_PAGE : EPROM_PAGE + 8])


@pytest.mark.parametrize("how", ["power", "bus low"])
def test_a_copy_is_whole_from_the_end_of_its_time_on_and_torn_before(how: str) -> None:
    assert _cut(PROGRAMMING_NS, how)[1] == bytes(8)
    assert _cut(PROGRAMMING_NS - 1, how)[0].torn_copies == 1
    assert _cut(0, how)[1] == b"\xff" * 8


def test_the_later_the_cut_the_more_bits_have_changed_and_no_other_row_has() -> None:
    for seed in range(5):
        rows = [_cut(k * PROGRAMMING_NS // 50, "power", seed) for k in range(51)]
        assert all(bytes(chip.memory[0x48:0x80]) == b"\xff" * 0x38 for chip, _ in rows)
        for (_, earlier), (_, later) in itertools.pairwise(rows):
            assert all(b & ~a == 0 for a, b in zip(earlier, later, strict=True)), (
                "a changed bit stays changed"
            )
        assert len({row for _, row in rows}) > 20


def test_the_same_seed_tears_alike_and_another_differently() -> None:
    half = PROGRAMMING_NS // 2
    assert _cut(half, "power", 1)[1] == _cut(half, "power", 1)[1] != _cut(half, "power", 2)[1]


def test_a_scrambled_row_may_read_either_way_and_only_that_row() -> None:
    chip = _chip(seed=random.Random(1).getrandbits(16), torn="scrambled")
    chip.memory[EPROM_PAGE : EPROM_PAGE + 8] = bytes(8)
    master = Master(chip)
    master.copy(master.scratchpad(EPROM_PAGE, bytes(8)))
    chip.lose_power(master.t_ns + PROGRAMMING_NS - 1)
    assert any(chip.memory[EPROM_PAGE : EPROM_PAGE + 8]), "bits that were 0 read 1"
    assert bytes(chip.memory[EPROM_PAGE + 8 : 0x80]) == b"\xff" * 0x38
