"""Progress of slow steps: a live line in a terminal, one plain line per step elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class ProgressLike(Protocol):
    """What the steps report to."""

    def step(self, text: str) -> None:
        """The next step begins; its length is not known."""

    def amount(self, done: float, total: float) -> None:
        """The present step has got to `done` of `total` (any unit)."""


class TerminalProgress:
    """Progress on standard error (standard output is for results). Draws nothing until a step begins.

    `prefix` begins each line where there is no terminal; `keep_steps`: steps that took less than 1 s stay, too.
    """

    def __init__(self, prefix: str = "runtime", keep_steps: bool = False) -> None:
        self._prefix = prefix
        self._keep_steps = keep_steps
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._text = ""
        self._started_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._finish_step(succeeded=kind is None)
        if self._bar is not None:
            self._bar.stop()

    def step(self, text: str) -> None:
        self._finish_step(succeeded=True)
        self._text, self._started_s = text, time.monotonic()
        if not self._console.is_terminal:
            self._console.print(f"{self._prefix}: {text} ...", highlight=False, soft_wrap=True)
            return
        if self._bar is None:
            self._bar = Progress(
                SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(),
                console=self._console, transient=True,
            )  # fmt: skip
            self._bar.start()
        self._task = self._bar.add_task(text, total=None)

    def amount(self, done: float, total: float) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total)

    def note(self, text: str) -> None:
        """Something that a person should read now, beside the present step."""
        self._console.print(f"{self._prefix}: {text}", style="yellow", highlight=False, soft_wrap=True)

    def _finish_step(self, *, succeeded: bool) -> None:
        if self._bar is None or self._task is None:
            return
        self._bar.remove_task(self._task)
        self._task = None
        took_s = time.monotonic() - self._started_s
        if succeeded and (took_s >= 1.0 or self._keep_steps):
            self._console.print(f"  {self._text} [dim]{took_s:.0f} s[/dim]", highlight=False)
