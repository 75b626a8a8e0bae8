"""`needlepen monitor` on a pen in another process: live, in lines, as JSON, recorded, through losses of the pen."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.commands import Commands
from support.nights import mostly_nightly
from support.served import ServedPen, Tap

from needlepen.firmware_modules import firmware_module
from needlepen.monitor.frame import COLUMNS, EVENT
from needlepen.monitor.recording import load

kinds = firmware_module("pen.link.kinds")
READING = {kinds.HELLO, kinds.SUBSCRIBE, kinds.SEEN, kinds.GET_ABOUT}


def test_each_frame_is_one_object_of_json(pen: ServedPen, commands: Commands) -> None:
    done = commands.run("monitor", "--device", pen.link, "--json", "--period-ms", "20", "--for", "2")
    assert done.returncode == 0 and done.stderr == ""
    frames = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(frames) > 50, "100 at most; this computer may be busy"
    assert all(frame.keys() == set(COLUMNS) - {EVENT} for frame in frames)
    times = [frame["time_ms"] for frame in frames]
    assert times == sorted(times) and len(set(times)) > 50 and times[-1] - times[0] < 2_500
    last = frames[-1]
    assert (last["state"], last["needles"], last["set_rate_hz"]) == ("armed", 24, 100.0)
    assert last["warnings"] == ["clock_unknown"] and last["fault"] == ""


def test_a_run_with_a_fault_is_told_recorded_and_drawn(
    pen: ServedPen, tap: Tap, commands: Commands, tmp_path: Path
) -> None:
    file = tmp_path / "run.csv"
    pen.let_pass(250)  # the trigger has to be up for 200 ms before a press counts
    running = commands.start(
        "monitor", "--device", tap.url, "--plain", "--period-ms", "20", "--record", str(file)
    )
    running.wait_for(" armed ")
    pen.do(lambda p: p.press())
    running.wait_for(" running ")
    pen.let_pass(500)
    pen.do(lambda p: p.electronics.jam(p.now_ns, True))
    running.wait_for(" safe ")
    told = running.wait_for("fault ")
    assert "(SR-0" in told and "What to do:" in told
    code, said = running.end(signal.SIGINT)
    assert code == 0 and f"{file}: " in said and "0 gaps" in said
    assert set(tap.kinds) <= READING, "the pen is asked for nothing but reading"

    found = load(file)
    assert found.metadata["pen"] == "e660000000000000" and found.metadata["build"] and not found.torn
    assert {"armed", "running", "safe"} <= set(found.texts["state"])
    assert max(found.columns["rate_hz"]) > 80 and max(found.columns["current_a"]) > 0.1
    page = tmp_path / "page.html"
    drawn = commands.run("plot", str(file), "--out", str(page), "--json")
    facts = json.loads(drawn.stdout)
    assert drawn.returncode == 0 and page.stat().st_size > 100_000
    assert [m["kind"] for m in facts["moments"]].count("fault") == 1


def test_the_loss_of_the_pen_is_a_gap_and_a_killed_monitor_leaves_its_rows(
    pen: ServedPen, tap: Tap, commands: Commands, tmp_path: Path
) -> None:
    file = tmp_path / "run.csv"
    running = commands.start("monitor", "--device", tap.url, "--period-ms", "20", "--record", str(file))
    running.wait_for(" armed ")
    tap.cut()
    running.wait_for("lost: ")
    time.sleep(0.5)
    tap.plug_in()
    running.wait_for("back: pen e660000000000000 answers again")
    running.wait_for(" armed ", len(running.lines))
    code, _ = running.end(signal.SIGKILL)
    assert code == -signal.SIGKILL
    found = load(file)
    (begun_s, ended_s, why), = found.gaps  # fmt: skip
    assert 0.5 <= ended_s - begun_s < 10 and why
    assert found.time_s == sorted(found.time_s) and found.time_s[-1] > ended_s, "rows after the gap"
    again = commands.run("monitor", "--device", tap.url, "--for", "0.3", "--record", str(file))
    assert again.returncode == 4 and "exists already" in again.stderr


def test_a_restart_of_the_pen_is_shown_and_recorded(
    pen: ServedPen, commands: Commands, tmp_path: Path
) -> None:
    file = tmp_path / "run.csv"
    running = commands.start(
        "monitor", "--device", f"socket://127.0.0.1:{pen.tcp_port}", "--plain", "--period-ms", "20",
        "--record", str(file),
    )  # fmt: skip
    running.wait_for(" armed ")
    pen.do(lambda p: p.cut_power())
    pen.let_pass(300)
    pen.do(lambda p: p.restore_power())
    running.wait_for("back: ")
    running.wait_for(" armed ", len(running.lines))
    running.end(signal.SIGINT)
    found = load(file)
    assert len(found.gaps) == 1
    times_ms = [t for t in found.columns["time_ms"] if t == t]
    assert min(times_ms) < times_ms[0], "the pen's own clock began anew"
    assert found.time_s == sorted(found.time_s)


def _on_a_terminal(commands: list[str], environment: dict[str, str]) -> str:
    """What a command writes to a terminal of 100 columns, until it ends."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "needlepen", *commands], stdout=slave, stdin=slave, stderr=slave,
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"} | environment,
    )  # fmt: skip
    os.close(slave)
    written = b""
    while True:
        ready, _, _ = select.select([master], [], [], 30)
        assert ready, "nothing is written any more"
        try:
            data = os.read(master, 65_536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        written += data
    os.close(master)
    assert process.wait(30) == 0
    return written.decode()


@pytest.mark.parametrize("no_color", mostly_nightly(["", "1"], ""))
def test_the_live_view_redraws_itself_on_a_terminal(pen: ServedPen, tmp_path: Path, no_color: str) -> None:
    environment = {"NO_COLOR": no_color, "NEEDLEPEN_STATE": str(tmp_path / "state")}
    shown = _on_a_terminal(["monitor", "--device", pen.link, "--for", "1"], environment)
    for text in ("e660000000000000", "armed", "battery", "winding", "24 needles", "warning: "):
        assert text in shown, text
    assert "\x1b[2K" in shown, "lines are written anew"
    assert ("\x1b[32m" in shown) == (not no_color), "colours, but not with NO_COLOR"


def test_no_pen_is_an_infrastructure_error_in_one_line(commands: Commands, tmp_path: Path) -> None:
    done = commands.run("monitor", "--device", "socket://127.0.0.1:9", "--for", "1")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
