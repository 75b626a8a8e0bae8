"""Renders the report's single page: everything inline, nothing loaded from anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import jinja2
import plotly.graph_objects as go  # type: ignore[import-untyped]
import plotly.offline  # type: ignore[import-untyped]
from markupsafe import Markup

from needlepen import requirements
from needlepen.evidence import NS_PER, CutOff, Measurement, RunRecord, Verdict, overall
from needlepen.report import theme, words
from needlepen.report.overview import overview
from needlepen.report.zoom import zoom

_TEMPLATES = Path(__file__).resolve().parent / "templates"
BAR_AT_LIMIT_PCT = 80
"""Where the limit stands on a bar's track; the rest is room to show an excess."""

_BAR_MIN_PCT = 1.5
"""A value that is nearly nothing still shows as a bar."""


@dataclass(frozen=True)
class Row:
    """One line of the measurement table."""

    measurement: Measurement
    value: str
    limit: str
    margin: str
    bar_pct: float | None
    verdict: str


@dataclass(frozen=True)
class Group:
    """The measurements of one requirement."""

    id: str
    title: str
    text: str
    hazard: str
    verdict: Verdict
    rows: list[Row]


@dataclass(frozen=True)
class Moment:
    """One line below a cut-off's plot. `verdict` is set for the reaction only."""

    time: str
    text: str
    verdict: str


@dataclass(frozen=True)
class Card:
    """One cut-off with its plot."""

    number: int
    cutoff: CutOff
    row: Row
    figure: Markup

    @property
    def moments(self) -> list[Moment]:
        """Cause, what came between, and reaction, in order of time; a reaction that never came is last."""
        cut = self.cutoff
        found = [(cut.cause_t_ns, 0, cut.cause_text, "")]
        found += [(t_ns, 1, text, "") for t_ns, text in cut.steps]
        if cut.reaction_t_ns is not None:
            found.append((cut.reaction_t_ns, 2, cut.reaction_text, self.row.verdict))
        moments = [Moment(self._after(t_ns), text, verdict) for t_ns, _, text, verdict in sorted(found)]
        if cut.reaction_t_ns is None:
            moments.append(Moment(self.row.value, cut.reaction_text, self.row.verdict))
        return moments

    def _after(self, t_ns: int) -> str:
        """Time after the cause, in the unit in which it reads best."""
        after_ns = t_ns - self.cutoff.cause_t_ns
        if not after_ns:
            return "0"
        unit = "ms" if abs(after_ns) >= 1e6 else "us"
        return words.amount(after_ns / NS_PER[unit], unit)


def render(record: RunRecord) -> str:
    """The page as text."""
    known = requirements.load()
    cards = [_card(record, number, cutoff) for number, cutoff in enumerate(record.cutoffs, start=1)]
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            record=record,
            words=words,
            style=style(),
            plotly=Markup(plotly.offline.get_plotlyjs().replace("</script", "<\\/script")),
            overview=embedded(overview(record, known)) if record.series or record.digital else None,
            cards=cards,
            groups=_groups(record, known),
            figures=_key_figures(record),
            identity=_identity(record),
            limit_at_pct=BAR_AT_LIMIT_PCT,
            signals=[(name, theme.SIGNALS[name]) for name in record.digital if name in theme.SIGNALS],
        )
    )


def environment() -> jinja2.Environment:
    """Where the pages' templates come from."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def style() -> Markup:
    """The style sheet of all pages, to be put inline."""
    return Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8"))


def embedded(figure: go.Figure) -> Markup:
    """The figure's JSON, safe inside a script element."""
    return Markup(figure.to_json().replace("<", "\\u003c"))


def row(measurement: Measurement, verdict: str = "") -> Row:
    """A line of the table; `verdict`: in place of the measurement's own."""
    use = words.use_of_limit(measurement)
    verdict = verdict or ("marginal" if measurement.marginal else measurement.verdict)
    return Row(
        measurement=measurement,
        value=words.value(measurement),
        limit=words.limit(measurement),
        margin=words.margin(measurement),
        bar_pct=None if use is None else min(max(use * BAR_AT_LIMIT_PCT, _BAR_MIN_PCT), 100.0),
        verdict=verdict,
    )


def _card(record: RunRecord, number: int, cutoff: CutOff) -> Card:
    return Card(number, cutoff, row(cutoff.as_measurement()), embedded(zoom(record, cutoff)))


def _groups(record: RunRecord, known: requirements.Requirements) -> list[Group]:
    """By requirement in the order of the requirements file; what belongs to none comes last."""
    order = [*known, *dict.fromkeys(m.requirement for m in record.measurements if m.requirement not in known)]
    groups = []
    for requirement_id in order:
        found = [m for m in record.measurements if m.requirement == requirement_id]
        if not found:
            continue
        entry = known.get(requirement_id)
        groups.append(
            Group(
                id=requirement_id or "no requirement",
                title=entry.title if entry else "",
                text=entry.text if entry else "",
                hazard=entry.hazard if entry else "",
                verdict=overall([m.verdict for m in found]),
                rows=[row(m) for m in found],
            )
        )
    return groups


def _key_figures(record: RunRecord) -> list[tuple[str, str, str]]:
    """Label, number and remark for the strip below the title."""
    passed = sum(m.verdict == "pass" for m in record.measurements)
    figures = [("measurements passed", f"{passed} / {len(record.measurements)}", _shortfall(record))]
    with_room = [(m.margin_fraction, m) for m in record.measurements if m.margin_fraction is not None]
    if with_room:
        _, tightest = min(with_room, key=lambda pair: pair[0])
        figures.append(("tightest margin", words.margin(tightest) or "none left", tightest.name))
    if record.cutoffs:
        slowest = max(record.cutoffs, key=lambda c: c.value / c.limit)
        inside = sum(c.value <= c.limit for c in record.cutoffs)
        remark = f"slowest for its limit: {slowest.name}"
        figures.append(("cut-offs in time", f"{inside} / {len(record.cutoffs)}", remark))
    speed = f"{record.device_s / record.wall_s:.2g} × real time" if record.wall_s else ""
    figures.append(("device time", f"{words.number(record.device_s)} s", speed))
    return figures


def _shortfall(record: RunRecord) -> str:
    """The rest of the tally, for example "1 fail, 2 not measured"."""
    return words.tally(record).partition(", ")[2] or "none failed, none missing"


def _identity(record: RunRecord) -> list[tuple[str, str]]:
    """What was run on what; empty entries are said to be unknown, not hidden."""
    lines = [
        ("scenario", record.scenario_name),
        ("seed", str(record.seed)),
        ("board", record.board),
        ("firmware build", record.firmware_build),
        ("MicroPython", record.runtime_version),
        ("runtime SHA-256", record.runtime_sha256),
        ("emulator", record.emulator_version),
        ("engine", record.engine),
        ("started", record.started),
        ("device time", f"{record.device_s:.6f} s"),
        ("wall time", f"{record.wall_s:.1f} s"),
        *record.facts.items(),
    ]
    return [(label, value or "unknown") for label, value in lines]
