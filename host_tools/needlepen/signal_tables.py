"""What the pen shows and sounds, as Markdown tables for the operator."""

from __future__ import annotations

from needlepen import supervision
from needlepen.documents import table
from needlepen.signals import Signals


def signal_tables(signals: Signals) -> str:
    """Two tables: pixel and buzzer."""
    return f"{_pixel(signals)}\n\n{_buzzer(signals)}"


def _pixel(signals: Signals) -> str:
    states = supervision.load().states
    rows = [
        (light.rhythm, light.colour, states[light.state].name.replace("_", " "), light.text)
        for light in signals.pixel.values()
    ]
    return table(("pixel", "colour", "state", "what it means"), rows)


def _buzzer(signals: Signals) -> str:
    rows = [
        (
            sound.rhythm,
            name.replace("_", " "),
            sound.text + (" Always at full volume." if sound.alarm else ""),
        )
        for name, sound in signals.sounds.items()
    ]
    return table(("buzzer", "sound", "what it means"), rows)
