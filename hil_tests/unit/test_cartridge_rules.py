"""Cartridge code at its limits: what a record may say, what time of use is left, what is sent to the memory chip."""

from __future__ import annotations

from typing import Any

import pytest
from generators import ended

from needlepen import requirements
from needlepen.emulator.ds2431 import make_rom
from needlepen.firmware_modules import firmware_module

layout = firmware_module("pen.cartridge_record")
uses = firmware_module("pen.cartridge_use")
chips = firmware_module("pen.ds2431")
crc = firmware_module("pen.onewire_crc")
states = firmware_module("pen.states")

LIMIT = requirements.load().limit
SPARE_MS = 3_000
USE_MS = 60_000 * int(LIMIT("SR-15", "use_min")) - SPARE_MS
WINDOW_MS = 3_600_000 * int(LIMIT("SR-15", "window_h")) - SPARE_MS
KEY, ROM, OTHER_ROM = bytes(range(32)), make_rom(b"\1\2\3\4\5\6"), make_rom(b"\1\2\3\4\5\7")
# 24 needles, type 2, 2000 um, last day 10286, lot "L123", signed with KEY for ROM: it stays readable for ever
SOLD = bytes.fromhex("4e4301021800d0072e284c3132330000000000000000cb0e6cb13d91780312d60401154aae4e717a")
ROW, ROW_ADDRESS = bytes(range(0x10, 0x18)), 0x40


def _signed(version: int = 1, limit_um: int = 2_000, lot: bytes = b"L123") -> bytes:
    """The memory of a cartridge with this record, as only the maker can sign it."""
    head = SOLD[:2] + bytes((version,)) + SOLD[3:6] + limit_um.to_bytes(2, "little") + SOLD[8:10]
    head += lot.ljust(12, b"\0")
    head += crc.crc16(head, 22, 0).to_bytes(2, "little")
    record = head + layout.hmac_sha256(KEY, head + ROM)[:16]
    return record.ljust(0x80, b"\xff") + b"\x55\x55\xaa\x55\x55" + bytes(3)


# ---------------------------------------------------------------------- the record
def test_a_cartridge_that_was_sold_stays_readable() -> None:
    assert _signed() == SOLD + b"\xff" * 0x58 + b"\x55\x55\xaa\x55\x55" + bytes(3)
    blocker, reason, record = layout.unpack(_signed(), ROM, KEY)
    assert (blocker, reason) == (0, "")
    assert vars(record) == {
        "type_number": 2, "needles": 24, "depth_limit_um": 2_000, "expiry_day": 10_286, "lot": "L123",
    }  # fmt: skip
    refused = (states.BLOCK_CARTRIDGE_UNREADABLE, "the record needs newer firmware", None)
    assert layout.unpack(_signed(version=2), ROM, KEY) == refused


def test_the_least_depth_limit_is_1_um() -> None:
    assert layout.unpack(_signed(limit_um=1), ROM, KEY)[2].depth_limit_um == 1
    assert layout.unpack(_signed(limit_um=0), ROM, KEY)[0] == states.BLOCK_CARTRIDGE_UNREADABLE


def test_a_lot_is_shown_in_printable_characters() -> None:
    assert layout.unpack(_signed(lot=b"\x1f ~\x7f\x80"), ROM, KEY)[2].lot == "? ~??"
    assert layout.LOT_BYTES == 12 == len(layout.unpack(_signed(lot=b"LOT_BYTES=12"), ROM, KEY)[2].lot)


def test_a_row_says_up_to_64_minutes() -> None:
    assert layout.MOST_MINUTES == 64 and layout.minutes_row(layout.MOST_MINUTES) == bytes(8)
    assert layout.minutes_row(63) == bytes(7) + b"\x80"


# ---------------------------------------------------------------------- time of use
def _session(clock_s: int | None = None) -> Any:
    use = uses.Use()
    use.open(ROM, b"mark", clock_s)
    return use


def test_a_pen_that_starts_knows_of_no_session() -> None:
    use = uses.Use()
    assert vars(use) == {
        "rom": None, "used_ms": 0, "window_ms": 0, "minutes_written": 0, "_mark": b"", "_clock_s": None,
    }  # fmt: skip
    use.pass_time(5_000, 100)
    assert use.window_ms == 0 and use.left_ms == 0 and use.minutes == 0


def test_a_session_begins_with_all_of_its_time_and_ends_the_one_before() -> None:
    use = _session(clock_s=100)
    use.pass_time(60_000, 100)
    use.add(70_000)
    use.minutes_written = 2
    use.open(OTHER_ROM, b"other", 500)
    assert vars(use) == {
        "rom": OTHER_ROM, "used_ms": 0, "window_ms": 0, "minutes_written": 0, "_mark": b"other", "_clock_s": 500,
    }  # fmt: skip
    assert use.left_ms == USE_MS == uses.WHOLE_MS


