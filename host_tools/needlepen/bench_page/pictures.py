"""Drawings of the set-up, made for this page. Lines take the colour of the text, so they suit light and dark."""

from __future__ import annotations

from collections.abc import Mapping

_STYLE = (
    'fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round" '
    'font-family="inherit" font-size="14"'
)
_STAND = """
<path d="M70 246h280" stroke-width="5"/><path d="M104 246V112M316 246V112"/>
<path d="M92 100h104v12H92zM224 100h104v12H224z" fill="var(--panel)"/>"""
_GAUGE = """
<rect x="172" y="166" width="76" height="62" rx="10" fill="var(--panel)"/>
<rect x="181" y="175" width="58" height="24" rx="4" fill="var(--soft)"/>
<circle cx="192" cy="213" r="4.5"/><circle cx="210" cy="213" r="4.5"/><circle cx="228" cy="213" r="4.5"/>
<path d="M204 166v-24h12v24"/>"""
_SPINDLE = '<path d="M210 142V{top}" stroke-width="5" stroke="var(--accent)"/>'
_SHOWN = '<text x="210" y="193" text-anchor="middle" fill="currentColor" stroke="none" font-weight="600">{text}</text>'
_PLATE = (
    '<rect x="120" y="82" width="180" height="15" rx="2" fill="var(--accent-soft)" stroke="var(--accent)"/>'
    '<text x="312" y="86" fill="currentColor" stroke="none">flat plate</text>'
)
_PEN = """
<g transform="translate({x} {y})"><path d="M-19 -8 L-24 -40 h48 L19 -8 Z" fill="var(--accent-soft)" stroke="var(--accent)"/>
<path d="M-19 -8h38v6h-38z" fill="var(--accent-soft)" stroke="var(--accent)"/>
<path d="M-24 -40 C-27 -60 -25 -84 -22 -104 h44 C25 -84 27 -60 24 -40 Z" fill="var(--panel)"/><path d="M-12 -60v-26M12 -60v-26"/></g>"""
_PIN = '<path d="M{x} {y}v{length}" stroke="var(--fail)" stroke-width="3.5"/>'
_ARROW = '<path d="M{x} {y}v{length}m-7 -9l7 9 7 -9" stroke="var(--doubt)" stroke-width="3"/>'


def _label(x: int, y: int, text: str) -> str:
    return f'<text x="{x}" y="{y}" fill="currentColor" stroke="none">{text}</text>'


def _cartridge() -> str:
    body = (
        '<path d="M150 30 C146 70 148 100 152 128 h116 C272 100 274 70 270 30" fill="var(--panel)"/>'
        '<path d="M186 62v36M234 62v36"/><path d="M158 128v16h104v-16"/>'
        '<path d="M160 172h100v14l-14 44h-72l-14 -44z" fill="var(--accent-soft)" stroke="var(--accent)"/>'
    )
    return (
        body + _PIN.format(x=210, y=230, length=16) + _ARROW.format(x=122, y=214, length=-58).replace("-9l7 9 7 -9", "9l7 -9 7 9")
        + _label(284, 208, "dummy cartridge:") + _label(284, 227, "one blunt pin, no chip") + _label(284, 72, "pen")
        + _label(52, 238, "push until it clicks")
    )  # fmt: skip


def _warm() -> str:
    thermometer = (
        '<path d="M292 172V84a13 13 0 0 1 26 0v88a24 24 0 1 1 -26 0z" fill="var(--panel)"/>'
        '<path d="M305 190v-78" stroke="var(--fail)" stroke-width="8"/><circle cx="305" cy="192" r="13" fill="var(--fail)" '
        'stroke="none"/><path d="M318 100h10M318 118h10M318 136h10M318 154h10"/>'
    )
    battery = (
        '<rect x="50" y="116" width="72" height="38" rx="6" fill="var(--panel)"/><path d="M126 128v14" stroke-width="6"/>'
        '<path d="M60 126v18M74 126v18M88 126v18" stroke="var(--pass)" stroke-width="7"/>'
    )
    plug = '<path d="M60 210h34m0 -12v24h12a12 12 0 0 0 0 -24zM52 188l70 46" />'
    return (
        _PEN.format(x=210, y=226).replace("var(--accent-soft)", "var(--panel)") + thermometer + battery + plug
        + _PIN.format(x=210, y=226, length=10)
        + _label(50, 104, "battery") + _label(50, 254, "no charger") + _label(334, 128, "steady")
    )  # fmt: skip


def _plate() -> str:
    return (
        _STAND + _GAUGE + _SPINDLE.format(top=98) + _SHOWN.format(text="0.000") + _PLATE + _label(258, 200, "gauge")
        + _label(40, 96, "seat")
    )  # fmt: skip


def _on_pen(pin: int, shown: str) -> str:
    return (
        _STAND + _GAUGE + _SPINDLE.format(top=100 + pin) + _SHOWN.format(text=shown) + _PEN.format(x=210, y=100)
        + _PIN.format(x=210, y=98, length=pin) + _label(258, 200, "gauge") + _label(40, 96, "seat") + _label(250, 44, "pen")
    )  # fmt: skip


def _approach() -> str:
    return _on_pen(18, "1.25") + _ARROW.format(x=150, y=118, length=36) + _label(112, 176, "outward")


def _done() -> str:
    return (
        '<circle cx="210" cy="130" r="82" stroke="var(--pass)" stroke-width="7"/>'
        '<path d="M170 132l28 30 54 -62" stroke="var(--pass)" stroke-width="11"/>'
    )


_DRAWINGS: Mapping[str, tuple[str, str]] = {
    "set_up": ("The dummy cartridge, which has one blunt pin and no chip, is pushed into the pen until it clicks.", _cartridge()),
    "warm_up": ("The pen rests with a charged battery and without its charger until its temperature is steady.", _warm()),
    "gauge_on_plate": ("The flat plate lies on the seat of the stand; the tip of the gauge touches it from below.", _plate()),
    "pen_on_gauge": ("The pen stands with its nose on the seat; its pin reaches down to the tip of the gauge and moves outward by itself.", _approach()),
    "pen_connected": ("All readings are taken; the pen stays connected.", _done()),
    "pen_off_gauge": ("The pen is taken off the gauge.", _done()),
}  # fmt: skip
KEYS = tuple(_DRAWINGS)


def svg(key: str) -> str:
    """A drawing with its description for those who do not see it; that of the pen on the gauge for a key that is not known."""
    text, drawing = _DRAWINGS.get(key, _DRAWINGS["pen_on_gauge"])
    return f'<svg viewBox="0 0 440 268" role="img" aria-label="{text}" {_STYLE}><title>{text}</title>{drawing}</svg>'
