"""SR-14, SR-16, SR-24: no start without a seated, readable, authentic cartridge, nor below the rate that it needs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from support.bench import LIMIT, MS, Pens, never_driven, press
from support.forks import each_in_fork, in_fork
from support.measuring import Measure
from support.monitoring import fault, state, status, until

from needlepen.cartridges.emulated import emulated_cartridge
from needlepen.emulator.cartridge_socket import Cartridge
from needlepen.emulator.ds2431 import DS2431
from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages

READ_MS = 1_800  # what is refused is read twice, 0.7 s each
RATE_STEP_HZ = int(LIMIT("PR-01", "rate_step_hz"))
RATES_HZ = (50, 55, 60, 75, 80, 95, 100, 150)  # the ends, and what can be set around each limit of SR-24
Change = Callable[[EmulatedPen], object]


def _read(pen: EmulatedPen) -> None:
    """Let the pen notice what is in the socket, and read on to its verdict."""
    pen.run_for(READ_MS * MS)
    assert until(pen, lambda: "cartridge_reading" not in status(pen).blockers, READ_MS) < READ_MS


def _seat(cartridge: Cartridge) -> Change:
    return lambda pen: pen.seat_cartridge(cartridge)


def _with(memory: dict[int, int]) -> Change:
    """A genuine cartridge with some bytes of its chip changed."""
    cartridge = emulated_cartridge(serial=77)
    for place, value in memory.items():
        cartridge.chip.memory[place] = value
    return _seat(cartridge)


def _copy() -> Change:
    """The whole memory of a genuine cartridge on another chip."""
    original = emulated_cartridge(serial=77).chip
    return _seat(Cartridge(DS2431(emulated_cartridge(serial=78).chip.rom, bytes(original.memory)), 24))


def _on_a_bus(fault: str) -> Change:
    def seat(pen: EmulatedPen) -> None:
        pen.socket.bus_fault(fault)  # type: ignore[arg-type]
        pen.seat_cartridge()

    return seat


WRONG: dict[str, tuple[str, Change]] = {
    "none": ("cartridge_absent", lambda pen: None),
    "contact closed, no chip": ("cartridge_unreadable", lambda pen: pen.socket.contact(True)),
    "bus cut": ("cartridge_unreadable", _on_a_bus("open")),
    "bus shorted": ("cartridge_unreadable", _on_a_bus("short")),
    "blank chip": ("cartridge_unreadable", _seat(Cartridge(DS2431(emulated_cartridge().chip.rom), 24))),
    "damaged record": ("cartridge_unreadable", _with({5: 0x10})),
    "unlocked memory": ("cartridge_foreign", _with({0x82: 0x00})),
    "record of another chip": ("cartridge_foreign", _copy()),
    "signed with another key": ("cartridge_foreign", _seat(emulated_cartridge(key=bytes(range(32))))),
    "used elsewhere": ("cartridge_used", _with({0x40: 0, 0x41: 0, 0x42: 0, 0x43: 0})),
    "torn mark": ("cartridge_used", _with({0x43: 0xDF})),
    "minutes without mark": ("cartridge_used", _with({0x48: 0xFE})),
}


def _try(pen: EmulatedPen, change: Change) -> dict[str, Any]:
    """Another cartridge, a press, the first one back, a press."""
    first = pen.unseat_cartridge()
    pen.run_for(100 * MS)
    change(pen)
    _read(pen)
    before = pen.now_ns
    press(pen, 100)
    pen.run_for(500 * MS)
    seen = {
        "blockers": status(pen).blockers,
        "still": never_driven(pen, before),
        "state": state(pen),
        "fault": fault(pen),
    }
    pen.release()
    pen.socket.contact(False)
    pen.unseat_cartridge()
    pen.socket.bus_fault(None)
    pen.run_for(100 * MS)
    pen.seat_cartridge(first)
    _read(pen)
    before = pen.now_ns
    press(pen, 100)
    pen.run_for(300 * MS)
    return seen | {"then_runs": not never_driven(pen, before)}


@pytest.mark.parametrize("what", WRONG)
def test_a_cartridge_that_is_not_right_blocks_the_start_and_a_right_one_allows_it(
    pens: Pens, what: str
) -> None:
    blocker, change = WRONG[what]
    seen = in_fork(_try, pens.ready(), change)
    assert seen["still"] and blocker in seen["blockers"], seen
    assert (seen["state"], seen["fault"]) == ("idle", "none"), "a refused start is no fault"
    assert seen["then_runs"]


def test_a_press_while_the_cartridge_is_read_does_not_start(pens: Pens) -> None:
    """At each 50 ms of the reading; the trigger was up long enough, and stays pressed for 200 ms."""

    def early(pen: EmulatedPen, ms: int) -> tuple[bool, tuple[str, ...]]:
        pen.run_for(ms * MS)
        blockers = status(pen).blockers
        before = pen.now_ns
        pen.press()
        pen.run_for(1 * MS)
        accepted = not status(pen).blockers
        pen.run_for(60 * MS)
        return never_driven(pen, before) or accepted, blockers

    def run(pen: EmulatedPen) -> list[tuple[bool, tuple[str, ...]]]:
        pen.unseat_cartridge()
        pen.run_for(1_000 * MS)
        pen.seat_cartridge()
        return each_in_fork(pen, early, range(0, 400, 50))

    for still, blockers in in_fork(run, pens.ready()):
        assert still and blockers


def test_an_expired_cartridge_is_refused_once_the_pen_knows_the_date(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> list[tuple[str, ...]]:
        pen.unseat_cartridge()
        pen.run_for(100 * MS)
        pen.seat_cartridge(emulated_cartridge(serial=9, expiry=date(2026, 1, 31)))
        _read(pen)
        said = [status(pen).blockers]
        for day in (date(2026, 1, 31), date(2026, 2, 1)):
            pen.command(messages.SET_TIME, (day - date(2000, 1, 1)).days * 86_400 + 3600)
            _read(pen)
            said.append(status(pen).blockers)
        return said

    unknown, last_day, day_after = in_fork(run, pens.ready())
    assert unknown == last_day == () and day_after == ("cartridge_expired",)


# ---------------------------------------------------------------------- SR-24
def _start_at(pen: EmulatedPen, rate_hz: int) -> bool:
    before = pen.now_ns
    press(pen, rate_hz)
    pen.run_for(300 * MS)
    driven = not never_driven(pen, before)
    assert driven or status(pen).blockers == ("rate_too_low",)
    return driven


@pytest.mark.parametrize("needles", [12, 24, 36])
def test_a_start_below_the_rate_that_the_cartridge_needs_is_refused(
    pens: Pens, measure: Measure, needles: int
) -> None:
    """At 1.50 mm."""

    def run(pen: EmulatedPen) -> list[bool]:
        pen.unseat_cartridge()
        pen.run_for(100 * MS)
        pen.seat_cartridge(emulated_cartridge(needles, serial=5))
        _read(pen)
        pen.command(messages.SET_DEPTH, 1500)
        pen.run_for(1_000 * MS)
        return each_in_fork(pen, _start_at, RATES_HZ)

    driven = dict(zip(RATES_HZ, in_fork(run, pens.ready()), strict=True))
    name = f"rate_{needles}_needles_hz"
    lowest_hz = min(rate for rate, runs in driven.items() if runs)
    measure("SR-24", name, lowest_hz, "lowest rate that starts at 1.50 mm", relation=">=")
    assert lowest_hz - RATE_STEP_HZ < float(LIMIT("SR-24", name)), "and no rate above the limit is refused"
    assert all(runs == (rate >= lowest_hz) for rate, runs in driven.items())