def test_what_is_left_is_the_lesser_of_use_and_window_and_never_below_0() -> None:
    use = _session()
    use.add(1)
    assert use.left_ms == USE_MS - 1
    use.pass_time(WINDOW_MS - 10_000, None)
    assert use.left_ms == 10_000
    use.pass_time(9_999, None)
    assert use.left_ms == 1
    use.pass_time(2, None)
    assert use.left_ms == 0
    worn = _session()
    worn.add(USE_MS + 5)
    assert worn.left_ms == 0


@pytest.mark.parametrize(("used_ms", "minutes"), [(0, 0), (1, 1), (60_000, 1), (60_001, 2), (120_000, 2)])
def test_a_minute_counts_from_its_first_millisecond(used_ms: int, minutes: int) -> None:
    use = _session()
    use.add(used_ms)
    assert use.minutes == minutes


@pytest.mark.parametrize(
    ("opened_s", "now_s", "window_ms"),
    [(None, None, 50), (None, 900, 50), (100, None, 50), (100, 100, 50), (100, 101, 1_000), (100, 99, 50)],
)
def test_the_window_is_the_longer_of_powered_and_clock_time(
    opened_s: int | None, now_s: int | None, window_ms: int
) -> None:
    use = _session(opened_s)
    use.pass_time(50, now_s)
    assert use.window_ms == window_ms


def test_only_the_sessions_own_cartridge_continues_it() -> None:
    use = _session()
    fresh = layout.minutes_row(0)
    assert use.continues(ROM, b"mark", fresh, layout.minutes_row)
    assert not use.continues(OTHER_ROM, b"mark", fresh, layout.minutes_row)
    assert not use.continues(ROM, b"other", fresh, layout.minutes_row)
    assert not uses.Use().continues(None, b"mark", fresh, layout.minutes_row)


def test_a_row_of_minutes_may_lie_between_those_written_and_those_due() -> None:
    use = _session()
    use.minutes_written = 2
    use.add(5 * 60_000)
    for row, continues in (
        (b"\xfc", True), (b"\xe0", True), (b"\xe8", True), (b"\xf4", True),
        (b"\xfe", False), (b"\xff", False), (b"\xc0", False), (b"\xdc", False),
    ):  # fmt: skip
        assert use.continues(ROM, b"mark", row + b"\xff" * 7, layout.minutes_row) == continues, row
    assert not use.continues(ROM, b"mark", b"\xe0" + b"\xff" * 6 + b"\xfe", layout.minutes_row)


# ---------------------------------------------------------------------- commands of the chip
class Bus:
    """A bus whose chip answers with the bytes that it was given. `sent`: "reset", then what was written."""

    def __init__(self, answer: bytes = b"", present: bool = True) -> None:
        self.answer, self.present = list(answer), present
        self.sent: list[str | int] = []

    def reset(self) -> bool:
        self.sent.append("reset")
        return self.present

    def write(self, data: bytes) -> None:
        self.sent += list(data)

    def read_byte(self) -> int:
        return self.answer.pop(0)


def _inverted(data: bytes) -> bytes:
    return bytes((crc.crc16(data, len(data), 0) ^ 0xFFFF).to_bytes(2, "little"))


_SENT = bytes((0x0F, ROW_ADDRESS, 0)) + ROW
_HELD = bytes((0xAA, ROW_ADDRESS, 0, 7)) + ROW
PREPARED = _inverted(_SENT) + _HELD[1:] + _inverted(_HELD)
"""What a sound chip answers to `prepare`."""


def test_the_id_is_read_and_matched() -> None:
    bus = Bus(ROM)
    rom, yielded = ended(chips.Ds2431(bus).identify())
    assert rom == ROM and isinstance(rom, bytes) and not bus.answer
    assert bus.sent == ["reset", 0x33, "reset", 0x55, *ROM]
    assert yielded == [None] * (2 + 8 + 1 + 1 + 9), "a slice after each reset and each byte"


def test_an_id_of_another_family_or_with_a_wrong_check_sum_is_refused() -> None:
    other = b"\x2c" + ROM[1:7]
    for rom in (other + bytes((crc.crc8(other),)), ROM[:7] + bytes((ROM[7] ^ 1,))):
        bus = Bus(rom)
        with pytest.raises(chips.ChipError, match="no DS2431"):
            ended(chips.Ds2431(bus).identify())
        assert bus.sent == ["reset", 0x33]


def test_no_command_goes_to_a_bus_without_a_chip() -> None:
    for command in (
        lambda chip: ended(chip.identify()),
        lambda chip: ended(chip.read(0, 1)),
        lambda chip: ended(chip.prepare(ROW_ADDRESS, ROW)),
        lambda chip: ended(chip.verify(ROW_ADDRESS, ROW)),
        lambda chip: ended(chip.write(ROW_ADDRESS, ROW)),
        lambda chip: chip.copy_now(ROW_ADDRESS, ROW),
    ):
        bus = Bus(bytes(99), present=False)
        with pytest.raises(chips.ChipError, match="no answer"):
            command(chips.Ds2431(bus))
        assert bus.sent == ["reset"]


