"""The events of the log as data, from firmware/events.toml."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from needlepen import toml_tables
from needlepen.errors import UsageError

FILE = "events.toml"
_Name = Annotated[str, Field(pattern=r"^[A-Z][A-Z_]+$")]


class Event(BaseModel):
    """A kind of event. `values` names its values with their unit; `text` may use them in braces."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    number: Annotated[int, Field(ge=1, le=255)]
    values: Annotated[tuple[str, ...], Field(strict=False, max_length=3)]
    text: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _text_uses_its_values(self) -> Event:
        self.sentence({**dict.fromkeys(self.values, 0), **_EXTRAS})
        return self

    def sentence(self, values: Mapping[str, Any]) -> str:
        """The text with its values. Raises ValueError if it uses one that is not there."""
        try:
            return self.text.format_map(values)
        except (KeyError, IndexError) as error:
            raise ValueError(f"the text uses {error}, which is none of its values") from None


_EXTRAS: Mapping[str, str] = dict.fromkeys(
    ("run", "kind_name", "reason_text", "cause_text", "was_armed_text", "entered_text", "present_text", "fault_name",
     "warning_names", "blocker_names", "profile_name", "day_text", "role_name", "passed_text"), ""
)  # fmt: skip
"""What the reader of a log adds to the values."""


def load(folder: Path | None = None) -> Mapping[str, Event]:
    """Events by name, of a firmware folder or of the project where that has none.

    Raises UsageError, one line, if the file cannot be used.
    """
    return _parse(*toml_tables.read(FILE, folder, "no log can be read without it"))


@cache
def _parse(text: str, where: str) -> Mapping[str, Event]:
    validate = TypeAdapter(dict[_Name, Event]).validate_python
    events = toml_tables.validated(validate, toml_tables.parse(text, where), where)
    numbers = [event.number for event in events.values()]
    twice = sorted({n for n in numbers if numbers.count(n) > 1})
    if twice:
        raise UsageError(
            f"{where}: number {twice[0]} is given to two events, so that logs cannot be read; change one"
        )
    return events
