"""The frame around each section, and the few widgets that all of them use."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nicegui import ui

SECTIONS = {
    "/": "Calibrate",
    "/check": "Daily check",
    "/live": "Live view",
    "/history": "History",
}
_ASSETS = Path(__file__).parent / "assets"
_MARK = (
    '<svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7" fill="var(--accent)"/>'
    '<path d="M16 5v15m-3 0h6l-3 8z" stroke="var(--on-accent)" stroke-width="2.4" fill="var(--on-accent)" '
    'stroke-linejoin="round"/></svg>'
)


@contextmanager
def frame(here: str, title: str) -> Iterator[None]:
    """A page with head, navigation and main part; what is made inside the block goes into the main part."""
    ui.add_css((_ASSETS / "style.css").read_text(encoding="utf-8"))
    ui.add_head_html(f"<script>{(_ASSETS / 'keys.js').read_text(encoding='utf-8')}</script>")
    ui.page_title(f"{title} - needlepen bench")
    ui.colors(primary="#0f6a7c")
    dark = ui.dark_mode(None)
    with ui.element("header").classes("top"):
        raw('<a class="skip" href="#main">To the content</a>')
        with ui.link(target="/").classes("brand").props('aria-label="needlepen bench"'):
            raw(_MARK)
            raw("<span>needlepen bench</span>")
        with ui.element("nav").props('aria-label="Sections"'):
            for path, name in SECTIONS.items():
                link = ui.link(name, path)
                if path == here:
                    link.props('aria-current="page"')
        ui.element("div").classes("space")
        button("Light / dark", lambda: _other_theme(dark)).classes("quiet")
    with ui.element("main").classes("main").props('id="main" tabindex="-1"'):
        yield


def _other_theme(dark: Any) -> None:
    async def change() -> None:
        is_dark = await ui.run_javascript("document.body.classList.contains('body--dark')")
        dark.set_value(not is_dark)

    ui.timer(0, change, once=True)


def raw(markup: str) -> ui.html:
    """Markup of our own; whatever came from outside goes through `safe` first."""
    return ui.html(markup, sanitize=False)


def safe(text: object) -> str:
    """Text as markup."""
    return html.escape(str(text))


def button(
    text: str, on_click: Callable[[], Any], key: str = "", main: bool = False, big: bool = False
) -> ui.button:
    """A button that says which letter presses it, if any."""
    made = ui.button(text, on_click=on_click, color=None).props("no-caps unelevated").classes("key-button")
    if main:
        made.classes("main-action")
    if big:
        made.classes("big")
    if key:
        made.props(f'data-key="{key.lower()}" aria-keyshortcuts="{key.upper()}"')
        with made:
            raw(f'<kbd aria-hidden="true">{key.upper()}</kbd>')
    return made


def mark(text: str, kind: str = "") -> None:
    """A short remark in a coloured field."""
    raw(f'<span class="mark {kind}">{safe(text)}</span>')


def heading(text: str, level: int = 2) -> None:
    """A headline."""
    raw(f"<h{level}>{safe(text)}</h{level}>")


def paragraph(text: str, classes: str = "") -> ui.html:
    """A paragraph."""
    return raw(f'<p class="{classes}">{safe(text)}</p>')


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], caption: str, numbers: Sequence[int] = ()
) -> str:
    """A table as markup; the cells are markup already, `numbers` are the columns that are aligned as such."""

    def cells(tag: str, row: Sequence[str]) -> str:
        kind = [' class="n"' if place in numbers else "" for place in range(len(row))]
        return "".join(f"<{tag}{kind[place]}>{cell}</{tag}>" for place, cell in enumerate(row))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        f'<table class="plain"><caption class="sr-only">{safe(caption)}</caption>'
        f"<thead><tr>{cells('th', head)}</tr></thead><tbody>{body}</tbody></table>"
    )


class Value:
    """A measured value, big, with its unit; a line of small print below it."""

    def __init__(self, name: str, small: bool = False) -> None:
        with ui.element("div").classes("value small-value" if small else "value"):
            raw(f'<div class="name">{safe(name)}</div>')
            self._number = raw("")
            self._more = raw("")
        self._told: tuple[str, str, str] | None = None

    def show(self, number: str, unit: str = "", more: str = "") -> None:
        """Nothing is sent if nothing changed."""
        if (number, unit, more) == self._told:
            return
        self._told = (number, unit, more)
        self._number.content = (
            f'<div class="number">{safe(number)}<span class="unit">{safe(unit)}</span></div>'
        )
        self._more.content = f'<div class="more">{safe(more)}</div>'


def document_links(number: str) -> str:
    """The documents of a calibration, as markup."""
    return " ".join(
        f'<a class="document" href="certificates/{safe(number)}/{kind}" target="_blank">{kind.upper()}</a>'
        for kind in ("pdf", "html")
    )
