"""SR-25: no way leads into the REPL of a production build but an engineer's unlock; exceptions restart the pen."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from support.access import EVERYTHING, PROMPTS, S, ask, console, production, ready, restart, take
from support.bench import MS, Pens, never_driven, start
from support.flash import pen_log
from support.forks import in_fork
from support.monitoring import fault, state

from needlepen.access import Role
from needlepen.emulator.pen import EmulatedPen
from needlepen.emulator.server import Server, Terminal
from needlepen.link.client import messages

EVERY_MS = 5
STOPPED = b"pen stopped, its port is the REPL"


def _prompts(seen: bytes | bytearray) -> list[bytes]:
    return [prompt for prompt in PROMPTS if prompt in seen]


@pytest.mark.parametrize("offset_ms", [0.0, 2.5])
def test_no_byte_at_any_time_of_the_boot_leads_to_the_repl(pens: Pens, offset_ms: float) -> None:
    def run() -> tuple[list[bytes], str]:
        pen = production(pens)
        seen = console(pen)
        pen.run_for(offset_ms * MS)
        while pen.now_ns < 2.6 * S:
            pen.chip.console.write(EVERYTHING if pen.now_ns % (20 * MS) < EVERY_MS * MS else b"\x03\x04\x01")
            pen.run_for(EVERY_MS * MS)
        pen.chip.console.write(b"\n")
        pen.power_up()
        return _prompts(seen), state(pen)

    assert in_fork(run) == ([], "armed")


def _shower(pen: EmulatedPen, ms: float) -> bytearray:
    seen = console(pen)
    end_ns = pen.now_ns + ms * MS
    while pen.now_ns < end_ns:
        pen.chip.console.write(b"\x03\x04\x01")
        pen.run_for(EVERY_MS * MS)
    pen.chip.console.write(EVERYTHING + b"\n")
    pen.run_for(100 * MS)
    return seen


def test_no_byte_leads_to_the_repl_while_it_runs_or_rests(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> list[Any]:
        told = [_prompts(_shower(pen, 400)), state(pen)]
        take(pen, Role.OPERATOR)
        start(pen, 100)
        return [*told, _prompts(_shower(pen, 400)), state(pen), fault(pen)]

    assert in_fork(run, ready(pens)) == [[], "armed", [], "running", "none"]


def test_in_a_development_build_the_same_bytes_do_lead_there(pens: Pens) -> None:
    """A test of the tests above."""

    def run(pen: EmulatedPen) -> list[bytes]:
        seen = _shower(pen, 100)
        for _ in range(5):  # the shower ends in a soft reset; loader and imports may swallow a Ctrl-C
            pen.run_for(500 * MS)
            pen.chip.console.write(EVERYTHING + b"\n")
        pen.run_for(100 * MS)
        return _prompts(seen)

    assert {b">>>", b"raw REPL"} & set(in_fork(run, pens.ready()))


def _broken(pens: Pens) -> Path:
    line = "        self._port.answer(COUNTERS,"
    return pens.variant("broken", {"pen/host.py": (line, f"        raise ValueError\n{line}")})


@pytest.mark.parametrize("running", [False, True], ids=["at rest", "in a run"])
def test_an_unexpected_exception_restarts_the_pen_which_says_so(pens: Pens, running: bool) -> None:
    def run(pen: EmulatedPen) -> tuple[list[bytes], tuple[str, str]]:
        seen = console(pen)
        if running:
            take(pen, Role.OPERATOR)
            start(pen, 100)
        pen.link.request(messages.GET_COUNTERS)
        assert pen.run_until(lambda: pen.telemetry is None, 2 * S), "no restart"
        assert pen.physics.peek(pen.now_ns).rate_hz < 1, "the motor turns"
        pen.connect()
        pen.run_for(3 * S)
        return _prompts(seen), (state(pen), fault(pen))

    prompts, told = in_fork(run, ready(pens, _broken(pens)))
    assert prompts == [] and told == ("safe", "watchdog reset")


def test_a_program_that_cannot_even_begin_restarts_over_and_over(pens: Pens) -> None:
    firmware = pens.variant(
        "no_begin", {"pen/app.py": ("class App:\n", "raise ValueError\n\n\nclass App:\n")}
    )

    def run() -> tuple[list[bytes], int]:
        pen = production(pens, firmware)
        seen, resets = console(pen), []
        pen.chip.on_reset(lambda t_ns, _cause: resets.append(t_ns))
        while pen.now_ns < 4 * S:
            pen.chip.console.write(b"\x03\x04\x01")
            pen.run_for(20 * MS)
        return _prompts(seen), len(resets)

    prompts, resets = in_fork(run)
    assert prompts == [] and resets >= 2


# ---------------------------------------------------------------------- opened by an engineer
def _opened(pen: EmulatedPen) -> bytearray:
    take(pen, Role.ENGINEER)
    seen = console(pen)
    pen.command(messages.OPEN_REPL)
    assert pen.run_until(lambda: b">>> " in seen, 2 * S)
    return seen


def test_an_engineer_gets_the_repl_of_a_pen_at_rest_until_its_reset(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[Any, ...]:
        said = bytes(_opened(pen))
        opened_ns = float(pen.now_ns)
        seen = console(pen)
        pen.chip.console.write(b"\x03print(6 * 7)\r")  # the host confirms the last answer there
        computed = pen.run_until(lambda: b"\r\n42\r\n>>> " in seen, 1 * S)
        pen.press()
        pen.run_for(1 * S)
        lines = pen.chip.output(pen.board.gpio("RUN_N")) != 0, never_driven(pen, opened_ns)
        pen.release()
        restart(pen, "run_pin")
        pen.run_for(3 * S)
        return STOPPED in said, computed, lines, _prompts(_shower(pen, 100)), state(pen), pen_log(pen)

    said, computed, lines, prompts, after, log = in_fork(run, ready(pens))
    assert said and computed and lines == (True, True)
    assert prompts == [] and after == "armed" and "REPL_OPENED" in [event.name for event in log]


def test_the_repl_does_not_open_while_the_motor_may_turn(pens: Pens) -> None:
    def run(pen: EmulatedPen) -> tuple[str | None, str, str]:
        take(pen, Role.ENGINEER)
        start(pen, 100)
        return ask(pen, "OPEN_REPL").refused, state(pen), fault(pen)

    assert in_fork(run, ready(pens)) == ("the motor may turn: not now", "running", "none")


def test_the_real_mpremote_works_on_an_opened_pen(pens: Pens, tmp_path: Path) -> None:
    """In another process, on a pseudo-terminal: exec, file system, reset; then it is closed again."""

    def mpremote(link: Path, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mpremote", "connect", str(link), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)

    def run(pen: EmulatedPen) -> list[Any]:
        _opened(pen)
        terminal, stop = Terminal(tmp_path / "ttyPEN"), threading.Event()
        thread = threading.Thread(target=Server(pen.chip, [terminal]).serve, args=(stop.is_set,))
        thread.start()
        try:
            done = [
                mpremote(terminal.link, "exec", "print(6 * 7)"),
                mpremote(terminal.link, "fs", "ls", ":data"),
            ]
            told = [(result.returncode, result.stdout.strip()) for result in done]
            done.append(mpremote(terminal.link, "reset"))
        finally:
            stop.set()
            thread.join()
            terminal.close()
        pen.connect()
        pen.wait_state("armed")
        told = [(result.returncode, result.stdout.strip()) for result in done]
        return [*told, _prompts(_shower(pen, 100))]

    computed, listed, reset, prompts = in_fork(run, ready(pens))
    assert computed == (0, "42") and listed[0] == 0 and "keys.a" in listed[1]
    assert reset[0] == 0 and prompts == []
