"""Runs the scenario of a black box on the emulated pen, with one possible cause after another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from needlepen.black_box.causes import candidates
from needlepen.black_box.record import BlackBox
from needlepen.black_box.scenario import scenario
from needlepen.emulator import bench
from needlepen.scenario.loader import parse
from needlepen.scenario.runner import Runner


@dataclass(frozen=True)
class Replay:
    """One try: the scenario with a cause, the fault that the emulated pen reported ("none"), and why it stopped."""

    cause: str
    text: str
    fault: str
    stopped_because: str

    @property
    def same(self) -> bool:
        """True if the emulated pen reported the fault of the black box, and every assert held."""
        return not self.stopped_because


def replay(
    box: BlackBox,
    most: int = 4,
    runtime: Path | None = None,
    told: Callable[[str], None] = lambda _text: None,
) -> list[Replay]:
    """Try at most `most` causes, the likeliest first, until one leads to the same fault; that one is the last.

    `told` hears of each cause before it is tried. Raises as `scenario`, and what needlepen.emulator.bench raises.
    """
    prepared = bench.prepare(runtime=runtime)
    tried: list[Replay] = []
    causes = candidates(box)[:most]
    if not causes:
        scenario(box)  # says why there is none
    for cause in causes:
        text = scenario(box, cause)
        name = " ".join(map(str, cause.values()))
        told(name)
        runner = Runner(parse(text, "black box"), prepared)
        record = runner.run()
        reported = runner.situation.reported
        missed = [m.name for m in record.measurements if m.verdict == "fail"]
        why = record.stopped_because or "; ".join(missed)
        tried.append(Replay(name, text, reported[-1].telemetry.fault if reported else "none", why))
        if tried[-1].same:
            break
    return tried
