"""A certificate as PDF (fpdf2): A4, DejaVu Sans, the same bytes for the same calibration."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path
from typing import Any

from fpdf import FPDF
from fpdf.enums import MethodReturnValue, TableBordersLayout
from fpdf.fonts import FontFace

from needlepen.calibration.certificate.blocks import (
    Block,
    Document,
    Facts,
    Figure,
    Mark,
    Section,
    Signatures,
    Table,
    Text,
)
from needlepen.calibration.certificate.plots import SIZE_MM

_MARGIN, _WIDTH, _BOTTOM = 15.0, 180.0, 20.0
_INK, _QUIET, _LINE, _HEAD = (15, 23, 42), (90, 100, 115), (203, 213, 225), (241, 245, 249)
_GREEN, _RED, _AMBER = (21, 103, 61), (176, 28, 28), (146, 84, 9)
_COLOURS: dict[Mark, tuple[int, int, int]] = {"pass": _GREEN, "fail": _RED, "note": _AMBER, "": _INK}
_SIZE, _SMALL = 8.0, 7.0
_TOGETHER = 120.0


def render(document: Document, figures: dict[str, bytes], at: datetime) -> bytes:
    """The bytes of the PDF. `figures`: PNG of each Figure by its name; `at`: what it says it was made at."""
    paper = _Paper(document, at)
    paper.add_page()
    _head(paper, document)
    _code(paper, document)
    for section in document.sections:
        _keep_together(paper, _least_mm(section))
        _title(paper, section.title)
        for block in section.blocks:
            _block(paper, block, figures)
    return bytes(paper.output())


class _Paper(FPDF):
    """Pages with what is on each of them: number, page x of y, and on a refusal what it is, across the page."""

    def __init__(self, document: Document, at: datetime) -> None:
        super().__init__(format="A4")
        self._document = document
        fonts = _fonts()
        self.add_font("body", "", fonts / "DejaVuSans.ttf")
        self.add_font("body", "B", fonts / "DejaVuSans-Bold.ttf")
        self.set_margins(_MARGIN, _MARGIN)
        self.c_margin = 0
        self.set_auto_page_break(True, _BOTTOM)
        self.set_creation_date(at)
        self.set_title(f"{document.title} {document.number}")
        self.set_subject(document.subtitle)
        self.set_keywords(f"number={document.number}; code={document.code}")
        self.set_creator(document.footer)
        self.set_lang("en")

    def header(self) -> None:
        if self.page_no() > 1:
            self.set_y(9)
            self.set_font("body", "", _SMALL)
            self.set_text_color(*_QUIET)
            self.cell(_WIDTH, 4, f"{self._document.title} {self._document.number}")
            self.set_y(_MARGIN + 2)

    def footer(self) -> None:
        if self._document.across:
            self._across(self._document.across)
        self.set_draw_color(*_LINE)
        self.line(_MARGIN, self.h - 14, _MARGIN + _WIDTH, self.h - 14)
        self.set_font("body", "", _SMALL)
        self.set_text_color(*_QUIET)
        code = f"code {self._document.code}" if self._document.code else ""
        for text, align in ((self._document.number, "L"), (code, "C")):
            self.set_xy(_MARGIN, -12)
            self.cell(_WIDTH, 5, text, align=align)
        # The number of pages is put in later; until then a digit holds its place.
        self.set_xy(_MARGIN + _WIDTH - self.get_string_width(f"page {self.page_no()} of 0"), -12)
        self.cell(30, 5, f"page {self.page_no()} of {{nb}}")

    def _across(self, text: str) -> None:
        """Over all that is on the page, so that no picture of it can do without."""
        self.set_font("body", "B", 56)
        self.set_text_color(*_RED)
        with self.local_context(fill_opacity=0.13), self.rotation(52, self.w / 2, self.h / 2):
            self.text(self.w / 2 - self.get_string_width(text) / 2, self.h / 2 + 8, text)


def _fonts() -> Path:
    """DejaVu Sans comes with matplotlib: the fonts that every PDF reader has lack Greek letters and ≤."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def _head(paper: _Paper, document: Document) -> None:
    colour = _GREEN if document.accepted else _RED
    paper.set_text_color(*_INK)
    paper.set_font("body", "B", 18)
    paper.cell(120, 9, document.title)
    paper.set_font("body", "B", 12)
    paper.cell(60, 9, document.number, align="R", new_x="LMARGIN", new_y="NEXT")
    paper.set_font("body", "", 9)
    paper.set_text_color(*_QUIET)
    paper.cell(_WIDTH, 6, document.subtitle, new_x="LMARGIN", new_y="NEXT")
    paper.ln(2)
    top = paper.get_y()
    paper.set_fill_color(*colour)
    paper.set_text_color(255, 255, 255)
    paper.set_font("body", "B", 12)
    paper.set_font("body", "", 8.5)
    height = max(13.0, 5 + 4.4 * _lines(paper, document.summary, 140))
    paper.rect(_MARGIN, top, _WIDTH, height, style="F", round_corners=True, corner_radius=1.5)
    paper.set_xy(_MARGIN + 3, top)
    paper.set_font("body", "B", 12)
    paper.cell(34, height, document.verdict)
    paper.set_font("body", "", 8.5)
    paper.set_xy(_MARGIN + 37, top + (height - 4.4 * _lines(paper, document.summary, 140)) / 2)
    paper.multi_cell(140, 4.4, document.summary, align="L")
    paper.set_xy(_MARGIN, top + height + 1)


