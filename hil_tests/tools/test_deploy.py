"""`needlepen deploy` and `update` against an emulated pen in another process, over a pseudo-terminal."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.line import Emulation, environment

from needlepen import paths


def _run(place: Path, *words: str) -> tuple[int, Any, str]:
    """Exit code, what was printed as JSON, and the errors."""
    command = [sys.executable, "-m", "needlepen", *words, "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=180, check=False, env=environment(place)
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr.strip()


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    return Path(shutil.copytree(paths.firmware_dir(), tmp_path / "firmware"))


def _one_line_changed(place: Path, firmware: Path, device: tuple[str, ...]) -> str:
    """Deploy what the pen has already, then a firmware with one line more; returns the program that runs then."""
    code, told, errors = _run(place, "deploy", *device)
    assert (code, told["changed"], told["modules"]) == (0, False, []), errors
    with (firmware / "pen/thermal.py").open("a") as file:
        file.write("\nONE_LINE = 1\n")
    code, told, errors = _run(place, "deploy", "--firmware", str(firmware), *device)
    assert code == 0 and told["modules"] == ["pen/build_info.mpy", "pen/thermal.mpy"], errors
    return str(told["program"])


def test_deploy_sends_what_differs_and_update_brings_a_bundle(
    emulate: Callable[..., Emulation], place: Path, firmware: Path, tmp_path: Path
) -> None:
    pen = emulate("updated", "--seed", "7")
    device = ("--device", str(pen.link))
    running = _one_line_changed(place, firmware, device)
    bundle = tmp_path / "a.npb"
    assert _run(place, "bundle", "make", str(bundle), "--kind", "development", "--unsigned")[0] == 0
    code, told, errors = _run(place, "update", str(bundle), *device)
    assert code == 0 and told["changed"] and told["before"] == running, errors


@pytest.mark.nightly
def test_deploy_sends_what_differs_takes_back_what_fails_and_update_brings_a_bundle(
    emulate: Callable[..., Emulation], place: Path, firmware: Path, tmp_path: Path
) -> None:
    pen = emulate("deployed", "--seed", "5")
    device = ("--device", str(pen.link))
    running = _one_line_changed(place, firmware, device)
    code, told, errors = _run(place, "deploy", "--firmware", str(firmware), *device)
    assert (code, told["changed"], told["program"]) == (0, False, running), errors

    app = firmware / "pen/app.py"
    app.write_text(app.read_text().replace("\nclass App:", "\nraise ValueError('broken')\n\n\nclass App:"))
    code, told, errors = _run(place, "deploy", "--firmware", str(firmware), *device)
    assert code == 1 and "took the program" in errors and running in errors and "\n" not in errors, errors

    bundle = tmp_path / "a.npb"
    assert _run(place, "bundle", "make", str(bundle), "--kind", "development", "--unsigned")[0] == 0
    code, told, errors = _run(place, "update", str(bundle), *device)
    assert code == 0 and told["changed"] and told["before"] == running, errors
    bundle.write_bytes(bundle.read_bytes()[:-30])
    code, _, errors = _run(place, "update", str(bundle), *device)
    assert code == 4 and "no bundle" in errors
