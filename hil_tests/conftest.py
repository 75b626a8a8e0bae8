"""Fixtures of all tests: the MicroPython image, and booted pens to fork."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.bench import Pens

pytest_plugins = ["covering.plugin", "support.measuring", "support.targets.plugin", "support.smoke"]


if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores already
    os.environ.setdefault("NEEDLEPEN_FORKS", "1")


@pytest.fixture(scope="session")
def runtime_file() -> Path:
    """The MicroPython image: NEEDLEPEN_RUNTIME, or the one that needlepen provides."""
    given = os.environ.get("NEEDLEPEN_RUNTIME")
    if given:
        return Path(given)
    from needlepen.runtime import provide

    return provide().path


@pytest.fixture(scope="session")
def runtime(in_process: None, runtime_file: Path) -> Path:
    """The MicroPython image, for pens that this process emulates: skips on another target."""
    return runtime_file


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--phase-ms",
        type=float,
        default=0.0,
        help="Let each ready pen wait so long before a test: what holds in one phase of the main loop only, fails.",
    )


@pytest.fixture(scope="session")
def pens(
    in_process: None, runtime: Path, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Pens:
    """pens.ready(cell_v, seed) is a pen that is ready to start. Fork before changing it."""
    from support.bench import Pens  # not for those tests that need no emulator

    return Pens(runtime, tmp_path_factory.mktemp("firmware"), pytestconfig.getoption("--phase-ms"))
