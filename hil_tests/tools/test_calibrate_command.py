"""`needlepen calibrate` and `needlepen check` on emulated pens in another process, over their ports, in real time."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.commands import Commands
from support.line import Emulation
from support.nights import mostly_nightly

PATIENCE_S = 280
"""No goal: that is in `make bench`, since a wall time is that of the machine and of what else runs on it."""


class Bench(Commands):
    """Commands that know one emulated pen, with the dummy cartridge in it and its gauge beside it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._environment["NEEDLEPEN_STATE"] = str(folder)
        self._environment["NEEDLEPEN_DATABASE"] = f"sqlite:///{folder / 'calibrations.db'}"
        self.folder = folder

    def needlepen(self, *arguments: str) -> tuple[int, Any, str]:
        """(exit code, JSON that it printed, what else it said), however long it takes."""
        done = subprocess.run(
            [sys.executable, "-m", "needlepen", *arguments, "--json"],
            env=self._environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=self.folder,
        )  # fmt: skip
        return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr

    @property
    def journal_lines(self) -> int:
        """Of all sessions."""
        found = (self.folder / "data" / "calibrations").glob("*.jsonl")
        return sum(path.read_bytes().count(b"\n") for path in found)

    @property
    def points_taken(self) -> int:
        """Different points with a reading in the only journal, by its lines. What the program did in the moment before
        it was killed is not known to who killed it: a busy machine may be many readings late."""
        [path] = (self.folder / "data" / "calibrations").glob("*.jsonl")
        lines = [json.loads(line) for line in path.read_bytes().rpartition(b"\n")[0].splitlines()]
        return len({line["data"]["taken"]["point"]["number"] for line in lines if line["event"] == "taken"})


@contextmanager
def bench(folder: Path, *options: str) -> Iterator[Bench]:
    emulation = Emulation(folder, "bench", "--cartridge", "dummy", *options)
    try:
        yield Bench(folder)
    finally:
        emulation.close()


def calibrate_and_kill(there: Bench, after_lines: int, *how: str) -> float:
    """Begin a calibration and kill the program in the middle of it; the wall time that it had."""
    begun_s = time.monotonic()
    program = there.start("calibrate", *how, "--yes")
    while there.journal_lines < after_lines:
        assert program.process.poll() is None, program.process.communicate()[1]
        assert time.monotonic() - begun_s < PATIENCE_S, f"only {there.journal_lines} lines in time"
        time.sleep(0.05)
    program.process.send_signal(signal.SIGKILL)
    program.process.wait(10)
    return time.monotonic() - begun_s


def resume(there: Bench) -> tuple[int, Any, float]:
    begun_s = time.monotonic()
    code, result, said = there.needlepen("calibrate", "--resume", "--yes", "--out", "papers")
    assert result is not None, said
    return code, result, time.monotonic() - begun_s


@pytest.mark.parametrize("kills", mostly_nightly([1, 2], 1))
def test_a_calibration_that_was_killed_goes_on_where_it_was(tmp_path: Path, kills: int) -> None:
    with bench(tmp_path, "--seed", "31", "--worn", "tip_offset_um=170") as there:
        kept = []
        for after_lines, how in ((12, []), (20, ["--resume"]))[:kills]:
            calibrate_and_kill(there, after_lines, *how)
            _, [session], _ = there.needlepen("calibrate", "--list")
            assert session["done"] == there.points_taken
            kept.append((session["number"], session["done"]))
        numbers, done = zip(*kept, strict=True)
        assert len(set(numbers)) == 1 and done[0] > 5 and list(done) == sorted(set(done)), kept


@pytest.mark.nightly
def test_a_bad_pen_is_refused_by_the_command_that_was_killed_and_resumed(tmp_path: Path) -> None:
    with bench(tmp_path, "--seed", "31", "--worn", "tip_offset_um=170") as there:
        code, checked, said = there.needlepen("check", "--yes")
        assert code == 1 and not checked["passed"], said
        assert [row["set_um"] for row in checked["errors"]] == [500, 1000, 1500]
        took_s = calibrate_and_kill(there, after_lines=60)
        _, [session], _ = there.needlepen("calibrate", "--list")
        assert 50 < session["done"] == there.points_taken < session["total"] and not session["problem"]
        code, result, more_s = resume(there)
        print(f"{took_s:.0f} s until it was killed, {more_s:.0f} s from there to the end")
        assert code == 1 and not result["accepted"] and result["withdrawn"]
        assert result["number"] == session["number"]
        assert [Path(path).suffix for path in result["certificate"]] == [".pdf", ".html"]
        assert all((tmp_path / path).stat().st_size > 10_000 for path in result["certificate"])
        assert there.needlepen("calibrate", "--list")[1] == []
        assert there.needlepen("check", "--yes")[0] == 3
        assert there.needlepen("calibrate", "--yes", "--gauge", "manual")[0] == 3


@pytest.mark.nightly
def test_a_good_pen_is_accepted_and_then_checked(tmp_path: Path) -> None:
    with bench(tmp_path, "--seed", "32", "--worn", "tip_offset_um=40") as there:
        begun_s = time.monotonic()
        code, result, said = there.needlepen("calibrate", "--yes", "--out", "papers")
        took_s = time.monotonic() - begun_s
        print(f"a whole calibration in {took_s:.0f} s")
        assert code == 0 and result["accepted"], said
        for passed in (1, 2):
            code, checked, said = there.needlepen("check", "--yes", "--chart", "trend.html")
            assert code == 0 and checked["passed"] and checked["checks"] == passed, said
            assert checked["calibration"] == result["number"]
        assert "guard band" in (tmp_path / "trend.html").read_text()
