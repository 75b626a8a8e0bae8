"""Rules of the emulated chip, shown with real MicroPython on it."""

from __future__ import annotations

from needlepen.emulator.chip import Chip


def test_micropython_boots_and_answers(chip: Chip) -> None:
    out, error = chip.console.exec("print(1 + 1)")
    assert (out, error) == ("2\r\n", "")
