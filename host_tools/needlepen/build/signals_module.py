"""Text of the firmware's `pen/signals.py`: patterns and notes as bytes, in the steps that signals.toml allows."""

from __future__ import annotations

from needlepen import supervision
from needlepen.signals import LIGHT_STEP_MS, TONE_STEP_HZ, TONE_STEP_MS, Light, Signals, Sound

LightRow = tuple[int, int, int, bytes, bytes, int, bool]
SoundRow = tuple[bytes, int, bool]


def sound_constants(signals: Signals) -> dict[str, int]:
    """SOUND_KEY and so on: the place of each sound in SOUNDS."""
    return {f"SOUND_{name.upper()}": place for place, name in enumerate(signals.sounds)}


def signals_module(signals: Signals) -> str:
    """Source of pen/signals.py; it imports on MicroPython and on CPython."""
    lines = [
        "# Generated from firmware/signals.toml: change the entries there.",
        *(f"{name} = {place}" for name, place in sound_constants(signals).items()),
        f"LIGHT_STEP_MS = {LIGHT_STEP_MS}",
        f"TONE_STEP_HZ = {TONE_STEP_HZ}",
        f"TONE_STEP_MS = {TONE_STEP_MS}",
        "# state, blockers, warnings (either mask suffices, both 0: always), GRB, rhythm in steps, sound, passing",
        f"LIGHTS = {tuple(_light(signals, light) for light in signals.pixel.values())!r}",
        "# frequency and duration of each note in steps, repeat in s, alarm",
        f"SOUNDS = {tuple(_sound(sound) for sound in signals.sounds.values())!r}",
        "# warnings, the sound that announces them",
        f"ANNOUNCED = {tuple(_announced(signals))!r}",
    ]
    return "\n".join(lines) + "\n"


def _light(signals: Signals, light: Light) -> LightRow:
    masks = [signals.masks(group) for group in light.groups]
    stops, warns = sum(stops for stops, _ in masks), sum(warns for _, warns in masks)
    state = supervision.load().states[light.state].number
    red, green, blue = signals.colours[light.colour]
    pattern = bytes(ms // LIGHT_STEP_MS for ms in light.pattern_ms)
    sound = list(signals.sounds).index(light.sound) if light.sound else -1
    return (state, stops, warns, bytes((green, red, blue)), pattern, sound, light.passing)


def _sound(sound: Sound) -> SoundRow:
    notes = bytes(step for hz, ms in sound.notes for step in (hz // TONE_STEP_HZ, ms // TONE_STEP_MS))
    return (notes, sound.repeat_s, sound.alarm)


def _announced(signals: Signals) -> list[tuple[int, int]]:
    return [
        (signals.masks(sound.group)[1], place)
        for place, sound in enumerate(signals.sounds.values())
        if sound.group is not None
    ]
