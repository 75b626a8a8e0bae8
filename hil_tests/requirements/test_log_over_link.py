"""SR-28: reading a full log over the link: no answer takes long, and none while the motor runs."""

from __future__ import annotations

from statistics import median
from typing import Any

import pytest
from support.bench import MS, Pens, press
from support.flash import FLASH, RecordedFlash, settle, store
from support.forks import in_fork
from support.monitoring import state

from needlepen import board
from needlepen.emulator.factory_image import unique_id
from needlepen.emulator.pen import EmulatedPen
from needlepen.firmware_modules import firmware_module
from needlepen.link.client import messages

E = firmware_module("pen.events")
LOOP_LIMIT_MS = 100  # pen.control: a main loop that is away longer ends a run
EVENTS = 2_200


@pytest.fixture(scope="module")
def full(pens: Pens) -> EmulatedPen:
    """A pen whose log is full."""
    new = pens.new()
    begin = FLASH.filesystem_offset
    flash = RecordedFlash(bytes(new.chip.mcu.flash[begin : begin + FLASH.filesystem_bytes]))
    filled = store(flash, unique_id(0))
    for number in range(EVENTS):
        filled.log.add(E.RATE_SET, 100, 1)
        if number % 30 == 29:
            settle(filled, 5)
    settle(filled)
    pen = EmulatedPen(board.load(), pens._runtime, bytes(flash.buffer))
    pen.power_up()
    return pen


def _answer_ms(pen: EmulatedPen, number: int) -> tuple[float, dict[str, Any]]:
    begun_ns = pen.now_ns
    fields = pen.command(messages.READ_LOG, number)
    return (pen.now_ns - begun_ns) / MS, fields


def test_no_answer_takes_long(full: EmulatedPen) -> None:
    """Seen by the host, so with the way there and back: an upper limit of the pass that gives the answer."""

    def run(pen: EmulatedPen) -> tuple[list[float], list[float]]:
        jumps, following = [], []
        for number in (0, 2_150, 1_000, 500, 1_999, 300):
            took_ms, fields = _answer_ms(pen, number)
            jumps.append(took_ms)
            for _ in range(5):
                took_ms, fields = _answer_ms(pen, fields["next_sequence"])
                assert fields["count"] == 2
                following.append(took_ms)
        return jumps, following

    jumps, following = in_fork(run, full)
    print(
        f"an answer of a full log: {max(jumps):.1f} ms at most after a jump, {median(following):.1f} ms median after "
        f"the one before (the main loop may be away for {LOOP_LIMIT_MS} ms)"
    )
    assert max(jumps) < 0.8 * LOOP_LIMIT_MS and median(following) < 30


def test_the_log_is_not_read_while_the_motor_runs(full: EmulatedPen) -> None:
    def run(pen: EmulatedPen) -> tuple[str | None, str, str | None]:
        press(pen, 100)
        pen.run_for(400 * MS)
        refused = pen.request(messages.READ_LOG, 0).refused
        pen.run_for(200 * MS)
        running = state(pen)
        pen.release()
        pen.run_for(1_000 * MS)
        return refused, running, pen.request(messages.READ_LOG, 0).refused

    assert in_fork(run, full) == ("not while the motor runs", "running", None)
