"""Constants of the emulated pen as fields: each with unit in its name, meaning, source and permitted range."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from needlepen.errors import UsageError

DATASHEET = "datasheet"
ASSUMED = "assumed"


def constant(default: float, source: str, doc: str, lowest: float = 0.0, highest: float = math.inf) -> Any:
    """A field of a `Constants` class; `source` is DATASHEET or ASSUMED."""
    return field(
        default=default, metadata={"source": source, "doc": doc, "lowest": lowest, "highest": highest}
    )


@dataclass(frozen=True)
class Constants:
    """A set of constants, checked when made.

    Raises:
        UsageError: a value lies outside its permitted range.
    """

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            value, low, high = getattr(self, f.name), f.metadata["lowest"], f.metadata["highest"]
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                upper = "" if math.isinf(high) else f" to {high:g}"
                raise UsageError(
                    f"Pen parameter {f.name} = {value!r} lies outside the model ({f.metadata['doc']}): "
                    f"give a number from {low:g}{upper}."
                )

    def but(self, **changes: float) -> Self:
        """A copy with some values replaced.

        Raises:
            UsageError: an unknown name, or a value outside its range.
        """
        known = {f.name for f in dataclasses.fields(self)}
        for name in changes:
            if name not in known:
                raise UsageError(
                    f"There is no pen parameter {name!r}, so it cannot be set: PenParameters lists them."
                )
        return dataclasses.replace(self, **changes)  # __post_init__ checks the values

    def with_assignments(self, texts: Iterable[str]) -> Self:
        """A copy with values replaced as texts like "backlash_um=60" say.

        Raises:
            UsageError: a text that is no NAME=NUMBER, an unknown name, or a value outside its range.
        """
        changes: dict[str, float] = {}
        for text in texts:
            name, sign, value = (part.strip() for part in text.partition("="))
            try:
                changes[name] = float(value)
            except ValueError:
                sign = ""
            if not sign or not name:
                raise UsageError(
                    f"{text!r} sets no pen parameter; write NAME=NUMBER, for example backlash_um=60"
                )
        return self.but(**changes)
