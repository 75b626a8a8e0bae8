"""What several unit tests start from."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cartridge_bench import KEY, Bench, Make

from needlepen.emulator.ds2431 import DS2431


@pytest.fixture(scope="session")
def runtime(runtime_file: Path) -> Path:
    """The MicroPython image as a file: no test here depends on the target."""
    return runtime_file


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """make(chip, clock_s=None, key=KEY) is a pen that has just booted with that chip seated."""

    def bench(chip: DS2431 | None, clock_s: int | None = None, key: bytes | None = KEY) -> Bench:
        return Bench(monkeypatch, chip, key, clock_s)

    return bench
