"""The built application image on the emulated chip: MicroPython mounts and runs it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from needlepen import board, paths
from needlepen.build import app_image
from needlepen.emulator.chip import Chip

PEN = board.load()
PROGRAMS = {
    "cut_trip": "cutoff.cut_on_trip",
    "heartbeat": "cutoff.heartbeat",
    "index_window": "cutoff.index_window",
    "index_debounce": "index.debounce",
    "index_capture": "index.announce_edge",
    "tick": "drive.every_millisecond",
    "depth_steps": "stepper.depth_steps",
}


@pytest.fixture
def bench(boot: Callable[..., Chip], tmp_path: Path) -> Callable[[str], str]:
    """bench(code) boots the firmware with an empty main.py and returns what the code prints."""
    firmware = tmp_path / "firmware"
    shutil.copytree(paths.firmware_dir(), firmware)
    (firmware / "main.py").write_text("")
    (firmware / "pen/folded.py").write_text(
        "from pen.limits import SR06_THRESHOLD_HZ, PR04_CURRENT_MAX_A as _START_A\n"
        "from pen.board import PIN_RUN_N, SAFE_OUTPUTS\n"
        "import micropython\n"
        "@micropython.viper\n"
        "def add(x: int) -> int:\n"
        "    return x + SR06_THRESHOLD_HZ + PIN_RUN_N\n"
        "start_a = _START_A\n"
        "outputs = SAFE_OUTPUTS\n"
    )

    def run(code: str) -> str:
        output, error = boot(filesystem=app_image(PEN, firmware=firmware).image).console.exec(code)
        assert not error, error
        return output

    return run


def test_folded_constants_have_their_values_on_the_chip(bench: Callable[[str], str]) -> None:
    output = bench("from pen import folded as f\nprint(f.add(1000), f.start_a, f.outputs)")
    safe = tuple((pin.gpio, pin.safe_level) for pin in PEN.pins.values() if pin.safe_level is not None)
    assert output.strip() == f"{1000 + 165 + PEN.gpio('RUN_N')} 1.2 {safe}"


def test_a_module_with_folded_constants_does_not_load_the_constant_modules(
    bench: Callable[[str], str],
) -> None:
    output = bench(
        "import sys\nfrom pen import folded\nprint(sorted(m for m in sys.modules if m.startswith('pen')))"
    )
    assert output.strip() == "['pen', 'pen.folded', 'pen_shelf']"


def test_every_pio_program_fits_its_budget_in_the_board_file(bench: Callable[[str], str]) -> None:
    lengths = ", ".join(f"len({attribute}[0])" for attribute in PROGRAMS.values())
    output = bench(f"from pen import cutoff, drive, index, stepper\nprint({lengths})")
    assert PROGRAMS.keys() == PEN.pio.keys()
    for name, length in zip(PROGRAMS, map(int, output.split()), strict=True):
        assert length <= PEN.pio[name].max_instructions, f"{name}: {length} instructions"
