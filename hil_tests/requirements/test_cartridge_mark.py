"""SR-15: the used mark is on the chip before the first motor pulse, whenever the power goes."""

from __future__ import annotations

from typing import Any

import pytest
from support.bench import MS, US, Pens, never_driven, press, standstill_ns
from support.forks import each_in_fork, in_fork
from support.monitoring import state, status
from support.nights import mostly_nightly

from needlepen.cartridges.records import Description, describe
from needlepen.emulator.pen import EmulatedPen
from needlepen.records.making import development_cartridge_key

MARK = slice(0x40, 0x44)
STEP_US = 250.0
FINE_STEPS = 64


def _seen(pen: EmulatedPen) -> Description:
    """What any pen would say of the seated cartridge now."""
    assert pen.socket.cartridge is not None
    chip = pen.socket.cartridge.chip
    chip.settle(pen.now_ns)
    return describe(bytes(chip.memory), chip.rom, development_cartridge_key())


def _driven(pen: EmulatedPen, since_ns: float) -> bool:
    return not never_driven(pen, since_ns)


def _to_first_drive(pen: EmulatedPen) -> tuple[float, float]:
    """Press the trigger; the device times in ns of the copy's end and of the first instant of drive."""
    pressed_ns = press(pen, 100)
    assert pen.socket.cartridge is not None
    chip = pen.socket.cartridge.chip
    assert pen.run_until(lambda: bytes(chip.memory[MARK]) == bytes(4), 300 * MS, 20 * US)
    marked_ns = float(pen.now_ns)
    assert pen.run_until(lambda: _driven(pen, pressed_ns), 300 * MS, 20 * US)
    return marked_ns, float(pen.now_ns)


def test_the_mark_is_written_and_read_back_before_the_first_drive(pens: Pens) -> None:
    def run() -> tuple[float, float, int, int]:
        pen = pens.ready()
        assert pen.socket.slave is not None
        before = pen.socket.slave.resets
        marked_ns, driven_ns = _to_first_drive(pen)
        return marked_ns, driven_ns, pen.socket.slave.resets - before, len(pen.socket.slave.violations)

    marked_ns, driven_ns, resets, violations = in_fork(run)
    print(f"drive {(driven_ns - marked_ns) / MS:.2f} ms after the mark is on the chip")
    assert driven_ns > marked_ns and resets >= 2 and violations == 0


def _cut(pen: EmulatedPen, at_ns: float) -> tuple[bool, str, bool]:
    """The power goes: was the motor driven by then, what is the cartridge, was its copy torn."""
    begun_ns = pen.now_ns
    pen.run_for(at_ns - begun_ns)
    pen.cut_power()
    assert pen.socket.cartridge is not None
    return _driven(pen, begun_ns), _seen(pen).verdict, pen.socket.cartridge.chip.torn_copies > 0


def _sweep(pen: EmulatedPen, coarser: int) -> list[tuple[bool, str, bool]]:
    """A cut each 0.25 ms from the press to 5 ms after the first drive, and each slot around the end of the copy.

    `coarser`: only every so many of them.
    """
    press(pen, 100)
    marked_ns, driven_ns = in_fork(_times_from_press, pen)
    times = [
        pen.now_ns + k * STEP_US * US for k in range(int((driven_ns + 5 * MS - pen.now_ns) / (STEP_US * US)))
    ]
    times += [marked_ns + (k - FINE_STEPS // 2) * 20 * US for k in range(FINE_STEPS)]
    return each_in_fork(pen, _cut, sorted(times)[::coarser])


def _times_from_press(pen: EmulatedPen) -> tuple[float, float]:
    begun_ns = pen.now_ns
    assert pen.socket.cartridge is not None
    chip = pen.socket.cartridge.chip
    assert pen.run_until(lambda: bytes(chip.memory[MARK]) == bytes(4), 300 * MS, 20 * US)
    marked_ns = float(pen.now_ns)
    assert pen.run_until(lambda: _driven(pen, begun_ns), 300 * MS, 20 * US)
    return marked_ns, float(pen.now_ns)


@pytest.mark.parametrize(("seed", "coarser"), mostly_nightly([(0, 4), (0, 1), (1, 1)], (0, 4)))
def test_no_power_cut_leaves_a_used_cartridge_without_a_mark(pens: Pens, seed: int, coarser: int) -> None:
    outcomes = in_fork(_sweep, pens.ready(seed=seed), coarser, timeout_s=600)
    print({outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))})
    for driven, verdict, _ in outcomes:
        assert verdict in ("fresh", "used") and not (driven and verdict == "fresh")
    assert any(driven for driven, _, _ in outcomes) and any(torn for _, _, torn in outcomes)
    assert any(verdict == "fresh" for _, verdict, _ in outcomes), "the sweep began before the mark"


