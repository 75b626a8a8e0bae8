"""SR-28 on the whole pen: nothing written while the motor turns, faults stored in time, power cuts lose little."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import indent
from typing import Any

import pytest
from support.bench import MS, RATES_HZ, Pens, braked_ns, press, start
from support.flash import pen_log
from support.forks import Forks, in_fork
from support.measuring import Measure
from support.nights import mostly_nightly

from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages
from needlepen.records.log import LoggedEvent, gaps

CUTS = 16
SEED = 4_711


def _watched(pen: EmulatedPen) -> list[tuple[int, str, bool]]:
    """(time, operation, whether the motor turned or had permission) of each flash operation from now on."""
    seen: list[tuple[int, str, bool]] = []

    def operation(t_ns: int, kind: str, _address: int, _length: int) -> None:
        turning = pen.physics.peek(t_ns).omega_rad_s != 0.0
        permitted = pen.chip.output(pen.board.gpio("RUN_N")) == 0
        seen.append((t_ns, kind, turning or permitted))

    pen.chip.on_flash_write(operation)
    return seen


def _run(pen: EmulatedPen, rate_hz: int) -> None:
    """A run in which there is much to tell: skin, another rate, an unknown request; then its record is due."""
    start(pen, rate_hz, needles=12 if rate_hz > 60 else 0)
    pen.request(messages.SET_RATE, min(rate_hz + 10, 150))
    pen.request(messages.SET_RATE, 1)
    pen.run_for(400 * MS)
    pen.lift()
    pen.release()
    pen.run_for(2_000 * MS)


@pytest.mark.parametrize("rate_hz", mostly_nightly(RATES_HZ, 150))
def test_nothing_is_written_to_flash_while_the_motor_turns(pens: Pens, rate_hz: int) -> None:
    def case(pen: EmulatedPen) -> tuple[list[tuple[int, str, bool]], list[str]]:
        seen = _watched(pen)
        for _ in range(3):
            _run(pen, rate_hz)
        return seen, [e.name for e in pen_log(pen)]

    seen, names = in_fork(case, pens.ready())
    assert seen and not [operation for operation in seen if operation[2]]
    assert names.count("RUN_ENDED") == 3, "each run left its record"


WATCH = "        return self._files.may_write\n\n    def flush"
WRITE = {
    "files": """\
try:
    open("/evil", "w").close()
except OSError:
    pass
""",
    "rp2.Flash": """\
