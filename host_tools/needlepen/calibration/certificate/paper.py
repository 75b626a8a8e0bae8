"""The PDF of a certificate as somebody hands it in: what it says, and whether it is what this program draws.

A forger need not change a word of it: a white box with other numbers over a page, a page more, another plot. So the PDF
is made anew, and the two are compared: the text of each page, what is drawn on it, and fonts and pictures. The file
itself may differ, since a viewer that saves it again writes it in another way.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pypdf import PdfReader
from pypdf.errors import PyPdfError
from pypdf.generic import ArrayObject, DictionaryObject, IndirectObject, NullObject, StreamObject

from needlepen.errors import UsageError

_SAID = 60
"""So many characters of a difference are told."""
_BROKEN = (PyPdfError, KeyError, ValueError, TypeError, AttributeError)
"""What pypdf raises over a file that is damaged somewhere."""


@dataclass(frozen=True)
class Paper:
    """What a PDF says of itself, its text page by page, and its bytes."""

    number: str
    code: str
    pages: tuple[str, ...]
    data: bytes

    @property
    def text(self) -> str:
        """Of all pages."""
        return "".join(self.pages)


@dataclass(frozen=True)
class Comparison:
    """One of `compare`; `agrees` None: nobody can say, `found` tells why."""

    name: str
    agrees: bool | None
    found: str


def read_pdf(path: Path) -> Paper:
    """Number, code and text of a certificate. Raises UsageError if the file is none."""
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except _BROKEN:
        raise UsageError(f"{path}: no certificate of needlepen; give its PDF as it was made") from None


def parse(data: bytes) -> Paper:
    """The same of its bytes. Raises KeyError, ValueError or what pypdf raises if they are no certificate."""
    reader = PdfReader(io.BytesIO(data))
    words = str(reader.metadata.get("/Keywords", "")) if reader.metadata else ""
    told = dict(part.strip().split("=", 1) for part in words.split(";") if "=" in part)
    pages = tuple(page.extract_text() for page in reader.pages)
    return Paper(told["number"], told["code"], pages, data)


def packed(text: str) -> str:
    """Without blanks: lines are broken, and cells put beside each other, where the paper ends."""
    return "".join(text.split())


def same_text(paper: Paper, anew: Paper) -> bool:
    """Whether each page says what the page of the other one says."""
    return [packed(page) for page in paper.pages] == [packed(page) for page in anew.pages]


def compare(paper: Paper, anew: Paper) -> Iterator[Comparison]:
    """A PDF with the one that is made anew of the same calibration."""
    yield Comparison("nothing else on it", same_text(paper, anew), _first_difference(paper, anew))
    if paper.data == anew.data:
        yield Comparison("as drawn", True, "the same file, byte for byte")
        return
    try:
        yield _drawn(PdfReader(io.BytesIO(paper.data)), PdfReader(io.BytesIO(anew.data)))
    except _BROKEN as error:
        yield Comparison("as drawn", False, f"its pages cannot be read ({error})")


def _first_difference(paper: Paper, anew: Paper) -> str:
    for place, (found, wanted) in enumerate(zip(paper.pages, anew.pages, strict=False), 1):
        found, wanted = packed(found), packed(wanted)
        if found != wanted:
            pairs = zip(found, wanted, strict=False)
            at = next(
                (n for n, (one, other) in enumerate(pairs) if one != other), min(len(found), len(wanted))
            )
            said, right = (text[at : at + _SAID] or "nothing" for text in (found, wanted))
            return f"page {place}: {said!r} in place of {right!r}"
    if len(paper.pages) != len(anew.pages):
        return f"{len(paper.pages)} pages in place of {len(anew.pages)}"
    return "nothing else"


def _drawn(found: PdfReader, wanted: PdfReader) -> Comparison:
    """What is drawn on the pages, apart from how the file is written."""
    name = "as drawn"
    if any("/Annots" in page for page in found.pages):
        return Comparison(
            name, None, "not checked: notes, a stamp or a signature were put on it; look what they cover"
        )
    made_by = [reader.metadata.producer if reader.metadata else None for reader in (found, wanted)]
    drawn, right = ([_contents(page) for page in reader.pages] for reader in (found, wanted))
    if drawn != right:
        if made_by[0] != made_by[1]:
            text = f"not checked: made by {made_by[0] or 'another program'}, here it is {made_by[1]}"
            return Comparison(name, None, f"{text}; compare it by eye with one that is made anew")
        places = [n for n, (one, other) in enumerate(zip(drawn, right, strict=False), 1) if one != other]
        which = f"page {', '.join(map(str, places))}" if places else "pages were added or taken out"
        return Comparison(name, False, f"changed after it was made: {which}")
    used, usual = ([_digest(page.get("/Resources")) for page in reader.pages] for reader in (found, wanted))
    if used != usual:
        return Comparison(
            name, None, "not checked: fonts or the plot are others, as of another version of matplotlib; compare them "
            "by eye with one that is made anew",
        )  # fmt: skip
    return Comparison(name, True, "the same pages in another file, as a viewer saves it")


def _contents(page: Any) -> bytes:
    """What a page draws, in the order of its parts, and through which window it is seen."""
    contents = page.get_contents()
    window = [str(page.get(key)) for key in ("/CropBox", "/Rotate", "/UserUnit")]
    return bytes(contents.get_data() if contents is not None else b"") + repr(window).encode()


def _digest(thing: Any, depth: int = 12) -> str:
    """Of an object of a PDF and what it refers to, whichever way it is written."""
    if isinstance(thing, IndirectObject):
        thing = thing.get_object()
    if depth == 0 or thing is None or isinstance(thing, NullObject):
        return ""
    if isinstance(thing, DictionaryObject):
        left_out = {"/Length", "/Filter", "/DecodeParms", "/Parent"}
        parts = [f"{key}={_digest(thing.raw_get(key), depth - 1)}" for key in sorted(set(thing) - left_out)]
        if isinstance(thing, StreamObject):
            parts.append(hashlib.sha256(thing.get_data()).hexdigest())
    elif isinstance(thing, ArrayObject):
        parts = [_digest(one, depth - 1) for one in list.__iter__(thing)]
    else:
        return repr(thing)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