@pytest.mark.parametrize("after_ms", [30.0, 100.0, 1000.0])
def test_a_cartridge_that_was_used_before_the_power_went_is_refused_afterwards(
    pens: Pens, after_ms: float
) -> None:
    def run(pen: EmulatedPen) -> tuple[bool, bool, tuple[str, ...], bool]:
        pressed_ns = press(pen, 100)
        pen.run_until(lambda: _driven(pen, pressed_ns), 300 * MS, 100 * US)
        pen.run_for(after_ms * MS)
        driven = _driven(pen, pressed_ns)
        pen.release()
        pen.cut_power()
        pen.run_for(100 * MS)
        pen.restore_power()
        pen.connect()
        pen.wait_state("idle", 10_000 * MS)
        pen.run_for(3_000 * MS)
        again_ns = pen.now_ns
        press(pen, 100)
        pen.run_for(500 * MS)
        return driven, never_driven(pen, again_ns), status(pen).blockers, state(pen) == "idle"

    driven, still, blockers, idle = in_fork(run, pens.ready())
    assert driven and still and idle and "cartridge_used" in blockers


def test_a_mark_that_does_not_stick_is_a_fault_and_no_start(pens: Pens) -> None:
    """The chip is lost from the bus at moments between the press and the drive."""

    def lose(pen: EmulatedPen, at_ns: float) -> tuple[bool, bool, str]:
        begun_ns = pen.now_ns
        pen.run_for(at_ns - begun_ns)
        pen.socket.bus_fault("open")
        pen.run_for(400 * MS)
        telemetry = pen.telemetry
        assert telemetry is not None
        return _driven(pen, begun_ns), _seen(pen).verdict == "fresh", telemetry.fault

    def run(pen: EmulatedPen) -> list[tuple[bool, bool, str]]:
        press(pen, 100)
        marked_ns, driven_ns = in_fork(_times_from_press, pen)
        begun_ns = marked_ns - 14 * MS
        return each_in_fork(pen, lose, [begun_ns + k / 24 * (driven_ns - begun_ns) for k in range(25)])

    outcomes = in_fork(run, pens.ready(), timeout_s=300)
    assert any(fault == "cartridge mark" for _, _, fault in outcomes)
    for driven, fresh, _ in outcomes:
        assert not (driven and fresh)


def test_a_second_press_writes_nothing_and_minutes_wait_for_standstill(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> dict[str, Any]:
        assert pen.socket.slave is not None and pen.socket.cartridge is not None
        chip, slave = pen.socket.cartridge.chip, pen.socket.slave
        pressed_ns = press(pen, 100)
        pen.run_until(lambda: _driven(pen, pressed_ns), 300 * MS, 100 * US)
        resets, copies = slave.resets, chip.copies
        pen.run_for(1_000 * MS)
        quiet = slave.resets == resets
        pen.release()
        released_ns = float(pen.now_ns)
        pen.run_until(lambda: chip.copies > copies, 3_000 * MS, 100 * US)
        still = standstill_ns(pen, released_ns) < pen.now_ns - released_ns
        pen.run_for(1_000 * MS)
        seen, copies = _seen(pen), chip.copies
        again_ns = pen.now_ns
        pen.press()
        pen.run_for(400 * MS)
        return {
            "quiet": quiet,
            "still": still,
            "minutes": seen.minutes_of_use,
            "again": _driven(pen, again_ns),
            "copies": chip.copies - copies,
        }

    assert in_fork(run, pens.ready()) == {
        "quiet": True,
        "still": True,
        "minutes": 1,
        "again": True,
        "copies": 0,
    }


def test_the_same_cartridge_may_be_seated_again_in_its_session_and_after_another_one_not(pens: Pens) -> None:
    def use(pen: EmulatedPen) -> tuple[bool, tuple[str, ...]]:
        pen.run_for(3_000 * MS)
        begun_ns = pen.now_ns
        press(pen, 100)
        pen.run_for(400 * MS)
        driven = _driven(pen, begun_ns)
        blockers = status(pen).blockers
        pen.release()
        pen.run_for(1_500 * MS)
        return driven, blockers

    def run(pen: EmulatedPen) -> list[tuple[bool, tuple[str, ...]]]:
        first = use(pen)
        cartridge = pen.unseat_cartridge()
        pen.run_for(500 * MS)
        pen.seat_cartridge(cartridge)
        again = use(pen)
        pen.unseat_cartridge()
        pen.run_for(500 * MS)
        pen.seat_cartridge()
        other = use(pen)
        pen.unseat_cartridge()
        pen.run_for(500 * MS)
        pen.seat_cartridge(cartridge)
        return [first, again, other, use(pen)]

    first, again, other, back = in_fork(run, pens.ready())
    assert first == again == other == (True, ())
    assert back == (False, ("cartridge_used",))
