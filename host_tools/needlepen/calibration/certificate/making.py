"""Makes the files of a certificate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from needlepen.calibration.certificate.code import Code, CodeKey, find_key, printed
from needlepen.calibration.certificate.content import document
from needlepen.calibration.certificate.html import render as render_html
from needlepen.calibration.certificate.plots import draw
from needlepen.calibration.model import Calibration
from needlepen.files import write_whole


@dataclass(frozen=True)
class Paths:
    """Where the files are."""

    pdf: Path
    html: Path


def make(
    made: Calibration, folder: Path, history: Sequence[Calibration] = (), *, key: CodeKey | None = None
) -> Paths:
    """Write certificate, or refusal report, as PDF and HTML into `folder`; files of that name are replaced.

    `history`: calibrations of the pen; the former ones are listed. `key`: for the verification code; without it the
    one that this computer keeps. The same calibration, history and key give the same bytes. Raises InfrastructureError
    if they cannot be written.
    """
    code = printed(made, key or find_key(made))
    content = document(made, code, history)
    kind = "certificate" if content.accepted else "refusal"
    paths = Paths(folder / f"{made.number}_{kind}.pdf", folder / f"{made.number}_{kind}.html")
    write_whole(paths.html, render_html(content, {"error": draw(made, "svg")}))
    write_whole(paths.pdf, pdf(made, code, history))
    return paths


def pdf(made: Calibration, code: Code, history: Sequence[Calibration] = ()) -> bytes:
    """The bytes of the PDF alone."""
    from needlepen.calibration.certificate.pdf import render as render_pdf

    return render_pdf(document(made, code, history), {"error": draw(made, "png")}, made.ended)
