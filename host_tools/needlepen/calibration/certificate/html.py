"""A certificate as one HTML file that needs nothing else: for a screen, light or dark, and for paper."""

from __future__ import annotations

from pathlib import Path

from needlepen.calibration.certificate.blocks import Document


def render(document: Document, figures: dict[str, bytes]) -> str:
    """The text of the file. `figures`: SVG of each Figure by its name."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    drawn = {name: Markup(_element(svg.decode())) for name, svg in figures.items()}  # our own plots
    template = environment.get_template("certificate.html.j2")
    return template.render(document=document, figures=drawn, kind_of=lambda block: type(block).__name__)


def _element(svg: str) -> str:
    """The SVG without the head of an XML file."""
    return svg[svg.index("<svg") :]