def _lines(paper: FPDF, text: str, width: float) -> int:
    found: Any = paper.multi_cell(width, 4.4, text, align="L", dry_run=True, output=MethodReturnValue.LINES)
    return len(found)


def _title(paper: FPDF, text: str) -> None:
    paper.ln(3.2)
    paper.set_font("body", "B", 10)
    paper.set_text_color(*_INK)
    paper.cell(_WIDTH, 5.5, text, new_x="LMARGIN", new_y="NEXT")
    paper.set_draw_color(*_LINE)
    paper.line(_MARGIN, paper.get_y(), _MARGIN + _WIDTH, paper.get_y())
    paper.ln(1.4)


def _block(paper: FPDF, block: Block, figures: dict[str, bytes]) -> None:
    if isinstance(block, Facts):
        _facts(paper, block)
    elif isinstance(block, Table):
        _table(paper, block)
    elif isinstance(block, Text):
        _text(paper, block.text, _COLOURS[block.mark])
    elif isinstance(block, Figure):
        paper.image(io.BytesIO(figures[block.name]), x=_MARGIN, w=_WIDTH)
        paper.ln(1)
        _text(paper, block.caption, _QUIET)
    else:
        _signatures(paper, block)


def _facts(paper: FPDF, facts: Facts) -> None:
    """Two pairs beside each other; a long value goes on below, within its column."""
    half, label = _WIDTH / 2, 38.0
    for at in range(0, len(facts.pairs), 2):
        pairs = facts.pairs[at : at + 2]
        paper.set_font("body", "", _SIZE)
        height = 4.2 * max(_lines(paper, value, half - label - 3) for _, value in pairs)
        _keep_together(paper, height)
        top = paper.get_y()
        for place, (name, value) in enumerate(pairs):
            paper.set_xy(_MARGIN + place * half, top)
            paper.set_text_color(*_QUIET)
            paper.cell(label, 4.2, name)
            paper.set_text_color(*_INK)
            paper.multi_cell(half - label - 3, 4.2, value, align="L")
        paper.set_xy(_MARGIN, top + height)
    paper.ln(0.8)


