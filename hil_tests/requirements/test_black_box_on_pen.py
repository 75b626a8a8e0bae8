"""SR-28: what led to a fault is on the pen afterwards, whatever ends the run, and the emulated pen can do it again."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.bench import MS, Pens, start
from support.forks import in_fork
from support.nights import mostly_nightly

from needlepen.black_box import BlackBox, decode, inference
from needlepen.black_box.replay import replay
from needlepen.emulator import injection
from needlepen.emulator.pen import EmulatedPen
from needlepen.firmware_modules import firmware_module
from needlepen.link.client import messages
from needlepen.link.operations import Operations

NUMBERS = firmware_module("pen.store.numbers")
NEEDLES, PROTRUSION_MM = 24, 1.0
BEFORE_S = (0.4, 0.7, 0.9)  # in air, on skin, at another rate
RATES_HZ = (100, 120)
PERIOD_S = 0.045  # between two samples: every second full pass
HOLE_S = 0.08  # a collection of garbage may come between
WINDOW_S = 0.35  # contact is judged in windows, which end with a sample
STORED_MS = 2_000
REPAIRED_S = 6  # by then a sensor that reads right again counts as sound
RING = (0x2004_0000, 84 * NUMBERS.BLACK_BOX_RECORD_BYTES)
STACK_END = 0x2004_2000
STACK_MARGIN_BYTES = 256


def _inject(text: str) -> Callable[[EmulatedPen], object]:
    return lambda pen: pen.faults.inject(injection.parse(text))


CAUSES: dict[str, tuple[str, Callable[[EmulatedPen], object]]] = {
    "overspeed": ("stick_bridge", _inject("bridge:short@0")),
    "watchdog reset": ("spin_cpu", lambda pen: pen.chip.spin_cpu()),
    "cartridge lost": ("remove_cartridge", lambda pen: pen.unseat_cartridge()),
    "overcurrent": ("short_winding", _inject("motor:short@0")),
    "external power": ("connect_charger", lambda pen: pen.set_vbus(True)),
}


def _treated(pen: EmulatedPen) -> None:
    """A run in air, on skin, then at another rate."""
    start(pen, RATES_HZ[0], settle_ms=1000 * BEFORE_S[0])
    pen.touch_skin(NEEDLES, PROTRUSION_MM)
    pen.run_for(1000 * BEFORE_S[1] * MS)
    pen.command(messages.SET_RATE, RATES_HZ[1])
    pen.run_for(1000 * BEFORE_S[2] * MS)


def _kept(pen: EmulatedPen) -> bytes | None:
    """The stored record, of a pen that has come to rest."""
    return Operations.read_black_box(pen)  # type: ignore[arg-type]  # its `command` is that of a pen on a port


def _after(pen: EmulatedPen, cause: Callable[[EmulatedPen], object]) -> bytes | None:
    _treated(pen)
    cause(pen)
    pen.run_for(300 * MS)
    pen.release()
    pen.run_for(300 * MS)
    pen.wait_state("safe")
    pen.run_for(STORED_MS * MS)
    return _kept(pen)


@pytest.mark.parametrize("fault", mostly_nightly(CAUSES, "overspeed", "watchdog reset"))
def test_what_led_to_a_fault_is_kept_and_comes_again(pens: Pens, runtime: Path, fault: str) -> None:
    """The watchdog's reset takes the program's memory, and not the black box."""
    likeliest, cause = CAUSES[fault]
    record = in_fork(_after, pens.ready(), cause)
    assert record is not None
    box = decode(record)
    assert box.fault == fault
    _is_the_run(box)
    tried = replay(box, most=1, runtime=runtime)
    last = tried[-1]
    print(
        f"{fault}: {len(box.samples)} samples of {box.seconds:.2f} s; with {last.cause} again: {last.fault}"
    )
    assert last.cause == likeliest and last.same and last.fault == fault, last.stopped_because


def _is_the_run(box: BlackBox) -> None:
    """Its times against those of the run that was emulated."""
    run = inference.run_of(box)
    assert inference.begin_is_known(box) and inference.first_rate_hz(box) == RATES_HZ[0]
    told = {each.what: each for each in inference.happenings(box)}
    end_s = inference.last_sound_s(box)
    assert end_s - told["rate"].time_s == pytest.approx(BEFORE_S[2], abs=2 * PERIOD_S)
    assert told["rate"].value == RATES_HZ[1]
    assert end_s - told["skin"].time_s == pytest.approx(BEFORE_S[1] + BEFORE_S[2], abs=WINDOW_S)
    steps_s = [after.time_s - before.time_s for before, after in itertools.pairwise(run)]
    assert max(steps_s[:-1]) <= HOLE_S and sum(steps_s) / len(steps_s) <= PERIOD_S, "no hole in it"


MEASURED: dict[str, tuple[str, float, Callable[[EmulatedPen], object]]] = {
    "battery empty": ("set_cell", 3.8, lambda pen: pen.electronics.set_cell(pen.now_ns, 2.9)),
    "underspeed": ("inject motor slow", 4.1, lambda pen: pen.electronics.set_drag(pen.now_ns, 4e-3)),
}


@pytest.mark.nightly
@pytest.mark.parametrize("fault", MEASURED)
def test_a_cause_that_the_box_has_measured_is_tried_first_and_fits(
    pens: Pens, runtime: Path, fault: str
) -> None:
    """How empty, how much too heavy: a usual value would do nothing to this run, or would not let it begin."""
    cause, cell_v, begin = MEASURED[fault]

    def run(pen: EmulatedPen) -> bytes | None:
        start(pen, 130, settle_ms=600)
        begin(pen)
        pen.run_for(1_500 * MS)
        pen.release()
        pen.run_for(STORED_MS * MS)
        return _kept(pen)

    record = in_fork(run, pens.ready(cell_v))
    assert record is not None and decode(record).fault == fault
    [tried] = replay(decode(record), most=1, runtime=runtime)
    assert tried.cause.startswith(cause) and tried.same, (tried.cause, tried.stopped_because)


def test_a_second_fault_takes_the_place_of_the_first(pens: Pens) -> None:
    """At rest, where a fault has one sample: the box goes on as soon as it is stored."""

    def run(pen: EmulatedPen) -> list[str]:
        found = []
        for cause in ("nose_temperature:open@0", "battery:open@0"):
            broken = injection.parse(cause)
            pen.faults.inject(broken)
            pen.wait_state("safe")
            pen.run_for(STORED_MS * MS)
            record = _kept(pen)
            found.append("none" if record is None else decode(record).fault)
            pen.faults.repair()
            tries = 0
            while pen.request(messages.ACKNOWLEDGE).refused and tries < REPAIRED_S:
                pen.run_for(1_000 * MS)
                tries += 1
            pen.wait_state("armed")
        return found

    assert in_fork(run, pens.ready()) == ["nose sensor", "battery sensor"]


def test_a_pen_without_a_fault_has_none(pens: Pens) -> None:
    assert in_fork(_kept, pens.ready()) is None


def test_the_emulated_pen_does_not_confirm_another_fault(pens: Pens, runtime: Path) -> None:
    """A test of the test: a black box that says what did not happen."""
    record = in_fork(_after, pens.ready(), CAUSES["external power"][1])
    assert record is not None
    wrong = dataclasses.replace(decode(record), fault="underspeed")
    tried = replay(wrong, most=1, runtime=runtime)
    print(f"tried {tried[-1].cause}: {tried[-1].fault}, {tried[-1].stopped_because}")
    assert tried[-1].same == (tried[-1].fault == "underspeed")


# ---------------------------------------------------------------------- whole or not at all
def _cut_while_it_is_stored(pen: EmulatedPen, operation: int) -> tuple[bool, bytes | None]:
    _treated(pen)
    pen.unseat_cartridge()
    pen.cut_power(at_flash_operation=operation)
    pen.run_for(300 * MS)
    pen.release()
    pen.run_for(STORED_MS * MS)
    was_cut = not pen.power.on
    if was_cut:
        pen.restore_power()
        pen.wait_state("idle")  # the cartridge is out
    return was_cut, _kept(pen)


@pytest.mark.parametrize("operation", mostly_nightly((2, 8, 14, 18, 19, 20, 21, 30), 19))
def test_a_power_cut_leaves_a_whole_record_or_none(pens: Pens, operation: int) -> None:
    was_cut, record = in_fork(_cut_while_it_is_stored, pens.ready(), operation)
    print(
        f"flash operation {operation}: {'cut' if was_cut else 'there was none'}, {'a' if record else 'no'} record"
    )
    assert was_cut or record is not None
    assert record is None or decode(record).fault == "cartridge lost"


# ---------------------------------------------------------------------- where it lies
def _reach(pen: EmulatedPen) -> int:
    """Bytes between the ring and what the program has ever written into its stack since the boot."""
    _treated(pen)
    pen.unseat_cartridge()
    pen.run_for(600 * MS)
    pen.release()
    pen.run_for(STORED_MS * MS)
    assert _kept(pen) is not None  # with the modules that are imported for it
    begin = RING[0] + RING[1]
    words = (pen.chip.mcu.read_uint32(at) for at in range(begin, STACK_END, 4))
    return 4 * next(place for place, word in enumerate(words) if word)


def test_the_stack_stays_away_from_the_ring(pens: Pens) -> None:
    """An emulated chip has zeros in its memory at power-on."""
    left_bytes = in_fork(_reach, pens.ready())
    print(f"between stack and ring: {left_bytes} bytes (limit {STACK_MARGIN_BYTES})")
    assert left_bytes >= STACK_MARGIN_BYTES


def test_heap_is_no_price_of_it(pens: Pens) -> None:
    """The ring is no object of the heap: reading and storing it leaves what there was."""

    def run(pen: EmulatedPen) -> list[Any]:
        free = [pen.command(messages.GET_STATISTICS)["heap_free_bytes"]]
        for _ in range(2):
            pen.unseat_cartridge()
            pen.run_for(200 * MS)
            _kept(pen)
            free.append(pen.command(messages.GET_STATISTICS)["heap_free_bytes"])
        return free

    free = in_fork(run, pens.ready())
    print(f"free: {free}")
    assert free[2] >= free[1] - 64, "nothing more is kept by a second reading"