import rp2
rp2.Flash().writeblocks(340, bytes(256), 0)
""",
}


def _writing(pens: Pens, how: str) -> Any:
    """Firmware that writes in each pass while the drive is awake."""
    name = "writes_" + how.replace(".", "_")
    return pens.variant(name, {"pen/store/store.py": (WATCH, indent(WRITE[how], " " * 8) + WATCH)})


def test_a_module_that_writes_files_during_a_run_is_stopped_and_told_of(pens: Pens) -> None:
    def case(pen: EmulatedPen) -> tuple[list[tuple[int, str, bool]], list[LoggedEvent]]:
        seen = _watched(pen)
        _run(pen, 100)
        return seen, pen_log(pen)

    seen, events = in_fork(case, pens.ready(firmware=_writing(pens, "files")))
    assert not [operation for operation in seen if operation[2]]
    assert {"WRITE_BLOCKED", "RUN_ENDED"} <= {e.name for e in events}
    assert max(e.values[0] for e in events if e.name == "WRITE_BLOCKED") > 10, "one in each pass of the run"


def test_a_write_past_the_guard_is_noticed(pens: Pens) -> None:
    """A test of the test: rp2.Flash used directly programs the flash under a turning motor."""

    def case(pen: EmulatedPen) -> list[tuple[int, str, bool]]:
        seen = _watched(pen)
        press(pen, 100)
        pen.run_for(500 * MS)
        return seen

    assert [
        operation
        for operation in in_fork(case, pens.ready(firmware=_writing(pens, "rp2.Flash")))
        if operation[2]
    ]


CAUSES: dict[str, Callable[[EmulatedPen], None]] = {
    "jam": lambda pen: pen.electronics.jam(pen.now_ns, True),
    "winding short": lambda pen: pen.electronics.short_winding(pen.now_ns, True),
}


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("cause", CAUSES)
def test_a_fault_is_stored_within_500_ms_of_the_safe_state(
    pens: Pens, measure: Measure, cause: str, rate_hz: int
) -> None:
    """Counted from the instant at which the bridge is braked for good."""

    def case(pen: EmulatedPen) -> tuple[float, LoggedEvent]:
        start(pen, rate_hz)
        cause_ns = float(pen.now_ns)
        CAUSES[cause](pen)
        stored = pen.run_until(lambda: _last(pen).name == "FAULT", 3_000 * MS, 5 * MS)
        assert stored, [e.text for e in pen_log(pen)]
        stored_ns = pen.now_ns
        pen.run_for(20 * MS)
        return (stored_ns - cause_ns - braked_ns(pen, cause_ns)) / MS, _last(pen)

    took_ms, event = in_fork(case, pens.ready())
    measure("SR-28", "store_ms", took_ms, f"{cause} at {rate_hz} Hz")
    assert ("stall" in event.text or "overcurrent" in event.text) and "strokes" in event.text


def _last(pen: EmulatedPen) -> LoggedEvent:
    return pen_log(pen)[-1]


def _cut_in_run(pen: EmulatedPen, at_ms: float) -> tuple[list[LoggedEvent], list[LoggedEvent]]:
    """A run that a jam ends; the power goes at some time after the press. The log before, and after the boot."""
    before = pen_log(pen)
    begun_ns = press(pen, 100)
    pen.cut_power(at_ns=begun_ns + at_ms * MS)
    pen.run_for(min(at_ms, 300) * MS)
    pen.electronics.jam(pen.now_ns, True)
    assert pen.run_until(lambda: not pen.power.on, 2_000 * MS)
    pen.release()
    pen.electronics.jam(pen.now_ns, False)
    pen.run_for(300 * MS)
    pen.restore_power()
    pen.connect()
    pen.run_for(2_500 * MS)  # armed again, or idle: a cartridge that was marked is used up
    return before, pen_log(pen)


@pytest.mark.parametrize("cuts", mostly_nightly([CUTS // 4, CUTS], CUTS // 4))
def test_a_power_cut_at_any_time_of_a_run_loses_at_most_its_record(
    pens: Pens, measure: Measure, cuts: int
) -> None:
    """The press, the run, the fault and its writing: the log before stays, the gap shows at the boot."""
    times_ms = [20.0 + 660.0 * k / (cuts - 1) for k in range(cuts)]

    def sweep(pen: EmulatedPen) -> list[Any]:
        pen.run_for(2_000 * MS)
        with Forks() as forks:
            for at_ms in times_ms:
                forks.start(_cut_in_run, pen, at_ms)
            return forks.results()

    lost = {}
    for at_ms, (before, after) in zip(times_ms, in_fork(sweep, pens.ready(), timeout_s=250), strict=True):
        numbers = {e.sequence for e in after}
        assert {e.sequence for e in before} <= numbers, f"{at_ms} ms: stored events are gone"
        boots = [e for e in after if e.name == "BOOT"]
        stored = [e for e in after if e.name == "FAULT"]
        known = len(boots) == 2 and (boots[-1].values[1] == 1 or stored)
        assert known, f"{at_ms} ms: the boot does not know of the run"
        assert all(g.at_boot for g in gaps(after)) and gaps(after)
        lost[f"{at_ms:.0f} ms"] = 0.0 if stored else 1.0
    measure.worst("SR-28", "lost_records", lost, "power cut during a run and its end")
    assert min(lost.values()) == 0.0, "the last cuts come after the fault was stored"


def test_each_cartridge_that_the_pen_is_armed_with_is_in_the_log_once(pens: Pens) -> None:
    def rest(pen: EmulatedPen) -> None:
        """The note is made alone, in the first pass in which no other event waits to be stored."""
        pen.run_for(2_000 * MS)

    def run(pen: EmulatedPen) -> tuple[list[str], list[str]]:
        rest(pen)
        first = pen.unseat_cartridge()
        pen.wait_state("idle")
        pen.seat_cartridge(first)
        pen.wait_state("armed")
        rest(pen)
        pen.unseat_cartridge()
        pen.wait_state("idle")
        second = pen.seat_cartridge()
        pen.wait_state("armed")
        rest(pen)
        assert first is not None
        logged = [e.text.rsplit(" ", 1)[-1] for e in pen_log(pen) if e.name == "CARTRIDGE_ACCEPTED"]
        return [first.chip.rom.hex(), second.chip.rom.hex()], logged

    expected, logged = in_fork(run, pens.ready())
    assert logged == expected
