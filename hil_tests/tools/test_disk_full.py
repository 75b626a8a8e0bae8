"""A full disk: while evidence is written, and while an emulated pen keeps its flash."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import small_suites
from support.troubles import assert_told

from needlepen.emulator.flash_file import FlashFile
from needlepen.errors import InfrastructureError

pytest_plugins = ["pytester"]
FULL = """
import errno, os, pathlib
_whole = pathlib.Path.{method}

def _full(self, content, *rest, **more):
    if not self.name.endswith({ending}):
        return _whole(self, content, *rest, **more)
    _whole(self, content[: len(content) // 2], *rest, **more)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

pathlib.Path.{method} = _full
"""
"""The disk takes half of a file; `ending`: of its name, as an expression."""
ONE = "def test_one(measure):\n    measure('SR-12', 'brake_ms', 2.0, 'release')"


@pytest.mark.nightly
@pytest.mark.parametrize("file", ["evidence.json", "index.html", "manifest.json"])
def test_evidence_that_does_not_fit_is_told_and_the_old_one_stays(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    run = small_suites.runner(pytester, monkeypatch)
    assert run({"test_one": ONE}).ret == 0
    before = small_suites.evidence(pytester.path)
    full = FULL.format(method="write_text", ending=repr(file))
    done = run({"conftest": small_suites.BOARD + full, "test_one": ONE})
    said = done.stdout.str() + done.stderr.str()
    assert_told("disk full, evidence", said, done.ret)
    assert "1 passed" in said and "Traceback" not in said
    assert small_suites.evidence(pytester.path) == before
    assert not [path for path in pytester.path.iterdir() if path.name.startswith(".out")]


class _Chip:
    """As much of a chip as the flash file needs."""

    flash = b"new"

    def create_alarm(self, _call: Any) -> None: ...
    def on_flash_write(self, _call: Any) -> None: ...


def test_flash_that_does_not_fit_is_told_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pen.flash"
    kept = FlashFile(_Chip(), path)  # type: ignore[arg-type]
    path.write_bytes(b"old")

    def full(self: Path, content: bytes) -> None:
        with self.open("wb") as file:
            file.write(content[:1])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(InfrastructureError) as error:
            kept.save()
    assert_told("disk full, flash of an emulated pen", str(error.value), error.value.exit_code)
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["pen.flash"]
    kept.save()
    assert path.read_bytes() == b"new", "there is room again"


@pytest.mark.nightly
def test_an_emulated_pen_whose_flash_does_not_fit_ends_in_one_line(tmp_path: Path, runtime: Path) -> None:
    flash = tmp_path / "pen.flash"
    program = FULL.format(method="write_bytes", ending="str(os.getpid())") + (
        "import sys\nfrom needlepen.cli import main\nmain(sys.argv[1:])\n"
    )
    environment = os.environ | {
        "NEEDLEPEN_STATE": str(tmp_path),
        "NEEDLEPEN_CONFIG": str(tmp_path / "config"),
    }
    done = subprocess.run(
        [sys.executable, "-c", program, "emulate", "--name", "full", "--flash", str(flash)],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert_told("disk full, flash of an emulated pen", done.stderr, done.returncode)
    assert len(done.stderr.splitlines()) == 1 and not flash.exists()
    assert not list(tmp_path.glob(".pen.flash*"))
