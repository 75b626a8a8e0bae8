"""What the guided steps say, as markup: conditions, phases, the verdict on a reading."""

from __future__ import annotations

from needlepen.bench_page.layout import safe
from needlepen.bench_page.snapshot import Activity, Snapshot
from needlepen.calibration import plan
from needlepen.calibration.model import Phase, Taken

PHASES = {
    "": "Preparation",
    Phase.ZERO: "Zero",
    Phase.AS_FOUND: "As found",
    Phase.CALIBRATION: "Calibration",
    Phase.VERIFICATION: "Verification",
    Phase.DRIFT: "Drift",
}
_DOING = {
    Activity.CONNECTING: "Connecting to pen and gauge ...",
    Activity.CHECKING: "Looking whether the nose keeps its temperature; this takes a quarter of a minute ...",
    Activity.PREPARING: "Set everything up; then go on.",
    Activity.MOVING: "The pen gets ready; please wait ...",
    Activity.READING: "Reading the gauge ...",
    Activity.WORKING: "Computing; please wait ...",
}


def preparing(s: Snapshot) -> str:
    """What has to be so before it begins; each with what to do as long as it is not."""
    items = "".join(
        f'<li class="{"met" if c.met else "unmet"}"><b>{safe(c.name)}:</b> {safe(c.value)}'
        + ("" if c.met else f"<br>It has to be {safe(c.limits)}: {safe(c.remedy)}.")
        + "</li>"
        for c in s.conditions
    )
    return (
        '<p class="small muted">Before it begins</p><p class="instruction">Push the dummy cartridge in, unplug the '
        "charger, and let the pen take the temperature of the room.</p>"
        '<p class="why"><b>Why:</b> what is measured counts only under known conditions.</p>'
        f'<ul class="conditions">{items}</ul>'
    )


def phases(s: Snapshot) -> str:
    """Where we are, and how much of each phase is done."""
    names = list(PHASES)
    point = s.stage.point if s.stage else None
    place = names.index(point.phase) if point else (0 if s.stage is None else len(names))
    parts = []
    for number, phase in enumerate(names):
        kind = "past" if number < place else "now" if number == place else ""
        current = ' aria-current="step"' if number == place else ""
        done = 100.0 * _part_done(s, phase) if number == place else (100.0 if number < place else 0.0)
        bar = f'<div class="progress"><div style="width:{done:.0f}%"></div></div>'
        parts.append(f'<li class="{kind}"{current}>{bar}<span>{PHASES[phase]}</span></li>')
    return f'<ol class="phases" aria-label="Phases">{"".join(parts)}</ol>'


def bar(s: Snapshot) -> str:
    """How much is done."""
    done = 100.0 * s.stage.done / max(s.stage.total, 1) if s.stage else 0.0
    return f'<div class="progress"><div style="width:{done:.0f}%"></div></div>'


def _part_done(s: Snapshot, phase: str) -> float:
    points = [p for p in plan.points() if p.phase == phase]
    return sum(t.point.phase == phase for t in s.taken) / len(points) if points else 0.0


def verdict(s: Snapshot) -> str:
    """What the rules say of the newest reading, or what is wrong; in words."""
    if s.activity == Activity.LOST:
        kept = "no reading is lost" if s.path else "the check begins anew then"
        return (
            f'<div class="verdict lost"><b>Interrupted; {kept}.</b><span>{safe(s.message)}</span>'
            "<span>As soon as that is mended, this goes on by itself.</span></div>"
        )
    if s.activity == Activity.WORKING:
        return f'<div class="verdict"><span>{safe(_DOING[s.activity])}</span></div>'
    if s.activity == Activity.STOP:
        words = " ".join(f.text for f in s.findings if f.severity != "note") or s.message
        return f'<div class="verdict stop"><b>This cannot be kept: repeat it.</b><span>{safe(words)}</span></div>'
    if s.activity == Activity.DOUBT:
        words = " ".join(f.text for f in s.findings if f.severity == "doubt")
        return (
            f'<div class="verdict doubt"><b>Doubtful: {safe(_told(s.newest))}.</b><span>{safe(words)}</span>'
            "<span>Repeat it, or keep it knowingly: the certificate will say so.</span></div>"
        )
    if s.activity == Activity.PREPARING and s.message:
        return f'<div class="verdict stop"><b>It cannot begin yet.</b><span>{safe(s.message)}</span></div>'
    if s.activity == Activity.READY and s.message:
        return f'<div class="verdict doubt"><b>Nothing was done.</b><span>{safe(s.message)}</span></div>'
    before = f"Taken: {_told(s.newest)}. " if s.newest else ""
    if (
        s.activity in (Activity.READY, Activity.READING, Activity.MOVING)
        and s.newest
        and s.newest.point.phase != Phase.ZERO
    ):
        notes = " ".join(f.text for f in s.findings)
        return f'<div class="verdict pass"><b>{safe(before)}Plausible.</b><span>{safe(notes)}</span></div>'
    return f'<div class="verdict"><span>{safe(before or _DOING.get(s.activity, "Ready for the reading."))}</span></div>'


def _told(taken: Taken | None) -> str:
    """A reading in words."""
    if taken is None:
        return "no reading"
    return f"{taken.reading.value_mm:.3f} mm, error {taken.error_um:+.0f} µm".replace("-", "\N{MINUS SIGN}")
