"""How a run shows itself while it goes on: live on a terminal, line by line elsewhere, or not at all."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from needlepen.evidence import Measurement
from needlepen.report import words
from needlepen.scenario.situation import Situation

_REFRESH_S = 0.15


class Progress(Protocol):
    """What the runner tells. Nothing of it changes the run."""

    def step(self, number: int, count: int, text: str, now_s: float) -> None:
        """A step is waited for or done."""

    def passing(self, s: Situation) -> None:
        """Device time passes; called often."""

    def measured(self, measurement: Measurement) -> None:
        """An assert was judged."""


class Silent:
    """Says nothing."""

    def step(self, number: int, count: int, text: str, now_s: float) -> None:
        """Nothing."""

    def passing(self, s: Situation) -> None:
        """Nothing."""

    def measured(self, measurement: Measurement) -> None:
        """Nothing."""


class Lines:
    """One line for each step and verdict: for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self, number: int, count: int, text: str, now_s: float) -> None:
        """One line."""
        self._console.print(f"{now_s:9.3f} s  {number:3d}/{count}  {text}", highlight=False, markup=False)

    def passing(self, s: Situation) -> None:
        """Nothing."""

    def measured(self, measurement: Measurement) -> None:
        """One line."""
        self._console.print(f"{'':22}{_judged(measurement)}", highlight=False, markup=False)


class Terminal:
    """A few lines that are redrawn: step, device time, rate, state, speed and the verdicts so far."""

    def __init__(self, console: Console, title: str) -> None:
        self._console, self._title = console, title
        self._live = Live(console=console, refresh_per_second=8, transient=True)
        self._began_s = time.monotonic()
        self._drawn_s = 0.0
        self._number, self._count, self._text = 0, 1, ""
        self._passed = self._failed = 0

    def __enter__(self) -> Terminal:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def step(self, number: int, count: int, text: str, now_s: float) -> None:
        """Shown with the next redrawing."""
        self._number, self._count, self._text = number, count, text

    def measured(self, measurement: Measurement) -> None:
        """A failure stays on the screen."""
        if measurement.verdict == "pass":
            self._passed += 1
        else:
            self._failed += 1
            self._console.print(Text(_judged(measurement), style="red"))

    def passing(self, s: Situation) -> None:
        """Redraw now and then."""
        now_s = time.monotonic()
        if now_s - self._drawn_s >= _REFRESH_S:
            self._drawn_s = now_s
            self._live.update(self._view(s, now_s - self._began_s))

    def _view(self, s: Situation, wall_s: float) -> Group:
        device_s = s.pen.now_ns / 1e9
        physics = s.pen.physics.now
        state = s.telemetry.state if s.telemetry else "no telemetry"
        fault = s.telemetry.fault if s.telemetry and s.telemetry.fault != "none" else ""
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(self._title, style="bold"),
            ProgressBar(total=self._count, completed=self._number - 1, width=24),
            Text(f"step {self._number} of {self._count}", style="dim"),
        )
        line = Text.assemble(
            (f"{device_s:7.3f} s", "bold"), ("  device time  ", "dim"), (f"{device_s / max(wall_s, 1e-6):.2f} x", ""),
            ("  ", ""), (f"{physics.rate_hz:6.1f} Hz", "cyan"), (f" of {s.set_hz:g}", "dim"),
            (f"  {physics.current_a:5.2f} A", ""), (f"  {state}", "green" if state != "safe" else "bold red"),
            (f" ({fault})" if fault else "", "red"),
        )  # fmt: skip
        tally = Text.assemble(
            (f"{self._passed} pass", "green"), (f"  {self._failed} fail" if self._failed else "", "bold red"),
            ("   " + self._text, "dim"),
        )  # fmt: skip
        return Group(head, line, tally)


def _judged(measurement: Measurement) -> str:
    name = f"{measurement.requirement}  {measurement.name}".strip()
    return f"{measurement.verdict:5} {name}: {words.value(measurement)} ({words.limit(measurement)})"
