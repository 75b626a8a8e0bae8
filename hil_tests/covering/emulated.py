"""Coverage of the firmware that touches hardware: on the emulated pen, by scenarios with and without faults."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mutation.baseline import HIL_TESTS

from covering.probes import BASE, PLACES, Probe, Probes, modules_of
from covering.tracing import FIRMWARE
from needlepen import board as boards
from needlepen.emulator.bench import Bench
from needlepen.emulator.pen import EmulatedPen
from needlepen.scenario import Scenario, load, names
from needlepen.scenario.loader import parse
from needlepen.scenario.writing import write

GROUPS: tuple[tuple[str, ...], ...] = (
    ("pen.sequence", "pen.drive", "pen.app", "pen.black_box"),
    ("pen.axis", "pen.stepper", "pen.depth_sensor", "pen.panel", "pen.player"),
    ("pen.cutoff", "pen.index", "pen.sampling", "pen.inputs", "pen.proof", "pen.commands"),
    ("pen.selftest", "pen.readback", "pen.clock_watch", "pen.ram_test", "pen.adc_test", "pen.cpu_test"),
    ("pen.host", "pen.flash_test", "pen.reports", "pen.quiet"),
)
"""The modules that only the chip can run, as many at once as there is room for probes."""
CAMPAIGN_SEEDS = range(1, 9)
FAULTS: tuple[tuple[str, str, bool], ...] = (
    ("depth_position", "stuck", False),
    ("depth_position", "wrong", True),
    ("depth_stepper", "off", False),
    ("depth_stepper", "slow", False),
    ("screw", "wrong", False),
    ("home", "open", False),
    ("home", "short", False),
    ("motor_current", "short", True),
    ("gate_watchdog", "open", True),
    ("supply_en", "stuck", False),
    ("trip_n", "short", False),
    ("ram", "stuck", False),
    ("flash", "wrong", False),
    ("clock", "wrong", False),
    ("adc_reference", "wrong", False),
    ("vbus", "stuck", True),
)
"""Target, kind, and whether the motor runs then; what the campaign hits too seldom."""


@dataclass(frozen=True)
class Found:
    """One module: how many statements, and `if`s without an else, there are, and which were never run or passed by."""

    module: str
    probes: int
    missing: tuple[Probe, ...]

    @property
    def pct(self) -> float:
        """Share of the probes that were reached, %."""
        return 100.0 * (self.probes - len(self.missing)) / self.probes if self.probes else 100.0


def scenarios(quick: bool = False) -> Iterator[Scenario]:
    """What the pen goes through: shipped scenarios, recorded faults, a random campaign. `quick`: one treatment."""
    from needlepen.safety import generator

    if quick:
        yield load("treatment")
        return
    for name in names():
        yield load(name)
    for path in sorted((HIL_TESTS / "safety" / "regressions").glob("*.toml")):
        yield load(path)
    for seed in CAMPAIGN_SEEDS:
        yield parse(generator.scenario(seed), f"campaign-{seed}")
    for target, kind, running in FAULTS:
        yield parse(with_fault(target, kind, running), f"{target}-{kind}")


def with_fault(target: str, kind: str, running: bool) -> str:
    """A scenario: depths are set, something breaks, a start is tried, it is repaired and acknowledged, and again."""
    begin = [{"do": "press_trigger"}, {"after_s": 0.4, "do": "wait"}] if running else []
    end = [{"do": "release_trigger"}] if running else []
    steps = [
        {"when": "ready", "timeout_s": 5.0, "do": "set_depth", "depth_mm": 1.5},
        {"after_s": 1.0, "do": "set_depth", "depth_mm": 0.0},
        {"after_s": 1.5, "do": "set_depth", "depth_mm": 1.0},
        {"after_s": 1.0, "do": "wait"},
        *begin,
        {"do": "inject", "target": target, "kind": kind},
        {"after_s": 0.5, "do": "set_depth", "depth_mm": 0.5, "expect": "either"},
        {"after_s": 1.5, "do": "set_rate", "rate_hz": 120.0, "expect": "either"},
        *end,
        {"after_s": 0.5, "do": "press_trigger"},
        {"after_s": 0.5, "do": "release_trigger"},
        {"do": "repair", "what": target},
        {"after_s": 0.5, "do": "acknowledge", "expect": "either"},
        {"after_s": 2.0, "do": "press_trigger"},
        {"after_s": 0.5, "do": "release_trigger"},
        {"after_s": 0.5, "do": "wait"},
    ]
    header = {"title": f"{target}, {kind}", "judged_by": "safety", "duration_limit_s": 30.0, "rate_hz": 100.0}
    return write(header, steps)


def measure(
    group: Sequence[str], played: Iterable[Scenario], told: Callable[[str], None] = lambda _text: None
) -> list[Found]:
    """Run the scenarios with probes in these modules. `told` hears of each. Raises as needlepen.emulator.bench."""
    from needlepen.scenario.runner import Runner

    with tempfile.TemporaryDirectory(prefix="covering-") as scratch:
        copy = Path(shutil.copytree(FIRMWARE, Path(scratch) / "firmware"))
        probes = modules_of(FIRMWARE, tuple(group), copy)
        prepared = _bench(copy)
        reached = bytearray(PLACES)
        for scenario in played:
            told(scenario.name)
            runner = Runner(scenario, prepared)
            runner.run()
            for place, byte in enumerate(_memory(runner.situation.pen)):
                reached[place] |= byte
    return [_of_module(name, probes, reached) for name in group]


def _bench(firmware: Path) -> Bench:
    from needlepen.build import app_image
    from needlepen.runtime import provide

    board = boards.load()
    return Bench(
        board,
        provide(board.micropython.version, board.micropython.board),
        app_image(board, firmware=firmware),
    )


def _memory(pen: EmulatedPen) -> bytes:
    return bytes(pen.chip.mcu.read_uint8(BASE + place) for place in range(PLACES))


def _of_module(name: str, probes: Probes, reached: bytearray) -> Found:
    own = [(place, probe) for place, probe in enumerate(probes.found) if probe.module == name]
    return Found(name, len(own), tuple(probe for place, probe in own if not reached[place]))


def text(found: Sequence[Found]) -> str:
    """A line a module, then what was never reached."""
    head = f"{'module':28}{'statements and ifs':>20}{'on the emulated pen':>21}{'missing':>9}"
    rows = [head, "-" * len(head)]
    rows += [f"{each.module:28}{each.probes:20}{each.pct:19.1f} %{len(each.missing):9}" for each in found]
    total, missing = sum(each.probes for each in found), sum(len(each.missing) for each in found)
    rows.append(f"{'all':28}{total:20}{100 * (total - missing) / max(total, 1):19.1f} %{missing:9}")
    return "\n".join([*rows, "", *(str(probe) for each in found for probe in each.missing)])
