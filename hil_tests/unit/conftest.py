"""What several unit tests start from."""

from __future__ import annotations

import pytest
from support.cartridge_bench import KEY, Bench, Make

from needlepen.emulator.ds2431 import DS2431


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """make(chip, clock_s=None, key=KEY) is a pen that has just booted with that chip seated."""

    def bench(chip: DS2431 | None, clock_s: int | None = None, key: bytes | None = KEY) -> Bench:
        return Bench(monkeypatch, chip, key, clock_s)

    return bench
