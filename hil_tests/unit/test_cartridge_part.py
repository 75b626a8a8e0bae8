"""Cartridge part: what is accepted, when, and for how long; nothing that was used before is accepted again."""

from __future__ import annotations

import itertools
from datetime import date
from typing import Any

import pytest
from support.cartridge_bench import KEY, Make, PowerCut, chip_of, faults, layout, states

from needlepen.emulator.ds2431 import DS2431

DAY_S = 86_400
USED, EXPIRED = states.BLOCK_CARTRIDGE_USED, states.BLOCK_CARTRIDGE_EXPIRED
ABSENT = states.BLOCK_CARTRIDGE_ABSENT
UNREADABLE, FOREIGN = states.BLOCK_CARTRIDGE_UNREADABLE, states.BLOCK_CARTRIDGE_FOREIGN


# ---------------------------------------------------------------------- reading
@pytest.mark.parametrize("needles", [12, 24, 36])
def test_a_fresh_cartridge_is_accepted_with_what_its_record_says(make: Make, needles: int) -> None:
    bench = make(chip_of(needles=needles, depth_limit_um=1200))
    assert bench.part.blockers == ABSENT
    begun_us = bench.now_us
    assert bench.decided() == 0 and bench.part.accepted
    assert (bench.part.needles, bench.part.depth_limit_um) == (needles, 1200)
    assert bench.part.minimum_rate_hz(1200) == layout.minimum_rate_hz(needles, 1200)
    print(f"accepted after {(bench.now_us - begun_us) / 1e3:.0f} ms, longest pass {bench.longest_poll_us} us")
    assert bench.now_us - begun_us < 500_000 and bench.longest_poll_us <= 4_000


def test_nothing_is_accepted_without_a_seated_contact(make: Make) -> None:
    bench = make(chip_of())
    bench.contact = 1
    for _ in range(400):
        bench.poll()
        assert bench.part.blockers == ABSENT and not bench.part.accepted
    assert bench.bus.bits == 0 and bench.part.needles == 0


def test_a_contact_that_bounces_is_not_read(make: Make) -> None:
    bench = make(chip_of())
    for k in range(100):
        bench.contact = k % 5 == 0
        bench.poll()
    assert bench.bus.bits == 0


def test_taking_the_cartridge_out_blocks_in_the_same_pass(make: Make) -> None:
    bench = make(chip_of())
    assert bench.decided() == 0
    bench.unseat()
    bench.poll()
    assert bench.part.blockers == ABSENT and bench.part.fault == faults.NONE
    assert bench.part.mark_used() is not None


@pytest.mark.parametrize(
    ("chip", "key", "clock_s", "blocker"),
    [
        (chip_of(key=bytes(32)), KEY, None, FOREIGN),
        (chip_of(), bytes(32), None, FOREIGN),
        (chip_of(), None, None, states.BLOCK_KEYS_MISSING),
        (DS2431(chip_of().rom), KEY, None, UNREADABLE),
        (DS2431(chip_of(2).rom, bytes(chip_of(1).memory)), KEY, None, FOREIGN),
        (chip_of(expiry=date(2026, 1, 31)), KEY, 9528 * DAY_S, EXPIRED),
    ],
    ids=["other key", "other pen's key", "no key", "blank", "copied to another chip", "past its date"],
)
def test_what_is_wrong_with_a_cartridge_blocks_the_start(
    make: Make, chip: DS2431, key: bytes | None, clock_s: int | None, blocker: int
) -> None:
    bench = make(chip, clock_s, key)
    assert bench.decided() == blocker and not bench.part.accepted
    assert bench.part.mark_used() is not None and (bench.part.reason or blocker == EXPIRED)
    for _ in range(600):
        bench.poll()
        assert bench.part.blockers == blocker, "it stays refused while it is read again"
    assert bytes(chip.memory[0x40:0x60]) == b"\xff" * 0x20, "a refused cartridge stays as it is"


def test_the_expiry_day_itself_is_allowed_and_an_unknown_date_too(make: Make) -> None:
    last_day = (date(2026, 1, 31) - date(2000, 1, 1)).days
    for clock_s in (None, last_day * DAY_S, (last_day + 1) * DAY_S - 1):
        assert make(chip_of(expiry=date(2026, 1, 31)), clock_s).decided() == 0
    assert make(chip_of(expiry=date(2026, 1, 31)), (last_day + 1) * DAY_S).decided() == EXPIRED


def test_a_chip_that_falls_silent_at_any_bit_of_the_reading_is_not_accepted(make: Make) -> None:
    whole = make(chip_of())
    assert whole.decided() == 0
    for bits in range(1, whole.bus.bits, 7):
        bench = make(chip_of())
        bench.bus.silent_after = bits
        assert bench.decided() == UNREADABLE, f"silent after {bits} bits"
        assert not bench.part.accepted


def test_an_unreadable_cartridge_is_read_again_when_its_contacts_have_recovered(make: Make) -> None:
    chip = chip_of()
    bench = make(chip)
    bench.unplug()
    assert bench.decided() == UNREADABLE
    bench.seat(chip)
    bench.rest(3000)
    assert bench.part.blockers == 0


def test_a_chip_that_dies_at_rest_is_noticed_before_the_next_start(make: Make) -> None:
    for in_session in (False, True):
        bench = make(chip_of())
        assert bench.decided() == 0
        if in_session:
            assert bench.part.mark_used() is None
        bench.unplug()
        bench.rest(3000)
        assert bench.part.blockers == UNREADABLE


