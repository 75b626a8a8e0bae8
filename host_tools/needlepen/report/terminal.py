"""The summary that a run prints."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from needlepen.evidence import RunRecord
from needlepen.report import words

_STYLES = {"pass": "green", "marginal": "yellow", "fail": "bold red", "unset": "yellow"}


def summary(record: RunRecord) -> Group:
    """A table of all measurements with the verdict of the run below it; print it with a rich console."""
    table = Table(box=None, pad_edge=False, header_style="dim", title_justify="left")
    for name, justify in (("req.", "left"), ("measurement", "left"), ("value", "right"), ("limit", "left"),
                          ("margin", "right"), ("verdict", "left")):  # fmt: skip
        table.add_column(name, justify=justify, no_wrap=name != "measurement")  # type: ignore[arg-type]
    for m in sorted(record.measurements, key=lambda m: m.requirement):
        shown = "marginal" if m.marginal else m.verdict
        verdict = Text(shown, style=_STYLES[shown])
        table.add_row(m.requirement, escape(m.name), words.value(m), words.limit(m), words.margin(m), verdict)
    overall = words.run_verdict(record)
    style = {"pass": "bold green", "fail": "bold red", "partial, failed": "bold red"}.get(
        overall, "bold yellow"
    )
    speed = f", {record.device_s / record.wall_s:.2f} x real time" if record.wall_s else ""
    last = Text.assemble(
        (overall.upper(), style), f"  {words.tally(record)}; {record.device_s:.2f} s of device time{speed}"
    )
    parts: list[RenderableType] = [Padding(table, (1, 0)), last]
    if not record.complete:
        parts.append(Text(words.partial_reason(record), style="yellow"))
    return Group(*parts)
