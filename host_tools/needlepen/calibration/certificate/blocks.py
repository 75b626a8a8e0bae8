"""What a certificate consists of, whichever way it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Mark = Literal["pass", "fail", "note", ""]


@dataclass(frozen=True)
class Facts:
    """Names with their values."""

    pairs: list[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """`align`: l or r for each column; `widths`: their shares; `marks`: one for each row, judging its last cell."""

    headers: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    align: str
    widths: tuple[int, ...]
    marks: Sequence[Mark] = field(default_factory=list)
    total_rows: int = 0
    """So many rows at the end sum up those before."""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    mark: Mark = ""


@dataclass(frozen=True)
class Figure:
    """A plot by its name in `plots.PLOTS`, and what it shows."""

    name: str
    caption: str


@dataclass(frozen=True)
class Signatures:
    """A line to sign on for each of (who, name as far as it is known)."""

    lines: list[tuple[str, str]]


Block = Facts | Table | Text | Figure | Signatures


@dataclass(frozen=True)
class Section:
    """A title with what belongs under it."""

    title: str
    blocks: list[Block]


@dataclass(frozen=True)
class Document:
    """All that is on the paper. `accepted`: a certificate; else a refusal report, which must not look like one.

    `across`: what is written over each page, so that it is not taken for what it is not.
    """

    title: str
    subtitle: str
    number: str
    accepted: bool
    verdict: str
    summary: str
    sections: list[Section]
    across: str
    code: str
    code_note: str
    footer: str

    def head(self) -> list[str]:
        """The texts before the sections, in their order."""
        found = [
            self.title,
            self.number,
            self.subtitle,
            self.verdict,
            self.summary,
            self.code,
            self.code_note,
        ]
        return [text for text in found if text]


def texts(section: Section) -> list[str]:
    """Every text of a section, in its order."""
    return [section.title, *(text for block in section.blocks for text in _texts(block) if text)]


def _texts(block: Block) -> list[str]:
    if isinstance(block, Facts):
        return [text for pair in block.pairs for text in pair]
    if isinstance(block, Table):
        return [*block.headers, *(cell for row in block.rows for cell in row)]
    if isinstance(block, Text):
        return [block.text]
    if isinstance(block, Figure):
        return [block.caption]
    return [text for who, name in block.lines for text in (name, who)]