# ---------------------------------------------------------------------- the mark
def test_the_mark_is_on_the_chip_when_the_start_is_allowed(make: Make) -> None:
    chip = chip_of()
    bench = make(chip, clock_s=9000 * DAY_S + 5)
    assert bench.decided() == 0
    assert bytes(chip.memory[0x40:0x60]) == b"\xff" * 0x20, "armed is not used"
    begun_us = bench.now_us
    assert bench.part.mark_used() is None
    print(f"mark_used {bench.now_us - begun_us} us")
    assert bytes(chip.memory[0x40:0x48]) == layout.mark_row(9000, b"\xbe\xef") and bench.part.marked
    bits = bench.bus.bits
    assert bench.part.mark_used() is None and bench.bus.bits == bits, "later presses cost nothing"


def test_a_date_that_comes_while_armed_is_in_the_mark(make: Make) -> None:
    chip = chip_of()
    bench = make(chip)
    assert bench.decided() == 0
    bench.clock_s = 9000 * DAY_S
    bench.rest(3000)
    assert bench.part.blockers == 0 and bench.part.mark_used() is None
    assert bytes(chip.memory[0x44:0x46]) == (9000).to_bytes(2, "little")


def _cut_times_us(begun_us: int, end_us: int) -> list[int]:
    """Every slot of the command and of the read-back, every 40 us of the copy, and just after the end."""
    return [*range(begun_us + 1, end_us, 40), end_us, end_us + 1, end_us + 1000]


@pytest.mark.parametrize(("torn", "seed"), [*itertools.product(["subset", "scrambled"], range(4))])
def test_a_power_cut_at_any_moment_never_leaves_a_used_cartridge_without_a_mark(
    make: Make, torn: str, seed: int
) -> None:
    """The motor turns only after mark_used() has returned None: then the cartridge is never accepted again."""
    timed = make(chip_of())
    assert timed.decided() == 0
    begun_us = timed.now_us
    assert timed.part.mark_used() is None
    seen = set()
    for cut_us in _cut_times_us(begun_us, timed.now_us):
        chip = chip_of(torn=torn, seed=seed)
        bench = make(chip)
        assert bench.decided() == 0 and bench.now_us == begun_us
        bench.cut_us = cut_us
        started = False
        try:
            started = bench.part.mark_used() is None
            bench.pass_us(10_000)  # the motor turns
        except PowerCut:
            pass
        bench.boot()
        verdict = bench.decided()
        assert verdict in (0, USED)
        assert not (started and verdict == 0), f"used and accepted again, cut at {cut_us - begun_us} us"
        seen.add((started, verdict))
    assert seen == {(False, 0), (False, USED), (True, USED)}, "the sweep met all three"


def test_a_chip_lost_at_any_bit_of_the_marking_is_refused_and_a_fault(make: Make) -> None:
    bench = make(chip_of())
    assert bench.decided() == 0
    reading = bench.bus.bits
    assert bench.part.mark_used() is None
    for bits in range(1, bench.bus.bits - reading + 2):  # two resets count as well
        case = make(chip_of())
        assert case.decided() == 0
        case.bus.silent_after = bits
        assert case.part.mark_used() is not None
        assert (case.part.blockers, case.part.fault) == (UNREADABLE, faults.CARTRIDGE_MARK)
        case.unseat()
        case.poll()
        assert (case.part.blockers, case.part.fault) == (ABSENT, faults.NONE), "another cartridge clears it"


def test_another_chip_on_the_bus_is_not_marked_in_place_of_the_one_that_was_read(make: Make) -> None:
    bench = make(chip_of(1))
    assert bench.decided() == 0
    other = chip_of(2)
    bench.unplug()
    bench.chip = other
    assert bench.part.mark_used() is not None and bench.part.fault == faults.CARTRIDGE_MARK
    assert bytes(other.memory[0x40:0x60]) == b"\xff" * 0x20


def test_a_chip_that_cannot_keep_the_mark_is_refused(make: Make) -> None:
    """Each bit of the mark in turn does not stay 0."""
    for place in range(32):
        chip = chip_of()
        bench = make(chip)
        assert bench.decided() == 0
        settle = chip.settle

        def stuck(t_ns: float, chip: DS2431 = chip, settle: Any = settle, place: int = place) -> None:
            settle(t_ns)
            if not chip.programming:
                chip.memory[0x40 + place // 8] |= 1 << place % 8

        chip.settle = stuck  # type: ignore[method-assign]
        assert bench.part.mark_used() is not None


@pytest.mark.parametrize("noise", [0.0005, 0.005, 0.05])
def test_noise_on_the_bus_never_makes_a_used_cartridge_fresh(make: Make, noise: float) -> None:
    for seed in range(60):
        chip = chip_of(seed=seed)
        chip.memory[0x40:0x48] = layout.mark_row(None, b"\1\2")
        bench = make(chip)
        bench.bus.noise = noise
        bench.bus.chance.seed(seed)
        for _ in range(3):
            assert bench.decided() in (USED, UNREADABLE, FOREIGN)


@pytest.mark.parametrize("noise", [0.0005, 0.005, 0.05])
def test_noise_while_marking_is_noticed_or_harmless(make: Make, noise: float) -> None:
    for seed in range(60):
        chip = chip_of(seed=seed)
        bench = make(chip)
        assert bench.decided() == 0
        bench.bus.noise = noise
        bench.bus.chance.seed(seed)
        if bench.part.mark_used() is None:
            assert bytes(chip.memory[0x40:0x44]) == bytes(4)
