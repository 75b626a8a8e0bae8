"""The assert of a scenario: one quantity, one limit, now or inside a window."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field, model_validator

from needlepen import requirements
from needlepen.evidence import Measurement, Relation
from needlepen.scenario import quantities
from needlepen.scenario.base import PassiveAction

Observed = float | bool | str | None
"""What the runner found for a quantity; None when it could not be measured."""


class Assert(PassiveAction):
    """Compares a quantity with a value: now, at all times of the next `over_s`, or at last within `within_s`.

    `value`, `lower`, `over_s` and `within_s` are numbers, or name a limit such as "PR-04.start_ms". Yes-or-no
    quantities take true or false, words a text; both only with the relation "==".
    """

    do: Literal["assert"]
    quantity: str = Field(description="what to compare")
    relation: Relation = Field(
        default="==", description='"<=", ">=", "==", or "in" for lower <= quantity <= value'
    )
    value: float | bool | str = Field(description="what to compare with, in the quantity's unit")
    lower: float | None = Field(default=None, description='lower bound, with the relation "in"')
    over_s: float | None = Field(
        default=None, gt=0, le=60, description="must hold all this time, from now on"
    )
    within_s: float | None = Field(default=None, gt=0, le=60, description="must become true in this time")
    requirement: str = Field(default="", description="ID; the one of a named limit if not given")
    name: str = Field(default="", max_length=80, description="name in the report")

    @model_validator(mode="before")
    @classmethod
    def _resolve_limits(cls, fields: Any) -> Any:
        """Put numbers in place of named limits and note the requirement they belong to."""
        if not isinstance(fields, dict) or fields.get("quantity") not in quantities.QUANTITIES:
            return fields
        fields = dict(fields)
        quantity = quantities.QUANTITIES[fields["quantity"]]
        suffixes = {"over_s": "s", "within_s": "s"}
        if quantity.kind == "number":
            suffixes |= {key: quantities.unit_suffix(quantity.name) for key in ("value", "lower")}
        for key, suffix in suffixes.items():
            text = fields.get(key)
            if isinstance(text, str):
                fields[key] = quantities.limit(text, suffix)
                if not fields.get("requirement"):
                    fields["requirement"] = text.partition(".")[0]
        return fields

    @model_validator(mode="after")
    def _fits_together(self) -> Assert:
        quantities.known(self.quantity, quantities.QUANTITIES, "quantity")
        if self.requirement and self.requirement not in requirements.load():
            raise ValueError(f"{self.requirement!r} is no requirement; IDs look like SR-12")
        kind = quantities.QUANTITIES[self.quantity].kind
        found = {bool: "yes_no", str: "word"}.get(type(self.value), "number")
        if found != kind:
            needs = {"number": "a number", "yes_no": "true or false", "word": "a text"}[kind]
            raise ValueError(f"{self.quantity} is compared with {needs}, not with {self.value!r}")
        if kind != "number" and self.relation != "==":
            raise ValueError(f'{self.quantity} knows only the relation "==", not {self.relation!r}')
        if (self.lower is not None) != (self.relation == "in"):
            raise ValueError('lower and the relation "in" belong together')
        if self.lower is not None and self.lower > float(self.value):
            raise ValueError(f"lower = {self.lower:g} is above value = {self.value:g}, so nothing could pass")
        if self.over_s is not None and self.within_s is not None:
            raise ValueError("over_s and within_s exclude each other: all the time, or at last")
        return self

    @property
    def title(self) -> str:
        """The name in the report: as given, or built from the comparison."""
        return self.name or f"{self.quantity} {self._comparison}"

    @property
    def _comparison(self) -> str:
        unit = quantities.QUANTITIES[self.quantity].unit
        value = str(self.value).lower() if isinstance(self.value, bool) else self.value
        value = f"{value:g}" if isinstance(value, float) else value
        low = f"{self.lower:g} to " if self.lower is not None else ""
        return f"{self.relation} {low}{value}" + (f" {unit}" if unit else "")

    def holds(self, observed: Observed) -> bool:
        """Whether one observation satisfies the comparison, the window aside."""
        return self._at_once(observed, None).verdict == "pass"

    def worst(self, observed: Iterable[Observed]) -> Observed:
        """Of many observations the one with the least margin; None if one is missing or there are none."""
        found = list(observed)
        margins = [self._at_once(value, None).margin for value in found]
        if not found or None in margins:
            return None
        return found[min(range(len(found)), key=lambda i: margins[i] or 0.0)]

    def measurement(self, observed: Observed, time_s: float, elapsed_s: float | None = None) -> Measurement:
        """The evidence for this assert.

        With `within_s` it is the time until the comparison held: `elapsed_s`, None if it never did while it
        was watched. Otherwise it is `observed`: the value now, or the worst of the window.
        """
        if self.within_s is None:
            return self._at_once(observed, time_s)
        note = f"{self.quantity} {self._comparison}; last seen: {_written(observed)}"
        elapsed_ms = math.inf if elapsed_s is None else elapsed_s * 1e3
        return self._made(
            f"{self.title} reached", elapsed_ms, "ms", self.within_s * 1e3, "<=", note, None, time_s
        )

    def unmeasured(self) -> Measurement:
        """The evidence when the run ended before this assert could be judged."""
        note = "the run ended before this was measured"
        if self.within_s is not None:
            return self._made(
                f"{self.title} reached", None, "ms", self.within_s * 1e3, "<=", note, None, None
            )
        made = self._at_once(None, None)
        return self._made(made.name, None, made.unit, made.limit, made.relation, note, made.lower, None)

    def _at_once(self, observed: Observed, time_s: float | None) -> Measurement:
        quantity = quantities.QUANTITIES[self.quantity]
        note = f"over {self.over_s:g} s, the worst value" if self.over_s else ""
        if quantity.kind == "number":
            value = None if observed is None else float(observed)
            return self._made(
                self.title, value, quantity.unit, float(self.value), self.relation, note, self.lower, time_s
            )
        same = None if observed is None else float(observed == self.value)
        note = "; ".join(filter(None, [note, f"seen: {_written(observed)}", "1 is as required"]))
        return self._made(self.title, same, "", 1.0, "==", note, None, time_s)

    def _made(
        self,
        name: str,
        value: float | None,
        unit: str,
        limit: float,
        relation: Relation,
        note: str,
        lower: float | None,
        time_s: float | None,
    ) -> Measurement:
        return Measurement(name, value, unit, limit, relation, self.requirement, note, lower, time_s)


def _written(observed: Observed) -> str:
    if observed is None:
        return "nothing"
    return f"{observed:.4g}" if isinstance(observed, float) else str(observed).lower()