def test_memory_is_read_from_its_address_on() -> None:
    bus = Bus(b"abc")
    data, yielded = ended(chips.Ds2431(bus).read(0x48, 3))
    assert data == b"abc" and isinstance(data, bytes)
    assert bus.sent == ["reset", 0xA5, 0xF0, 0x48, 0] and yielded == [None] * (1 + 4 + 3)
    assert chips.MEMORY_BYTES == 0x88 and chips.ROW_BYTES == 8


def test_a_row_is_sent_and_read_back_from_the_scratchpad() -> None:
    bus = Bus(PREPARED)
    _, yielded = ended(chips.Ds2431(bus).prepare(ROW_ADDRESS, ROW))
    assert bus.sent == ["reset", 0xA5, *_SENT, "reset", 0xA5, 0xAA] and not bus.answer
    assert yielded == [None] * (1 + 1 + len(_SENT) + 2 + 1 + 1 + 2 + 11 + 2 + 1)


@pytest.mark.parametrize("place", range(len(PREPARED)))
def test_any_other_byte_from_the_scratchpad_is_noticed(place: int) -> None:
    answer = bytearray(PREPARED)
    answer[place] ^= 0x10
    step = "scratchpad write" if place < 2 else "scratchpad read"
    with pytest.raises(chips.ChipError, match=f"^check sum of {step}$"):
        ended(chips.Ds2431(Bus(bytes(answer))).prepare(ROW_ADDRESS, ROW))


@pytest.mark.parametrize(
    "held", [b"\xaa\x48\0\7" + ROW, b"\xaa\x40\0\x87" + ROW, b"\xaa\x40\0\7" + ROW[::-1]]
)
def test_a_scratchpad_that_holds_something_else_is_noticed(held: bytes) -> None:
    """Another address, copied already, another row: all with a right check sum."""
    with pytest.raises(chips.ChipError, match="does not take this row"):
        ended(chips.Ds2431(Bus(held[1:] + _inverted(held))).verify(ROW_ADDRESS, ROW))


class Clock:
    """Each look at it takes 50 us."""

    def __init__(self) -> None:
        self.us, self.slept = 1_000, [0]

    def ticks_us(self) -> int:
        self.us += 50
        return self.us

    @staticmethod
    def ticks_diff(later: int, earlier: int) -> int:
        return later - earlier

    def sleep_us(self, us: int) -> None:
        self.slept.append(us)


_COPY = ["reset", 0xA5, 0x55, ROW_ADDRESS, 0, 7]
_READ = ["reset", 0xA5, 0xF0, ROW_ADDRESS, 0]


@pytest.mark.parametrize("done", [0xAA, 0x55])
def test_a_copy_in_one_go_waits_10_05_ms_and_reads_back(monkeypatch: pytest.MonkeyPatch, done: int) -> None:
    clock, bus = Clock(), Bus(bytes((done,)) + ROW[:4])
    monkeypatch.setattr(chips, "time", clock)
    chips.Ds2431(bus).copy_now(ROW_ADDRESS, ROW[:4])
    assert clock.slept[1:] == [10_050] and bus.sent == [*_COPY, *_READ] and not bus.answer


def test_a_copy_that_is_not_done_or_reads_back_otherwise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chips, "time", Clock())
    for done in (0x00, 0xFF, 0xA9, 0xAB, 0x54, 0x56):
        bus = Bus(bytes((done,)) + ROW)
        with pytest.raises(chips.ChipError, match="copy not done"):
            chips.Ds2431(bus).copy_now(ROW_ADDRESS, ROW)
        assert bus.sent == _COPY
    for place in range(8):
        read = bytearray(ROW)
        read[place] ^= 1
        with pytest.raises(chips.ChipError, match="reads back otherwise"):
            chips.Ds2431(Bus(b"\xaa" + read)).copy_now(ROW_ADDRESS, ROW)
        with pytest.raises(chips.ChipError, match="reads back otherwise"):
            ended(chips.Ds2431(Bus(PREPARED + b"\xaa" + read)).write(ROW_ADDRESS, ROW))


def test_a_write_in_slices_rests_while_the_chip_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, bus = Clock(), Bus(PREPARED + b"\x55" + ROW)
    monkeypatch.setattr(chips, "time", clock)
    _, yielded = ended(chips.Ds2431(bus).write(ROW_ADDRESS, ROW))
    prepared = ["reset", 0xA5, *_SENT, "reset", 0xA5, 0xAA]
    assert bus.sent == [*prepared, *_COPY, *_READ] and not bus.answer
    assert yielded.count(True) == 10_050 // 50 - 1, "nothing to do for 10.05 ms"
    assert yielded.count(None) == len(yielded) - yielded.count(True) == 33 + 6 + 1 + 5 + 8
    with pytest.raises(chips.ChipError, match="copy not done"):
        ended(chips.Ds2431(Bus(PREPARED + b"\0" + ROW)).write(ROW_ADDRESS, ROW))


def test_a_check_sum_goes_on_from_another_one() -> None:
    whole = bytes(range(40))
    assert crc.crc16(whole[20:], 20, crc.crc16(whole, 20, 0)) == crc.crc16(whole, 40, 0)
    assert crc.crc16(whole, 0, 0x1234) == 0x1234 and crc.crc8(b"") == 0
