"""The reference of actions, quantities and conditions as Markdown, made from what the loader accepts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_args, get_origin

from pydantic.fields import FieldInfo

from needlepen.scenario import quantities
from needlepen.scenario.loader import ACTIONS


def markdown() -> str:
    """Three tables: actions with their fields, quantities, conditions."""
    lines = [
        *_table("Actions", ("`do`", "fields", "what happens"), _action_rows()),
        *_table("Quantities of an assert", ("`quantity`", "unit", "what is compared"), _quantity_rows()),
        *_table("Conditions", ("`when`", "true once"), _condition_rows()),
    ]
    return "\n".join(lines)


def _table(title: str, head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield from (f"### {title}", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}")
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


def _action_rows() -> Iterator[tuple[str, ...]]:
    for name, kind in ACTIONS.items():
        fields = {key: field for key, field in kind.model_fields.items() if key != "do"}
        text = (kind.__doc__ or "").strip().splitlines()[0]
        yield f"`{name}`", "<br>".join(_field(key, field) for key, field in fields.items()), text


def _choices(annotation: object) -> tuple[object, ...]:
    """The values of a Literal, also of one that may be left out."""
    if str(get_origin(annotation)) == "typing.Literal":
        return get_args(annotation)
    return tuple(choice for part in get_args(annotation) for choice in _choices(part))


def _field(key: str, field: FieldInfo) -> str:
    choices = _choices(field.annotation)
    possible = f": {', '.join(map(str, choices))}" if choices else ""
    default = "" if field.is_required() or field.default in (None, "") else f" (default {field.default})"
    return f"`{key}` {field.description}{possible}{default}"


def _quantity_rows() -> Iterator[tuple[str, ...]]:
    kinds: Mapping[str, str] = {"number": "", "yes_no": "true or false", "word": "text"}
    for quantity in quantities.QUANTITIES.values():
        yield f"`{quantity.name}`", quantity.unit or kinds[quantity.kind], quantity.meaning


def _condition_rows() -> Iterator[tuple[str, ...]]:
    for name, meaning in quantities.CONDITIONS.items():
        yield f"`{name}`", meaning
