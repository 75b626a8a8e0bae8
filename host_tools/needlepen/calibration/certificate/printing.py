"""A certificate as text in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from needlepen.calibration.certificate.blocks import Block, Document, Facts, Figure, Table, Text

_STYLES = {"pass": "green", "fail": "red", "note": "yellow", "": "default"}


def document(content: Document) -> None:
    """Print all of it; plots by their caption."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, 200))  # a pipe has no edge at which to break lines
    console.print(f"[bold]{content.title} {content.number}[/bold]\n{content.subtitle}", highlight=False)
    style = "green" if content.accepted else "red"
    console.print(f"[{style}]{content.verdict}[/{style}] {escape(content.summary)}", highlight=False)
    console.print(
        f"Verification code: {content.code or 'none'}. {escape(content.code_note)}", highlight=False
    )
    for section in content.sections:
        console.print(f"\n[bold]{escape(section.title)}[/bold]", highlight=False)
        for block in section.blocks:
            console.print(_drawn(block), highlight=False)


def _drawn(block: Block) -> Grid | str:
    if isinstance(block, Facts):
        grid = Grid.grid(padding=(0, 2))
        for name, value in block.pairs:
            grid.add_row(f"[dim]{escape(name)}[/dim]", escape(value))
        return grid
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Text):
        style = _STYLES[block.mark]
        return f"[{style}]{escape(block.text)}[/{style}]"
    if isinstance(block, Figure):
        return f"[dim](plot) {escape(block.caption)}[/dim]"
    return "\n".join(f"{who}: {escape(name)}" for who, name in block.lines)


def _table(block: Table) -> Grid:
    grid = Grid(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name, side in zip(block.headers, block.align, strict=True):
        grid.add_column(escape(name), justify="right" if side == "r" else "left")
    for place, cells in enumerate(block.rows):
        row = [escape(cell) for cell in cells]
        if block.marks and block.marks[place]:
            style = _STYLES[block.marks[place]]
            row[-1] = f"[{style}]{row[-1]}[/{style}]"
        grid.add_row(*row)
    return grid
