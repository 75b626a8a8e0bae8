"""`needlepen doctor` on boards in other processes: every cause at once, each with its remedy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from littlefs import UserContext
from support.board_process import BoardProcess, needlepen

from needlepen import board
from needlepen.emulator import bench
from needlepen.firmware_modules import firmware_module
from needlepen.records.image_files import ImageFiles

PEN = board.load()
FILES = slice(PEN.flash.filesystem_offset, PEN.flash.size_bytes)


@pytest.fixture(scope="module")
def pen_flash(runtime: Path) -> bytes:
    """The flash of a calibrated pen with keys, seed 1."""
    return bench.prepare(runtime=runtime).make(seed=1).chip.flash


def with_lost_events(flash: bytes, unique_id: bytes) -> bytes:
    """The same pen with a log in which two numbers are missing."""
    context = UserContext(buffer=bytearray(flash[FILES]))
    log = firmware_module("pen.store.log").Log(ImageFiles(context, PEN.flash), unique_id)
    log.load()
    rate_set = firmware_module("pen.events").RATE_SET
    for skipped in (0, 2, 0):
        log._next += skipped
        log.add(rate_set, 100, 1)
        log.flush()
    return flash[: FILES.start] + bytes(context.buffer)


def findings(place: Path, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    done = needlepen("doctor", "--json", *arguments, state=place)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def about(found: list[dict[str, Any]], check: str) -> dict[str, Any]:
    (one,) = [finding for finding in found if finding["check"] == check and finding["pen"]]
    return one


def test_a_sound_pen_and_a_log_with_a_gap(tmp_path: Path, pen_flash: bytes) -> None:
    unique_id = bytes.fromhex("e660000000000001")
    with BoardProcess(tmp_path, "gap", "--seed", "1", flash=with_lost_events(pen_flash, unique_id)):
        code, found = findings(tmp_path, "--device", "gap")
    assert code == 0, found
    log = about(found, "log")
    assert log["level"] == "warning" and log["cause"].startswith("2 events are missing"), log
    assert about(found, "build")["level"] == "ok" and about(found, "state")["cause"].startswith("armed")
    assert not [
        finding for finding in found if finding["check"] in ("keys", "calibration") and finding["pen"]
    ]


def test_a_pen_without_keys_and_calibration(tmp_path: Path) -> None:
    with BoardProcess(tmp_path, "new", "--no-factory", "--seed", "1"):
        code, found = findings(tmp_path)
    assert code == 0
    assert "needlepen provision" in about(found, "keys")["actions"][0]
    assert "none" in about(found, "calibration")["cause"]
    assert about(found, "state")["level"] == "note" and "calibrat" in about(found, "state")["cause"].lower()


def test_a_pen_with_a_broken_runtime_is_a_problem_of_the_pen(tmp_path: Path, pen_flash: bytes) -> None:
    broken = bytearray(pen_flash)
    broken[0x51000 - 64] ^= 1  # in the runtime, where nothing runs
    with BoardProcess(tmp_path, "broken", "--seed", "1", flash=bytes(broken)):
        code, found = findings(tmp_path)
    state = about(found, "state")
    assert code == 1 and state["level"] == "problem" and state["cause"].startswith("locked_out"), state
    assert state["actions"][-1].startswith("needlepen explain")


def test_what_is_no_pen_is_named_with_the_way_to_make_one_of_it(tmp_path: Path) -> None:
    with (
        BoardProcess(tmp_path, "bare", "--no-app", "--seed", "2"),
        BoardProcess(tmp_path, "blank", "--bootsel", "--seed", "3") as blank,
        BoardProcess(tmp_path, "dead", "--seed", "4", flash=dead_flash()) as dead,
    ):
        dead.wait_state("running")
        code, found = findings(tmp_path)
        drive = str(blank.volume)
    by_pen = {finding["pen"][-1]: finding for finding in found if finding["check"] == "pens"}
    assert "prompt" in by_pen["2"]["cause"] and by_pen["2"]["actions"][0].startswith("needlepen flash")
    assert "BOOTSEL" in by_pen["3"]["cause"] and drive in by_pen["3"]["actions"][0]
    assert by_pen["4"]["level"] == "problem" and "recovery.md" in by_pen["4"]["actions"][0]
    assert code == 1


def dead_flash() -> bytes:
    """A board whose first page is sound and whose program is noise: no port that answers, no drive."""
    import os
    import random

    runtime = Path(os.environ["NEEDLEPEN_RUNTIME"]) if "NEEDLEPEN_RUNTIME" in os.environ else None
    from needlepen.build import uf2
    from needlepen.runtime import provide

    first = uf2.read(runtime or provide().path)[0].data[:256]
    return (first + random.Random(5).randbytes(600_000)).ljust(PEN.flash.size_bytes, b"\xff")


def test_nothing_connected_is_nothing_wrong(tmp_path: Path) -> None:
    code, found = findings(tmp_path)
    (pens,) = [finding for finding in found if finding["check"] == "pens"]
    assert code == 0 and pens["actions"] == ["plug a pen in, or run: needlepen emulate"]
    shutil.rmtree(tmp_path / "config", ignore_errors=True)