def _table(paper: FPDF, table: Table) -> None:
    size = _SMALL if len(table.headers) <= 9 else 5.6
    paper.set_font("body", "", size)
    paper.set_text_color(*_INK)
    paper.set_draw_color(*_LINE)
    paper.set_fill_color(255, 255, 255)
    head = FontFace(emphasis="BOLD", color=_INK, fill_color=_HEAD, size_pt=size)
    with paper.table(
        col_widths=table.widths, text_align=tuple("RIGHT" if side == "r" else "LEFT" for side in table.align),
        borders_layout=TableBordersLayout.HORIZONTAL_LINES, headings_style=head, line_height=3.6 if size > 6 else 3.2,
        padding=(0.5, 0.8), width=_WIDTH,
    ) as drawn:  # fmt: skip
        drawn.row(table.headers)
        for place, cells in enumerate(table.rows):
            total = place >= len(table.rows) - table.total_rows
            row = drawn.row(style=FontFace(emphasis="BOLD") if total else None)
            for column, cell in enumerate(cells):
                judged = bool(table.marks) and column == len(cells) - 1
                row.cell(cell, style=_judgement(table.marks[place]) if judged else None)
    paper.ln(1.6)


def _judgement(mark: Mark) -> FontFace:
    return FontFace(emphasis="BOLD", color=_COLOURS[mark])


def _text(paper: FPDF, text: str, colour: tuple[int, int, int]) -> None:
    paper.set_font("body", "", _SIZE)
    paper.set_text_color(*colour)
    paper.multi_cell(_WIDTH, 4.0, text, align="L", new_x="LMARGIN", new_y="NEXT")
    paper.ln(0.8)


def _signatures(paper: FPDF, block: Signatures) -> None:
    _keep_together(paper, 13.0 * len(block.lines))
    for who, name in block.lines:
        paper.ln(7)
        top = paper.get_y()
        paper.set_draw_color(*_QUIET)
        for place, (label, value, width) in enumerate(
            ((who, name, 70.0), ("Date", "", 34.0), ("Signature", "", 66.0))
        ):
            left = _MARGIN + (0.0, 75.0, 114.0)[place]
            paper.set_xy(left, top - 4.5)
            paper.set_font("body", "", _SIZE)
            paper.set_text_color(*_INK)
            paper.cell(width, 4, value)
            paper.line(left, top, left + width, top)
            paper.set_xy(left, top + 0.5)
            paper.set_font("body", "", _SMALL)
            paper.set_text_color(*_QUIET)
            paper.cell(width, 4, label)
        paper.set_xy(_MARGIN, top + 5)


def _code(paper: FPDF, document: Document) -> None:
    paper.ln(1.5)
    top = paper.get_y()
    paper.set_fill_color(*_HEAD)
    paper.set_font("body", "", _SMALL)
    height = 7.5 + 3.6 * _lines(paper, document.code_note, _WIDTH - 8)
    paper.rect(_MARGIN, top, _WIDTH, height, style="F", round_corners=True, corner_radius=1.5)
    paper.set_xy(_MARGIN + 3, top + 1.2)
    paper.set_text_color(*_QUIET)
    paper.cell(34, 5, "Verification code")
    paper.set_text_color(*_INK)
    paper.set_font("body", "B", 10)
    paper.cell(100, 5, document.code or "none")
    paper.set_xy(_MARGIN + 3, top + 6.2)
    paper.set_font("body", "", _SMALL)
    paper.multi_cell(_WIDTH - 8, 3.6, document.code_note, align="L")
    paper.set_xy(_MARGIN, top + height)


def _least_mm(section: Section) -> float:
    """What of a section goes on one page: all of it, if it is not too long; roughly, from its texts."""
    whole = 12.0 + sum(_height_mm(block) for block in section.blocks)
    return whole if whole < _TOGETHER else 12.0 + _height_mm(section.blocks[0])


def _height_mm(block: Block) -> float:
    if isinstance(block, Figure):
        return SIZE_MM[1] + 10
    if isinstance(block, Table):
        return 2 + 5.0 * (1 + len(block.rows))
    if isinstance(block, Facts):
        return 2 + 2.2 * len(block.pairs)
    if isinstance(block, Text):
        return 1 + 4.0 * (1 + len(block.text) // 120)
    return 14.0 * len(block.lines)


def _keep_together(paper: FPDF, height: float) -> None:
    if paper.get_y() + height > paper.h - _BOTTOM:
        paper.add_page()
