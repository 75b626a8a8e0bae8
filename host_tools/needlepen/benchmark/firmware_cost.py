"""What the firmware costs: control tick at its test point, reaction times of the cut-offs, flash and RAM."""

from __future__ import annotations

from dataclasses import dataclass, field

from needlepen.build import AppImage
from needlepen.emulator.pen import EmulatedPen
from needlepen.link.client import messages

TICK_PERIOD_NS = 1_000_000
AFTER_NS = 60e6


@dataclass
class TickTimes:
    """Edges of the test point TICK."""

    starts_ns: list[int] = field(default_factory=list)
    ends_ns: list[int] = field(default_factory=list)

    def take(self, t_ns: int, level: int | None) -> None:
        """One edge."""
        (self.starts_ns if level else self.ends_ns).append(t_ns)

    @property
    def costs_us(self) -> list[float]:
        """Cost of each tick, sorted."""
        return sorted((end - start) / 1e3 for start, end in zip(self.starts_ns, self.ends_ns, strict=False))

    @property
    def jitter_us(self) -> float:
        """Largest deviation of a start from the 1 ms grid of its predecessor."""
        pairs = zip(self.starts_ns, self.starts_ns[1:], strict=False)
        return max(abs(b - a - TICK_PERIOD_NS) for a, b in pairs) / 1e3


def watch_tick(pen: EmulatedPen) -> TickTimes:
    """Record the test point from now on."""
    times = TickTimes()
    pen.chip.on_output(pen.board.gpio("TICK"), times.take)
    return times


def memory(pen: EmulatedPen, image: AppImage) -> dict[str, float]:
    """Flash and heap figures, bytes."""
    statistics = pen.command(messages.GET_STATISTICS)
    return {
        "application in flash": float(sum(image.files.values())),
        "heap free while stroking": float(statistics["heap_free_bytes"]),
    }


def reaction_us(pen: EmulatedPen, cause: str, signal: str, level: int) -> float:
    """Device time from a cause to a signal of the electronics, us. Causes: trigger, halt, winding."""
    start_ns = float(pen.now_ns)
    electronics = pen.electronics
    if cause == "trigger":
        pen.release()
    elif cause == "halt":
        pen.chip.halt_cpu()
    else:
        electronics.short_winding(start_ns, True)
    pen.run_for(AFTER_NS)
    if cause == "winding":
        start_ns = electronics.first("OVERCURRENT", 1, start_ns) or start_ns
    reacted_ns = electronics.first(signal, level, start_ns)
    return float("inf") if reacted_ns is None else (reacted_ns - start_ns) / 1e3
