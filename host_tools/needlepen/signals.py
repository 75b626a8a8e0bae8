"""What the pen shows and sounds, as data: firmware/signals.toml.

The firmware's pen/signals.py and the table in the project's README.md are made from it; the host explains by it what
the operator sees.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from needlepen import supervision, toml_tables
from needlepen.errors import UsageError
from needlepen.supervision import Condition, Supervision

FILE = "signals.toml"
LIGHT_STEP_MS = 50
TONE_STEP_HZ = 50
TONE_STEP_MS = 10
UNSHOWN = ("wait", "unshown")  # groups of blockers and warnings that no entry of their own shows
Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[a-z_]+$")]
Level = Annotated[int, Field(ge=0, le=255)]
LightMs = Annotated[int, Field(gt=0, le=255 * LIGHT_STEP_MS, multiple_of=LIGHT_STEP_MS)]
ToneHz = Annotated[int, Field(ge=0, le=255 * TONE_STEP_HZ, multiple_of=TONE_STEP_HZ)]
ToneMs = Annotated[int, Field(gt=0, le=255 * TONE_STEP_MS, multiple_of=TONE_STEP_MS)]

Members = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Light(_Entry):
    """What the pixel shows in a state. `pattern_ms`: light, dark, light ... over and over; `passing`: no news."""

    state: str
    groups: Annotated[tuple[str, ...], Field(strict=False)] = ()
    colour: str
    pattern_ms: Annotated[tuple[LightMs, ...], Field(strict=False, min_length=1)]
    rhythm: Text
    text: Text
    sound: str | None = None
    passing: bool = False

    @model_validator(mode="after")
    def _light_and_dark_take_turns(self) -> Light:
        if len(self.pattern_ms) > 1 and len(self.pattern_ms) % 2:
            raise ValueError(
                "a pattern is light, dark, light, dark ...: it needs an even count, or one number"
            )
        return self


class Sound(_Entry):
    """What the buzzer sounds. `notes`: (Hz, ms), 0 Hz is silence; `group`: the warnings that it announces."""

    notes: Annotated[
        tuple[Annotated[tuple[ToneHz, ToneMs], Field(strict=False)], ...], Field(strict=False, min_length=1)
    ]
    rhythm: Text
    text: Text
    group: str | None = None
    repeat_s: Annotated[int, Field(ge=0, le=255)] = 0
    alarm: bool = False


class Signals(_Entry):
    """The whole file, checked against the states, blockers and warnings of the supervisor."""

    colours: Mapping[Name, Annotated[tuple[Level, Level, Level], Field(strict=False)]]
    blocker_groups: Mapping[Name, Members]
    warning_groups: Mapping[Name, Members]
    pixel: Mapping[Name, Light]
    sounds: Mapping[Name, Sound]

    @model_validator(mode="after")
    def _every_state_blocker_and_warning_is_shown(self) -> Signals:
        tables = supervision.load()
        for problem in (
            *_grouping(self.blocker_groups, tables.blockers, "blocker"),
            *_grouping(self.warning_groups, tables.warnings, "warning"),
            *self._light_problems(tables),
            *self._sound_problems(),
        ):
            raise ValueError(problem)
        return self

    def _light_problems(self, tables: Supervision) -> Iterator[str]:
        groups = {*self.blocker_groups, *self.warning_groups}
        for group in self.blocker_groups.keys() & self.warning_groups.keys():
            yield f"group {group}: blockers and warnings have one of this name; rename one"
        for name, light in self.pixel.items():
            if light.state not in tables.states:
                yield f"pixel.{name}: {light.state!r} is no state; use one of {', '.join(tables.states)}"
            if light.colour not in self.colours:
                yield f"pixel.{name}: there is no colour {light.colour!r}; use one of {', '.join(self.colours)}"
            if light.sound is not None and light.sound not in self.sounds:
                yield f"pixel.{name}: there is no sound {light.sound!r}; use one of {', '.join(self.sounds)}"
            for group in light.groups:
                if group not in groups:
                    yield f"pixel.{name}: there is no group {group!r}; use one of {', '.join(sorted(groups))}"
        for state in tables.states:
            entries = [light for light in self.pixel.values() if light.state == state]
            if [not light.groups for light in entries] != [False] * (len(entries) - 1) + [True]:
                yield f"state {state}: needs one entry without groups, as its last: else something shows nothing"
        shown = {group for light in self.pixel.values() for group in light.groups}
        for group in groups - shown - set(UNSHOWN):
            yield f"group {group}: no pixel entry shows it"

    def _sound_problems(self) -> Iterator[str]:
        for name, sound in self.sounds.items():
            if sound.group is not None and sound.group not in self.warning_groups:
                yield f"sounds.{name}: there is no group of warnings {sound.group!r}"

    def shown(self, state: str, blockers: int = 0, warnings: int = 0) -> str:
        """Name of the pixel entry that the pen shows in a state (name as in states.toml) with these masks."""
        for name, light in self.pixel.items():
            masks = [self.masks(group) for group in light.groups]
            if light.state == state and (
                not masks or any(blockers & stops or warnings & warns for stops, warns in masks)
            ):
                return name
        raise UsageError(f"There is no state {state!r} that the pen could show.")

    def masks(self, group: str) -> tuple[int, int]:
        """Mask of the blockers and mask of the warnings in the groups of this name."""
        tables = supervision.load()
        stops = sum(tables.blockers[name].mask for name in self.blocker_groups.get(group, ()))
        return stops, sum(tables.warnings[name].mask for name in self.warning_groups.get(group, ()))


def _grouping(
    groups: Mapping[str, tuple[str, ...]], known: Mapping[str, Condition], kind: str
) -> Iterator[str]:
    grouped = [name for names in groups.values() for name in names]
    for name in grouped:
        if name not in known:
            yield f"{kind}_groups: there is no {kind} {name!r} in states.toml"
        if grouped.count(name) > 1:
            yield f"{kind}_groups: {name} is in two groups, so that it is not clear what is shown"
    for name in known.keys() - set(grouped):
        yield f"{kind}_groups: {name} is in no group, so that nothing shows it; put it into one"


def load(folder: Path | None = None) -> Signals:
    """Read the signals of a firmware folder; the project's own where it has none.

    Raises UsageError, one line, if the file cannot be used.
    """
    return parse(*toml_tables.read(FILE, folder, "pixel and buzzer are made from it"))


@cache
def parse(text: str, where: str = FILE) -> Signals:
    """The signals in a TOML text. Raises UsageError, one line that begins with `where`."""
    return toml_tables.validated(Signals.model_validate, toml_tables.parse(text, where), where)
