"""The live view of a pen on a terminal."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from needlepen import requirements
from needlepen.monitor.frame import Frame, Gap, conditions, fault_of
from needlepen.monitor.lines import minutes, state_words

_WIDTH, _NARROW, _WIDE_FROM = 40, 22, 100
_BARS, _ASCII_BARS = " ▁▂▃▄▅▆▇█", " .:-=+*#@"
_STATE_STYLES = {"running": "bold green", "armed": "bold blue", "safe": "bold red", "locked_out": "bold red"}
_CELL_V = (3.0, 4.2)
"""Empty and full, for the bar only."""


class LiveView:
    """Redraws itself with each frame; a context manager. `footer` is a line below, for example of the recording."""

    def __init__(self, console: Console, title: str) -> None:
        self.footer = ""
        self._title = title
        self._bars = _BARS if (console.encoding or "").lower().startswith("utf") else _ASCII_BARS
        self._width = _WIDTH if console.width >= _WIDE_FROM else _NARROW
        self._rates: deque[float] = deque(maxlen=self._width)
        self._currents: deque[float] = deque(maxlen=self._width)
        self._frame: Frame | None = None
        self._gap: Gap | None = None
        self._live = Live(console=console, refresh_per_second=8, transient=False)

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, moment: Frame | Gap) -> None:
        """Take a frame, or the loss or return of the pen; it is drawn with the next refresh."""
        if isinstance(moment, Gap):
            self._gap = moment
        else:
            self._frame = moment
            self._rates.append(moment.telemetry.rate_hz)
            self._currents.append(moment.telemetry.current_a)
        self._live.update(self.view())

    def view(self) -> RenderableType:
        """What the terminal shows now."""
        parts: list[RenderableType] = [Text(self._title, style="bold")]
        if self._frame is None:
            parts.append(Text("waiting for the pen", style="dim"))
        else:
            parts += [self._state(self._frame), self._quantities(self._frame), *self._words(self._frame)]
        if self._gap is not None:
            parts.append(
                Text(
                    f"{self._gap.event} ({self._gap.host_s:.1f} s)",
                    style="bold red" if self._lost else "yellow",
                )
            )
        if self.footer:
            parts.append(Text(self.footer, style="dim"))
        return Group(*parts)

    @property
    def _lost(self) -> bool:
        return self._gap is not None and not self._gap.back

    def _state(self, frame: Frame) -> Text:
        t = frame.telemetry
        if self._lost:
            return Text(f"no connection; what follows is old ({state_words(t)})", style="bold red")
        return Text.assemble(
            (state_words(t), _STATE_STYLES.get(t.state, "bold")),
            (f"   {t.time_ms / 1e3:.1f} s since it was switched on", "dim"),
        )

    def _quantities(self, frame: Frame) -> Table:
        limit = requirements.load().limit
        t, s = frame.telemetry, frame.status
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim")
        table.add_column(justify="right", min_width=9)
        table.add_column()
        table.add_column(style="dim")
        highest_hz = float(limit("PR-01", "rate_max_hz"))
        table.add_row(
            "rate", f"{t.rate_hz:.1f} Hz", self._spark(self._rates, highest_hz), f"set {t.set_hz:g} Hz"
        )
        most_a = float(limit("PR-04", "current_max_a"))
        table.add_row("current", f"{t.current_a:.2f} A", self._spark(self._currents, most_a), "")
        cap = f", cap {s.depth_cap_mm:.2f} mm" if s else ""
        depth_max_mm = float(limit("PR-05", "depth_max_mm"))
        table.add_row(
            "depth", f"{t.depth_mm:.2f} mm", self._bar(t.depth_mm / depth_max_mm, "cyan"),
            f"set {t.depth_set_mm:.2f} mm{cap}",
        )  # fmt: skip
        if s:
            for name, value_c, key in (("nose", s.nose_c, "SR-18"), ("winding", s.winding_c, "SR-19")):
                warn_c, stop_c = float(limit(key, "warn_c")), float(limit(key, "stop_c"))
                style = _traffic(value_c >= warn_c, value_c >= stop_c)
                table.add_row(
                    name, f"{value_c:.1f} °C", self._bar(value_c / stop_c, style),
                    f"warns at {warn_c:g}, stops at {stop_c:g} °C",
                )  # fmt: skip
        warn_v, stop_v = float(limit("SR-20", "warn_v")), float(limit("SR-20", "stop_v"))
        part = (t.cell_v - _CELL_V[0]) / (_CELL_V[1] - _CELL_V[0])
        style = _traffic(t.cell_v <= warn_v, t.cell_v <= stop_v)
        table.add_row(
            "battery",
            f"{t.cell_v:.2f} V",
            self._bar(part, style),
            f"warns at {warn_v:g}, stops at {stop_v:g} V",
        )
        if s:
            cartridge = f"{s.needles} needles" if s.needles else "none"
            left = f"{minutes(s.cartridge_left_s)} left" if s.needles else ""
            table.add_row("cartridge", cartridge, left, f"session {minutes(s.session_left_s)} left")
        return table

    def _words(self, frame: Frame) -> list[Text]:
        """Fault, blockers and warnings, each with its remedy."""
        found = []
        fault = fault_of(frame)
        if fault is not None:
            found.append(
                Text.assemble((f"fault: {fault.name} ({fault.requirement})", "bold red"), f"  {fault.text}")
            )
            found.append(Text(f"  What to do: {fault.remedy}"))
        elif frame.telemetry.fault != "none":
            found.append(
                Text(f"{frame.telemetry.fault}: of newer firmware than these tools", style="bold red")
            )
        for kind, word, style in (("blockers", "no start", "yellow"), ("warnings", "warning", "yellow")):
            for each in conditions(frame, kind):
                found.append(Text.assemble((f"{word}: ", style), each.text, ("  " + each.remedy, "dim")))
        if frame.status and frame.status.note:
            found.append(Text(f"last run: {frame.status.note}", style="dim"))
        return found

    def _spark(self, values: Sequence[float], highest: float) -> Text:
        """The last values as a row of bars, 0 to `highest`."""
        top = len(self._bars) - 1
        steps = (min(top, max(0, round(top * value / highest))) for value in values)
        return Text("".join(self._bars[step] for step in steps).rjust(self._width), style="cyan")

    def _bar(self, part: float, style: str) -> Text:
        full = round(self._width * min(max(part, 0.0), 1.0))
        line, rest = ("━", "─") if self._bars is _BARS else ("#", ".")
        return Text.assemble((line * full, style), (rest * (self._width - full), "dim"))


def _traffic(warns: bool, stops: bool) -> str:
    return "red" if stops else "yellow" if warns else "green"
