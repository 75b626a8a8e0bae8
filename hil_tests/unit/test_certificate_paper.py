"""A PDF of a certificate that says all that it has to say, and on which something else was put besides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fpdf import FPDF
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import FreeText
from pypdf.generic import RectangleObject
from support import calibrations as factory
from support.nights import mostly_nightly

from needlepen.calibration.certificate import making
from needlepen.calibration.certificate.code import CodeKey
from needlepen.calibration.certificate.paper import read_pdf
from needlepen.calibration.certificate.verifying import verify
from needlepen.calibration.database import open_database
from needlepen.calibration.database.store import Database
from needlepen.records import making as records

KEY = CodeKey(records.technician_key(bytes(range(32))), False)
MADE = factory.calibration(1, key=KEY.secret)
DRAWN, SAID = "PDF: as drawn", "PDF: nothing else on it"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with open_database(str(tmp_path_factory.mktemp("database") / "c.db")) as opened:
        opened.add(MADE)
        yield opened


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return making.make(MADE, tmp_path_factory.mktemp("genuine"), key=KEY).pdf


def _sheet(path: Path, text: str = "") -> Path:
    """A page with a white box over the head, and a text in it."""
    sheet = FPDF(format="A4")
    sheet.add_page()
    sheet.set_fill_color(255, 255, 255)
    sheet.rect(15, 30, 180, 30, style="F")
    if text:
        sheet.set_font("helvetica", size=20)
        sheet.text(30, 50, text)
    sheet.output(str(path))
    return path


def _stamped(writer: PdfWriter, path: Path, text: str) -> None:
    writer.pages[0].merge_page(PdfReader(_sheet(path, text)).pages[0])


def _image(writer: PdfWriter) -> None:
    """Another plot in the place of the genuine one, as large."""
    for page in writer.pages:
        for image in page.images:
            picture = image.image
            assert picture is not None
            image.replace(picture.point(lambda value: 255 - value))


FORGERIES: dict[str, tuple[Callable[[PdfWriter, Path], object], dict[str, bool | None]]] = {
    "saved anew": (lambda writer, path: None, {SAID: True, DRAWN: True}),
    "white box over it": (lambda w, path: _stamped(w, path, ""), {SAID: True, DRAWN: False}),
    "text over it": (lambda w, path: _stamped(w, path, "error 0.000 mm"), {SAID: False, DRAWN: False}),
    "a page more": (
        lambda w, path: w.add_page(PdfReader(_sheet(path, "accredited")).pages[0]),
        {SAID: False, DRAWN: False},
    ),
    "cut off": (
        lambda w, path: setattr(w.pages[0], "cropbox", RectangleObject((0, 0, 300, 300))),
        {SAID: True, DRAWN: False},
    ),
    "a note on it": (
        lambda w, path: w.add_annotation(0, FreeText(text="U = 0.001 mm", rect=(50, 550, 200, 650))),
        {SAID: True, DRAWN: None},
    ),
    "another plot": (lambda w, path: _image(w), {SAID: True, DRAWN: None}),
}


@pytest.mark.parametrize("what", mostly_nightly(FORGERIES, "saved anew", "white box over it"))
def test_what_was_put_on_it_besides_is_found(
    what: str, genuine: Path, database: Database, tmp_path: Path
) -> None:
    change, wanted = FORGERIES[what]
    writer = PdfWriter(clone_from=genuine)
    change(writer, tmp_path / "sheet.pdf")
    writer.write(tmp_path / "forged.pdf")
    paper = read_pdf(tmp_path / "forged.pdf")
    checks = {one.name: one for one in verify(paper.number, paper.code, database, paper=paper, key=KEY)}
    print({name: checks[name].found for name in wanted})
    assert {name: checks[name].agrees for name in wanted} == wanted
    others = {name for name, one in checks.items() if not one.agrees} - set(wanted)
    assert others == set(), "nothing of what it has to say is missing"


def test_a_computer_without_the_key_finds_nothing_wrong_and_says_what_it_cannot_check(
    genuine: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An auditor's computer, with an imported database; and a paper that was printed where no key is."""
    monkeypatch.setattr("needlepen.calibration.certificate.verifying.find_key", lambda made: None)
    paper = read_pdf(genuine)
    checks = verify(paper.number, paper.code, database, paper=paper)
    assert [one.name for one in checks if one.agrees is False] == []
    assert {one.name for one in checks if one.agrees is None} == {"code", "record"}
