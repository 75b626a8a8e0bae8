"""The buzzer on the pen's front: the tone that the waveform on its pin makes."""

from __future__ import annotations

Tone = tuple[float, float]  # frequency in Hz, duty 0 to 1


class Buzzer:
    """A passive buzzer. `history` has each change: device time in ns and the tone, None for silence."""

    def __init__(self) -> None:
        self.tone: Tone | None = None
        self.history: list[tuple[int, Tone | None]] = []

    @property
    def hz(self) -> float | None:
        """Frequency of the tone now, None for silence."""
        return self.tone[0] if self.tone else None

    def waveform(self, t_ns: int, duty: float | None, hz: float) -> None:
        """The waveform on the pin changed, as `Chip.on_pwm` reports it; a constant level is silence."""
        tone = (hz, duty) if duty is not None and 0.0 < duty < 1.0 and hz > 0.0 else None
        if tone != self.tone:
            self.tone = tone
            self.history.append((t_ns, tone))

    def sounds(self, from_ns: float = 0.0) -> list[tuple[float, float]]:
        """The tones since an instant as (frequency in Hz, duration in ms); one that still sounds is left out."""
        heard: list[tuple[float, float]] = []
        begun: tuple[int, float] | None = None
        for t_ns, tone in self.history:
            if begun is not None:
                heard.append((begun[1], (t_ns - begun[0]) / 1e6))
            begun = (t_ns, tone[0]) if tone is not None and t_ns >= from_ns else None
        return heard
